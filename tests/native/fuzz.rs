//! The properties of the fuzz targets without a fuzzer: the committed inputs, and random changes of them.

#[path = "../fuzz/properties/mod.rs"]
pub(crate) mod properties;

use std::fs;
use std::path::Path;

use mdrm_authz::authorizer::Decision;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::TestRunner;

use crate::properties::cases;

/// What was found or made for a target, in the order of the names.
fn inputs(target: &str) -> Vec<Vec<u8>> {
    let mut inputs = Vec::new();
    for folder in ["seeds", "corpus"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz").join(folder).join(target);
        let mut paths: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        assert!(!paths.is_empty(), "nothing in {}", folder.display());
        inputs.extend(paths.into_iter().map(|path| fs::read(path).unwrap()));
    }
    inputs
}

/// One change of some bytes.
#[derive(Debug, Clone)]
enum Change {
    Set(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    /// A piece of another input.
    Take(Index, Index, Index, usize),
}

fn change() -> impl Strategy<Value = Change> {
    let at = any::<Index>;
    let text = select(
        &[
            "\"",
            "\\",
            "\\u0000",
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "null",
            "-1",
            "1e400",
            "0.5",
            "=",
            "&",
            "%41",
            ".",
            "..",
            "/",
            "\n",
            " ",
            "<",
            ">",
            "</",
            "\"alg\":\"none\",",
            "\"kid\":\"a\",",
            "Authorization=",
            "Bearer ",
            "xmlns",
            "&#x41;",
            "<!--",
            "]]>",
        ][..],
    );
    let inserted =
        prop_oneof![text.prop_map(|text| text.as_bytes().to_vec()), prop::collection::vec(any::<u8>(), 1..4)];
    prop_oneof![
        (at(), any::<u8>()).prop_map(|(at, byte)| Change::Set(at, byte)),
        (at(), inserted).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        (at(), 1..30_usize).prop_map(|(at, length)| Change::Remove(at, length)),
        (at(), at(), at(), 1..60_usize).prop_map(|(at, input, from, length)| Change::Take(at, input, from, length)),
    ]
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>, inputs: &[Vec<u8>]) {
        match self {
            Change::Set(at, byte) if !bytes.is_empty() => *at.get_mut(bytes) = *byte,
            Change::Set(..) => {}
            Change::Insert(at, piece) => insert(bytes, at, piece),
            Change::Remove(at, length) => {
                let at = at.index(bytes.len() + 1);
                bytes.drain(at..(at + length).min(bytes.len()));
            }
            Change::Take(at, input, from, length) => {
                let input = input.get(inputs);
                let from = from.index(input.len() + 1);
                insert(bytes, at, &input[from..(from + length).min(input.len())]);
            }
        }
    }
}

fn insert(bytes: &mut Vec<u8>, at: &Index, piece: &[u8]) {
    let at = at.index(bytes.len() + 1);
    bytes.splice(at..at, piece.iter().copied());
}

/// The committed inputs are of both kinds, and so the property says something about each.
fn replay(target: &str, check: fn(&[u8]) -> bool) {
    let (taken, refused): (Vec<bool>, Vec<bool>) =
        inputs(target).iter().map(|input| check(input)).partition(|taken| *taken);
    assert!(taken.len() >= 3 && refused.len() >= 3, "{} inputs are taken and {} are not", taken.len(), refused.len());
}

fn vary(target: &str, check: fn(&[u8]) -> bool, count: u32) {
    let inputs = inputs(target);
    let strategy = (any::<Index>(), prop::collection::vec(change(), 1..5));
    let result = TestRunner::new(cases(count)).run(&strategy, |(input, changes)| {
        let mut bytes = input.get(&inputs).clone();
        changes.iter().for_each(|change| change.apply(&mut bytes, &inputs));
        check(&bytes);
        Ok(())
    });
    result.unwrap();
}

macro_rules! targets {
    ($($target:ident: $count:literal),* $(,)?) => {
        $(mod $target {
            use super::{properties, replay, vary};

            #[test]
            fn the_committed_inputs_hold_and_are_of_both_kinds() {
                replay(stringify!($target), properties::$target::check);
            }

            #[test]
            fn changes_of_the_committed_inputs_hold() {
                vary(stringify!($target), properties::$target::check, $count);
            }
        })*

        /// A target that is not replayed here would be forgotten.
        #[test]
        fn every_target_is_among_them() {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/targets");
            let mut targets: Vec<String> = fs::read_dir(folder)
                .unwrap()
                .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
                .collect();
            targets.sort();
            let mut here = [$(stringify!($target)),*];
            here.sort_unstable();
            assert_eq!(targets, here);
        }
    };
}

targets! {
    token: 2_000,
    key_document: 1_000,
    key_set: 1_000,
    configuration: 2_000,
    carriage: 4_000,
    jwe: 2_000,
    cpix: 1_000,
    events: 300,
}

#[test]
fn at_leisure_every_right_request_of_the_stories_goes_on_somewhere_and_no_wrong_one() {
    for (name, is_bad, decisions) in properties::events::expectations() {
        let goes_on = decisions.iter().any(|decision| matches!(decision, Decision::Allow(_) | Decision::Pass(_)));
        assert_eq!(goes_on, !is_bad, "{name}: {decisions:?}");
    }
}
