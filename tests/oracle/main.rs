//! Requests by the thousand through the core, and through the module in Envoy beside `jwt_authn`; an independent decision of
//! the same contract must agree.
//!
//! `generate.py` and `beside.py` make the requests and have `oracle.py` decide them; none of them shares anything with the crate.
//! `../RESULTS.md` tells how many there were, and what came out.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    reason = "a test that meets something unexpected shall end"
)]

mod beside;
mod core;
mod cpix;
mod natively;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use self::core::{Answers, Headers};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oracle");
const EXPLAINED: &str = include_str!("explained.md");
/// So many differences are shown in full.
const SHOWN: usize = 10;

fn number(variable: &str, default: u64) -> u64 {
    env::var(variable).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{variable} is no number")))
}

/// Installs what the oracle needs, once, and gives the folder.
fn packages() -> PathBuf {
    let output = Command::new(format!("{FOLDER}/packages.sh")).stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "the packages of tests/oracle/requirements.txt cannot be installed");
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
}

/// One of the scripts, ready to be started.
fn script(name: &str, packages: &Path, arguments: [u64; 2]) -> Command {
    let mut command = Command::new("python3");
    command.arg(format!("{FOLDER}/{name}")).args(arguments.map(|argument| argument.to_string()));
    command.env("PYTHONPATH", packages).env("PYTHONDONTWRITEBYTECODE", "1").stdout(Stdio::piped());
    command
}

/// Counts by name.
#[derive(Default)]
struct Counts(BTreeMap<String, u64>);

impl Counts {
    fn add(&mut self, name: &str) {
        self.add_times(name, 1);
    }

    fn add_times(&mut self, name: &str, times: u64) {
        *self.0.entry(name.to_owned()).or_default() += times;
    }

    fn add_all(&mut self, others: &Counts) {
        others.0.iter().for_each(|(name, times)| self.add_times(name, *times));
    }

    fn total(&self) -> u64 {
        self.0.values().sum()
    }
}

/// The rules by which a difference is explained: `explained` says which decisions they lead to.
fn rules<'v>(explained: &'v Value, decided: &str) -> Option<Vec<&'v str>> {
    Some(explained.get(decided)?.as_array()?.iter().filter_map(Value::as_str).collect())
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
