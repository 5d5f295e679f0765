//! SECURITY.md names tests, files and codes: each of them is there.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use mdrm_authz::denial::Code;

const SECURITY: &str = include_str!("../../SECURITY.md");

fn sources(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && path.file_name().unwrap() != "node_modules" {
            sources(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&fs::read_to_string(path).unwrap());
        }
    }
}

/// What stands between backticks.
fn quoted() -> impl Iterator<Item = &'static str> {
    SECURITY.lines().flat_map(|line| line.split('`').skip(1).step_by(2))
}

#[test]
fn every_test_that_security_md_names_is_there() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut text = String::new();
    ["src", "tests"].iter().for_each(|folder| sources(&top.join(folder), &mut text));
    let is_name = |word: &&str| {
        word.matches('_').count() >= 3
            && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    // Options of Envoy look alike.
    let of_envoy = ["allow_on_headers_stop_iteration", "ignore_port_in_host_matching", "strip_trailing_host_dot"];
    let named: BTreeSet<&str> = quoted().filter(is_name).filter(|name| !of_envoy.contains(name)).collect();
    assert!(named.len() > 30, "{named:?}");
    let missing: Vec<&str> = named.into_iter().filter(|name| !text.contains(&format!("fn {name}("))).collect();
    assert!(missing.is_empty(), "no such tests: {missing:?}");
}

#[test]
fn every_file_that_security_md_links_is_there() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let links: Vec<&str> = SECURITY.split("](").skip(1).filter_map(|rest| rest.split(')').next()).collect();
    assert!(links.len() > 10);
    for link in links {
        assert!(top.join(link).exists(), "{link} is not there");
    }
}

#[test]
fn security_md_says_of_each_code_what_a_stranger_learns() {
    let (_, rest) = SECURITY.split_once("## What each code tells a stranger").unwrap();
    let section = rest.split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| MDRM-"));
    let told: Vec<String> = rows
        .flat_map(|row| row.split('|').nth(1).unwrap().split([',', ';']))
        .map(|code| format!("MDRM-{}", code.trim().trim_start_matches("MDRM-")))
        .collect();
    let once: BTreeSet<&str> = told.iter().map(String::as_str).collect();
    assert_eq!(once.len(), told.len(), "a code stands twice: {told:?}");
    assert_eq!(once, Code::ALL.iter().map(|code| code.name()).collect());
}
