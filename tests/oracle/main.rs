//! Requests by the thousand through the core and through an independent decision of the same contract, which must agree.
//!
//! `generate.py` makes the requests and has `oracle.py` decide them; neither shares anything with the crate. How many is
//! `ORACLE_TOKENS` (20 000), which ones `ORACLE_SEED` (1). Half of them come from each of two generators.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::arithmetic_side_effects,
    reason = "a test that meets something unexpected shall end"
)]

mod core;

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use serde_json::Value;

use self::core::{Answers, Core, Headers};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oracle");
const EXPLAINED: &str = include_str!("explained.md");
const DEFAULT_COUNT: u64 = 20_000;
const GENERATORS: u64 = 2;
/// So many differences are shown in full.
const SHOWN: usize = 10;

/// What became of the requests of a generator.
#[derive(Default)]
struct Tally {
    agreed: BTreeMap<String, u64>,
    /// By the rules of `explained.md` that it took, most often one.
    explained: BTreeMap<String, u64>,
    differences: Vec<String>,
}

fn number(variable: &str, default: u64) -> u64 {
    env::var(variable).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{variable} is no number")))
}

/// Installs what the oracle needs, once, and gives the folder.
fn packages() -> PathBuf {
    let output = Command::new(format!("{FOLDER}/packages.sh")).stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "the packages of tests/oracle/requirements.txt cannot be installed");
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
}

/// Runs one generator, and every request of it through the core.
fn replay(packages: &Path, seed: u64, count: u64) -> Tally {
    let mut generator = Command::new("python3")
        .arg(format!("{FOLDER}/generate.py"))
        .args([seed.to_string(), count.to_string()])
        .env("PYTHONPATH", packages)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
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
        let decided = core.decide(&headers(&value), value["end"].as_bool().unwrap(), value["now"].as_i64().unwrap());
        if decided == expected {
            *tally.agreed.entry(decided).or_default() += 1;
        } else if let Some(rules) = value["explained"].get(&decided) {
            let rules: Vec<&str> = rules.as_array().unwrap().iter().filter_map(Value::as_str).collect();
            *tally.explained.entry(rules.join(" ")).or_default() += 1;
        } else if tally.differences.len() < SHOWN {
            tally.differences.push(format!("core: {decided}, contract: {expected}\n{value}\n{}", setting["config"]));
        } else {
            tally.differences.push(String::new());
        }
    }
    assert!(generator.wait().unwrap().success(), "the generator failed");
    tally
}

fn answers(value: &Value) -> Answers {
    let answers = value.as_object().unwrap().iter();
    let answer = |answer: &Value| (u16::try_from(answer[0].as_u64().unwrap()).unwrap(), latin(&answer[1]));
    answers.map(|(path, value)| (path.clone(), answer(value))).collect()
}

fn headers(request: &Value) -> Headers {
    let headers = request["headers"].as_array().unwrap().iter();
    headers.map(|header| (latin(&header[0]), latin(&header[1]))).collect()
}

/// Bytes, written as the characters of the same numbers.
fn latin(text: &Value) -> Vec<u8> {
    text.as_str().unwrap().chars().map(|character| u8::try_from(u32::from(character)).unwrap()).collect()
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
    let mut agreed: BTreeMap<&str, u64> = BTreeMap::new();
    for (decision, times) in tallies.iter().flat_map(|tally| &tally.agreed) {
        *agreed.entry(decision).or_default() += times;
    }
    for (decision, times) in &agreed {
        println!("{decision:8} {times:8}");
    }
    let mut explained: BTreeMap<&str, u64> = BTreeMap::new();
    for (rule, times) in tallies.iter().flat_map(|tally| &tally.explained) {
        *explained.entry(rule).or_default() += times;
    }
    let total: u64 = agreed.values().sum();
    let differences: Vec<&String> = tallies.iter().flat_map(|tally| &tally.differences).collect();
    println!("agreed: {total}, explained: {explained:?}, differences: {}", differences.len());
    let shown: Vec<&str> = differences.iter().map(|text| text.as_str()).filter(|text| !text.is_empty()).collect();
    assert!(differences.is_empty(), "{} differences\n{}", differences.len(), shown.join("\n\n"));
    assert!(total + explained.values().sum::<u64>() >= count, "{total} requests of {count}");
    if count >= DEFAULT_COUNT {
        assert_nothing_is_missing(&agreed, &explained);
    }
}

/// So many requests come to every decision, and need every rule of `explained.md`.
fn assert_nothing_is_missing(agreed: &BTreeMap<&str, u64>, explained: &BTreeMap<&str, u64>) {
    let rules = EXPLAINED.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let needed: BTreeSet<&str> = explained.keys().flat_map(|rules| rules.split(' ')).collect();
    assert_eq!(
        rules.collect::<Vec<_>>(),
        needed.into_iter().collect::<Vec<_>>(),
        "explained.md lists the rules that are needed, ordered by name"
    );
    let codes = "500 501 502 503 504 505 508 509 510 511 512 513 518 521".split(' ');
    let denials = codes.map(|code| format!("MDRM-{code}"));
    for decision in denials.chain(["ok".to_owned(), "pass".to_owned()]) {
        assert!(agreed.contains_key(&*decision), "no request came to {decision}: the generator is lopsided");
    }
}
