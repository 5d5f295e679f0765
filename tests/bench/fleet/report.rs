//! The tables, and what they rest on.
//!
//! "(stub)"

use std::time::Duration;
use crate::fleet::Fleet;
pub struct Runs { pub one: Fleet, pub fleet: Fleet, pub silent: Fleet, pub busy: Fleet }
pub fn markdown(runs: &Runs, took: Duration) -> String {
    let mut s = format!("{took:?}\n{}\n{:?}\n", crate::place::line(), runs.fleet.fetches);
    for (n, f) in [("one",&runs.one),("fleet",&runs.fleet),("silent",&runs.silent),("busy",&runs.busy)] {
        for (m,t) in [("store",&f.sum.store),("naive",&f.sum.naive)] {
            s += &format!("{n} {m} delay {:?} loss {:?}\n", t.longest_delay, t.longest_loss);
            for (i,p) in t.phases.iter().enumerate() { s += &format!("  {p:?} peak {}\n", t.peak(i,1)); }
        }
    }
    s
}
