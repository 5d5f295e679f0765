//! Tokens of a fixed moment from an independent source, with the code that each must get.

use serde_json::{Value, json};

use crate::proxy::{Outcome, Proxy};

#[test]
fn answers_every_token_of_the_corpus() {
    let corpus: Value = serde_json::from_str(include_str!("../corpus.json")).unwrap();
    // The corpus assumes a host that verifies every algorithm at native speed; this one says so by configuration.
    let configuration = json!({
        "keys": {"inline": {"keys": corpus["keys"]}},
        "allow_slow_algorithms": true,
        "routes": [{"path": "/cpix", "service": "cpix"}],
        "default_service": "license",
    });
    let mut failures = Vec::new();
    let cases = corpus["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 99);
    for case in cases {
        let text = |name: &str| case[name].as_str().unwrap();
        let mut proxy = Proxy::new(&configuration, case["at"].as_i64().unwrap());
        let header = |name: &str, value: &str| (name.to_owned(), value.as_bytes().to_vec());
        let request = vec![
            header(":method", "POST"),
            header(":path", &format!("/{}", text("service"))),
            header(":authority", "license.example.com"),
            header("authorization", text("token")),
        ];
        let got = match proxy.run(request, false) {
            Outcome::Forwarded { .. } => "ok",
            Outcome::Denied(denial) => denial.code().name(),
        };
        if got != text("expect") {
            failures.push(format!("{}: expected {}, got {got}", text("name"), text("expect")));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
