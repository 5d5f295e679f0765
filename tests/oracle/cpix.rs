//! CPIX requests with their documents through the core. How many is `ORACLE_DOCUMENTS` (2 000), which ones `ORACLE_SEED` (1).

use std::io::{BufRead, BufReader};

use serde_json::Value;

use super::core::Core;
use super::{Counts, SHOWN, answers, headers, latin, number, packages, script};

const DEFAULT_COUNT: u64 = 2_000;

#[test]
fn the_core_decides_about_cpix_documents_as_the_contract_does() {
    let (count, seed) = (number("ORACLE_DOCUMENTS", DEFAULT_COUNT), number("ORACLE_SEED", 1));
    let mut generator = script("cpix_requests.py", &packages(), [seed, count]).spawn().unwrap();
    let mut core: Option<Core> = None;
    let (mut agreed, mut differences) = (Counts::default(), Vec::new());
    for line in BufReader::new(generator.stdout.take().unwrap()).lines() {
        let value: Value = serde_json::from_str(&line.unwrap()).unwrap();
        if let Some(configuration) = value.get("config") {
            core = Some(Core::new(configuration, answers(&value["answers"])));
            continue;
        }
        let core = core.as_mut().expect("a world comes first");
        let body = latin(&value["body"]);
        let decided = core.decide_with_body(&headers(&value), Some(&body), value["now"].as_i64().unwrap());
        if decided == value["expected"] {
            agreed.add(&decided);
        } else {
            differences.push(format!(
                "core: {decided}, contract: {}\n{}\n{}",
                value["expected"],
                value["headers"],
                String::from_utf8_lossy(&body)
            ));
        }
    }
    assert!(generator.wait().unwrap().success(), "the generator failed");
    for (decision, times) in &agreed.0 {
        println!("{decision:8} {times:8}");
    }
    println!("agreed: {}, differences: {}", agreed.total(), differences.len());
    let shown: Vec<&str> = differences.iter().take(SHOWN).map(String::as_str).collect();
    assert!(differences.is_empty(), "{} differences\n{}", differences.len(), shown.join("\n\n"));
    assert_eq!(agreed.total(), count);
    if count >= DEFAULT_COUNT {
        for decision in "ok MDRM-903 MDRM-904 MDRM-905 MDRM-910 MDRM-914 MDRM-915 MDRM-916 MDRM-917 MDRM-918".split(' ')
        {
            assert!(agreed.0.contains_key(decision), "no request came to {decision}: the generator is lopsided");
        }
    }
}
