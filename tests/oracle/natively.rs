//! Requests through the core. How many is `ORACLE_TOKENS` (20 000), which ones `ORACLE_SEED` (1). Half of them come from each
//! of two generators.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::thread;

use serde_json::Value;

use super::core::Core;
use super::{Counts, EXPLAINED, SHOWN, answers, headers, number, packages, rules, script};

const DEFAULT_COUNT: u64 = 20_000;
const GENERATORS: u64 = 2;

/// What became of the requests of a generator.
#[derive(Default)]
struct Tally {
    agreed: Counts,
    /// By the rules of `explained.md` that it took, most often one.
    explained: Counts,
    differences: Vec<String>,
}

/// Runs one generator, and every request of it through the core.
fn replay(packages: &Path, seed: u64, count: u64) -> Tally {
    let mut generator = script("generate.py", packages, [seed, count]).spawn().unwrap();
    let mut world: Option<(Value, Core)> = None;
    let mut tally = Tally::default();
    for line in BufReader::new(generator.stdout.take().unwrap()).lines() {
        let value: Value = serde_json::from_str(&line.unwrap()).unwrap();
        if let Some(configuration) = value.get("config") {
            let core = Core::new(configuration, answers(&value["answers"]));
            world = Some((value, core));
            continue;
        }
        let (setting, core) = world.as_mut().expect("a world comes first");
        let expected = value["expected"].as_str().unwrap();
        let decided = core.decide(&headers(&value), value["body"].as_str().unwrap(), value["now"].as_i64().unwrap());
        if decided == expected {
            tally.agreed.add(&decided);
        } else if let Some(rules) = rules(&value["explained"], &decided) {
            tally.explained.add(&rules.join(" "));
        } else if tally.differences.len() < SHOWN {
            tally.differences.push(format!("core: {decided}, contract: {expected}\n{value}\n{}", setting["config"]));
        } else {
            tally.differences.push(String::new());
        }
    }
    assert!(generator.wait().unwrap().success(), "the generator failed");
    tally
}

#[test]
fn the_core_decides_as_the_contract_does() {
    let (count, seed) = (number("ORACLE_TOKENS", DEFAULT_COUNT), number("ORACLE_SEED", 1));
    let packages = packages();
    let tallies: Vec<Tally> = thread::scope(|scope| {
        let run = |index| {
            scope.spawn({
                let packages = &packages;
                move || replay(packages, seed + index, count.div_ceil(GENERATORS))
            })
        };
        let running: Vec<_> = (0..GENERATORS).map(run).collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let (mut agreed, mut explained) = (Counts::default(), Counts::default());
    for tally in &tallies {
        agreed.add_all(&tally.agreed);
        explained.add_all(&tally.explained);
    }
    for (decision, times) in &agreed.0 {
        println!("{decision:8} {times:8}");
    }
    let differences: Vec<&String> = tallies.iter().flat_map(|tally| &tally.differences).collect();
    println!("agreed: {}, explained: {:?}, differences: {}", agreed.total(), explained.0, differences.len());
    let shown: Vec<&str> = differences.iter().map(|text| text.as_str()).filter(|text| !text.is_empty()).collect();
    assert!(differences.is_empty(), "{} differences\n{}", differences.len(), shown.join("\n\n"));
    assert!(agreed.total() + explained.total() >= count, "{} requests of {count}", agreed.total());
    if count >= DEFAULT_COUNT {
        assert_nothing_is_missing(&agreed, &explained);
    }
}

/// So many requests come to every decision, and need every rule of `explained.md`.
fn assert_nothing_is_missing(agreed: &Counts, explained: &Counts) {
    let rules = EXPLAINED.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let needed: BTreeSet<&str> = explained.0.keys().flat_map(|rules| rules.split(' ')).collect();
    assert_eq!(
        rules.collect::<Vec<_>>(),
        needed.into_iter().collect::<Vec<_>>(),
        "explained.md lists the rules that are needed, ordered by name"
    );
    let codes = "500 501 502 503 504 505 508 509 510 511 512 513 518 521".split(' ');
    let denials = codes.map(|code| format!("MDRM-{code}"));
    for decision in denials.chain(["ok".to_owned(), "pass".to_owned()]) {
        assert!(agreed.0.contains_key(&decision), "no request came to {decision}: the generator is lopsided");
    }
}
