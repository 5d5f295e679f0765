//! What the vectors say beside what the core says, and the two committed files that both are held against.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

/// Lines of set, ids, what the vectors say, the cause for which the core refuses (or `accepted`), and the reason.
const EXCEPTIONS: &str = include_str!("exceptions.tsv");
const README: &str = include_str!("README.md");

/// What a vector says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    Valid,
    Invalid,
    /// Either will do; this crate refuses unless there is an exception.
    Acceptable,
}

/// What the core says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Accepted,
    /// For this cause.
    Refused(String),
}

impl Verdict {
    /// The verdict of a signature check.
    pub fn of(verified: bool) -> Verdict {
        if verified { Verdict::Accepted } else { Verdict::Refused("signature".to_owned()) }
    }
}

/// The id of a vector, what it says, and what the core says: `accepted` or the cause.
type Exception = (usize, String, String);

/// One set of vectors.
pub struct Set {
    name: String,
    accepted: usize,
    refused: usize,
    exceptions: BTreeSet<Exception>,
}

impl Set {
    pub fn new(name: &str) -> Set {
        Set { name: name.to_owned(), accepted: 0, refused: 0, exceptions: BTreeSet::new() }
    }

    pub fn record(&mut self, id: usize, said: Said, verdict: &Verdict) {
        let (agrees, answer) = match verdict {
            Verdict::Accepted => {
                self.accepted += 1;
                (said == Said::Valid, "accepted")
            }
            Verdict::Refused(cause) => {
                self.refused += 1;
                (said != Said::Valid, cause.as_str())
            }
        };
        if !agrees {
            self.exceptions.insert((id, format!("{said:?}"), answer.to_owned()));
        }
    }

    /// The line of the table in `README.md`.
    fn row(&self) -> String {
        let Set { name, accepted, refused, exceptions } = self;
        format!("| {name} | {} | {accepted} | {refused} | {} |", accepted + refused, exceptions.len())
    }
}

/// Prints the row of each set and holds it against the two files.
///
/// # Panics
///
/// With what the files lack, and what they have in vain.
pub fn check(sets: &[Set]) {
    sets.iter().for_each(|set| println!("{}", set.row()));
    let findings: Vec<String> = sets.iter().flat_map(|set| findings(set, README, EXCEPTIONS)).collect();
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}

fn findings(set: &Set, readme: &str, exceptions: &str) -> Vec<String> {
    let mut findings = Vec::new();
    if set.accepted + set.refused == 0 {
        findings.push(format!("no vectors: {}", set.name));
    }
    if !readme.lines().any(|line| line == set.row()) {
        findings.push(format!("not in README.md: {}", set.row()));
    }
    let listed = listed(&set.name, exceptions);
    let missing = set.exceptions.difference(&listed);
    findings.extend(missing.map(|exception| format!("not in exceptions.tsv: {}, {exception:?}", set.name)));
    let in_vain = listed.difference(&set.exceptions);
    findings.extend(in_vain.map(|exception| format!("not needed in exceptions.tsv: {}, {exception:?}", set.name)));
    findings
}

/// The exceptions of a set that are listed with a reason.
fn listed(set: &str, exceptions: &str) -> BTreeSet<Exception> {
    let mut listed = BTreeSet::new();
    for line in exceptions.lines() {
        let columns: Vec<&str> = line.split('\t').collect();
        let [name, ids, said, answer, reason] = columns[..] else { panic!("five columns: {line}") };
        if name == set && !reason.trim().is_empty() {
            listed.extend(ids.split(',').flat_map(range).map(|id| (id, said.to_owned(), answer.to_owned())));
        }
    }
    listed
}

/// `7` or `1-3`.
fn range(text: &str) -> RangeInclusive<usize> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    first.parse().unwrap()..=last.parse().unwrap()
}

#[test]
fn every_difference_needs_its_exception_and_every_exception_its_difference() {
    let mut set = Set::new("set");
    set.record(1, Said::Valid, &Verdict::Accepted);
    set.record(2, Said::Invalid, &Verdict::of(false));
    set.record(3, Said::Acceptable, &Verdict::of(false));
    let row = "| set | 3 | 1 | 2 | 0 |";
    assert_eq!(findings(&set, row, ""), [""; 0]);
    assert_eq!(findings(&set, "| set | 3 | 2 | 1 | 0 |", "").len(), 1, "another count");
    assert_eq!(findings(&set, row, "set\t2\tValid\tsignature\tfor a reason").len(), 1, "an exception in vain");

    for id in [4, 5, 7] {
        set.record(id, Said::Valid, &Verdict::of(false));
    }
    set.record(8, Said::Acceptable, &Verdict::Accepted);
    let row = "| set | 7 | 2 | 5 | 4 |";
    let listed = "set\t4-5,7\tValid\tsignature\tfor a reason\nset\t8\tAcceptable\taccepted\tfor another\n";
    assert_eq!(findings(&set, row, listed), [""; 0]);
    assert_eq!(findings(&set, row, "").len(), 4, "exceptions that are missing");
    assert_eq!(findings(&set, row, &listed.replace("for a reason", "")).len(), 3, "a reason that is missing");
    assert_eq!(findings(&set, row, &listed.replace("4-5", "4-6")).len(), 1, "one in vain");
}

#[test]
fn a_set_without_vectors_is_found_out() {
    assert_eq!(findings(&Set::new("set"), "| set | 0 | 0 | 0 | 0 |", ""), ["no vectors: set"]);
}
