//! `tests/ATTACKS.md` names tests that there are, and leaves out no number.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::support::table::table;

const LIST: &str = include_str!("../ATTACKS.md");

/// Number and tests of each row.
fn rows() -> impl Iterator<Item = (&'static str, &'static str)> {
    LIST.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| |") && !line.starts_with("| ---")).map(
        |line| {
            let cells: Vec<&str> = line.trim_matches('|').split(" | ").collect();
            (cells[0].trim(), *cells.last().unwrap())
        },
    )
}

/// The names of all functions of a test crate.
fn functions(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            functions(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let names = text.lines().filter_map(|line| line.trim().strip_prefix("fn ")?.split(['(', '<']).next());
            found.extend(names.map(str::to_owned));
        }
    }
}

#[test]
fn every_number_is_listed_once() {
    let listed: Vec<&str> = rows().map(|(number, _)| number).collect();
    let mut expected: Vec<String> = (1..=67).map(|number| number.to_string()).collect();
    expected.insert(52, "52b".to_owned());
    expected.push("79".to_owned());
    assert_eq!(listed, expected);
}

#[test]
fn every_test_of_the_list_exists() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let of = |folder: &str| {
        let mut found = BTreeSet::new();
        functions(&tests.join(folder), &mut found);
        found
    };
    let (e2e, native) = (of("e2e"), of("native"));
    let table: Vec<String> = table(1_764_000_000).into_iter().map(|case| case.name).collect();
    let mut missing = Vec::new();
    for (number, cell) in rows() {
        let mut crate_ = None;
        let mut count = 0;
        for word in cell.split([' ', ',', ';']) {
            match word {
                "table" => {
                    count += 1;
                    let start = format!("attack {number}: ");
                    if !table.iter().any(|name| name.contains(&start)) {
                        missing.push(format!("{number}: no row of the table"));
                    }
                }
                "e2e" => crate_ = Some(&e2e),
                "native" => crate_ = Some(&native),
                _ => {
                    let Some(name) = word.strip_prefix('`') else { continue };
                    count += 1;
                    let name = name.trim_end_matches('`');
                    if !crate_.expect("a test has its crate before it").contains(name) {
                        missing.push(format!("{number}: {name}"));
                    }
                }
            }
        }
        if count == 0 {
            missing.push(format!("{number}: no test"));
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}
