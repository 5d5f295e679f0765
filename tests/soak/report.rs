//! Reports in Markdown.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::faults::scenarios::{Extent, scenarios};
use crate::faults::stand::Filter;
use crate::load::{Memory, Outcome, Size, WORKERS};
use crate::support::machine;
use crate::support::markdown::table;

/// Where and when, as a list.
fn here() -> String {
    format!(
        "- {}, {}, {}\n- Envoy {}, {WORKERS} workers; module: {} kB\n",
        machine::date(),
        machine::cpu(),
        machine::kernel(),
        machine::envoy(),
        machine::module().div_ceil(1000),
    )
}

/// The report about the load.
pub fn soak(size: Size, outcome: &Outcome) -> String {
    let tally = &outcome.tally;
    let count = |counter: &AtomicU64| with_blanks(counter.load(Ordering::Relaxed));
    let done = &outcome.disturbances;
    let minutes = |seconds: u64| format!("{:.0} min", seconds as f64 / 60.0);
    let memory = |of: fn(Memory) -> u64| {
        let mib = |bytes: u64| format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20));
        format!(
            "{} after {}, {} at the end, {} at most in between",
            mib(of(outcome.first)),
            minutes(size.warm_up.min(outcome.time).as_secs()),
            mib(of(outcome.last)),
            mib(of(outcome.most)),
        )
    };
    let millis = |share| format!("{:.1} ms", tally.times.quantile(share).as_secs_f64() * 1e3);
    let row = |name: &str, value: String| vec![name.to_owned(), value];
    let rows = [
        row("time", minutes(outcome.time.as_secs())),
        row("requests sent", count(&tally.sent)),
        row("a second", format!("{:.0}", tally.sent.load(Ordering::Relaxed) as f64 / outcome.time.as_secs_f64())),
        row("allowed, rightly", count(&tally.allowed)),
        row("denied, rightly", count(&tally.denied)),
        row("MDRM-500 for keys not yet held, while the key service was away", count(&tally.without_key)),
        row("wrong decisions", count(&tally.wrong)),
        row("requests that reached the license server", with_blanks(outcome.arrived)),
        row("of them unauthorised, or with a token", with_blanks(outcome.wrong_arrivals.0)),
        row("VMs that died", outcome.deaths.len().to_string()),
        row("linear memory of all VMs", memory(|memory| memory.linear)),
        row("resident memory of Envoy", memory(|memory| memory.resident)),
        row("p50", millis(0.5)),
        row("p99", millis(0.99)),
        row("p99.9", millis(0.999)),
        row("requests made anew, nearly all with a token like no other", count(&tally.made)),
        row("keys", with_blanks(size.keys as u64)),
        row("configurations pushed", done.pushes.to_string()),
        row("changes of keys", done.changes.to_string()),
        row("times that the key service went away", done.outages.to_string()),
        row("times that the clock was set", done.steps.to_string()),
        row("clients that went away while a key was fetched", with_blanks(outcome.aborts)),
        row("requests sent again, for a connection that a push had closed", count(&tally.repeated)),
        row("requests to the key service", with_blanks(outcome.callouts as u64)),
        row("of them not answered in time, in outages and for want of a processor", with_blanks(done.timeouts)),
        row("requests still under way at the end", outcome.left.to_string()),
    ];
    format!("# Soak\n\n{}\n{ABOUT}\n\n{}", here(), table(&["", ""], &rows))
}

const ABOUT: &str = "Mixed traffic on three listeners of one Envoy: all algorithms, new tokens and repeated ones, session tokens, Trust Tunnel, CPIX \
                     documents, and every code that a request can get. Each request has one right answer, also while the clock is set an hour back and forth, \
                     keys change, a configuration is pushed every two seconds, and the key service is killed, hangs, trickles, answers wrongly or loses its \
                     cluster, in turn for nine seconds of each minute. In an outage requests must be decided as before where the key is held; \
                     the listener whose configuration was just replaced, and names that nobody asked about yet, may get MDRM-500. Times are those of the \
                     clients, on the machine that Envoy, key service and license server share.";

/// The report about the faults, which are made to happen for it. `told` gets a line about each.
pub fn faults(extent: Extent, told: impl Fn(&str)) -> String {
    let mut names = vec!["fault", "what mdrm-authz promises"];
    names.extend(Filter::ALL.map(Filter::name));
    let mut rows = Vec::new();
    for scenario in scenarios() {
        let mut row = vec![scenario.fault.to_owned(), scenario.promise.to_owned()];
        for filter in Filter::ALL {
            let figure = (scenario.run)(filter, extent);
            told(&format!("{}, {}: {figure}", scenario.fault, filter.name()));
            row.push(figure);
        }
        rows.push(row);
    }
    let about = format!(
        "Each fault on an Envoy of its own, for {} s where it has a length. Keys are fresh for 2 s, a callout may take 0.5 s, on either filter; \
         `jwt_authn` has its keys from the same service as a set (`remote_jwks`). Eight clients send a valid token of a key that was known before, \
         and with every fourth request a forged one, which must never pass, and never did.",
        extent.time.as_secs()
    );
    format!("# Faults\n\n{}\n{about}\n\n{}", here(), table(&names, &rows))
}

/// A number with blanks between its thousands.
fn with_blanks(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).unwrap()).collect();
    groups.join(" ")
}
