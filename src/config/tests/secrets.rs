//! What must never be printed: values of headers, and anything of a key.

use serde_json::{Value, json};

use super::{Config, accepted, environment, read, refused, with};

/// Stands for a secret in all of the following.
const SECRET: &str = "c2VjcmV0LW9mLXRoZS1vcGVyYXRvcg";

fn says_nothing(printed: &str) {
    assert!(!printed.contains(SECRET), "{printed}");
    assert!(!printed.contains("from-the-vm"), "{printed}");
}

fn refuses_silently(configuration: &Value) {
    let text = configuration.to_string();
    let refusal = read(&text).err().unwrap_or_else(|| panic!("accepted: {text}"));
    says_nothing(&refusal.to_string());
    says_nothing(&format!("{refusal:?}"));
    says_nothing(refusal.path());
}

fn secret_key() -> Value {
    json!({"kid": "a", "kty": "oct", "alg": "HS256", "iss": "me", "k": format!("{SECRET}{SECRET}")})
}

#[test]
fn an_accepted_configuration_prints_no_secret() {
    let configuration = json!({"keys": {
        "cluster": "keys",
        "headers": {"authorization": format!("Bearer {SECRET}"), "x-vm": "${TOKEN}"},
        "inline": {"keys": [secret_key()]},
    }});
    let config = accepted(&configuration);
    says_nothing(&format!("{config:?}"));
    says_nothing(&format!("{config:#?}"));
    let source = config.keys.source.as_ref().unwrap();
    assert!(format!("{source:?}").contains("<redacted>") && format!("{source:?}").contains("authorization"));
    assert!(source.headers.iter().any(|(_, value)| value.contains(SECRET)), "it is there all the same");
    assert!(source.headers.iter().any(|(_, value)| **value == *"from-the-vm"));
}

#[test]
fn a_refused_header_prints_no_value() {
    for headers in [
        json!({"authorization": [SECRET]}),
        json!({"authorization": {SECRET.to_lowercase(): SECRET}}),
        json!({"authorization": {"token": SECRET}}),
        json!({"authorization": format!("{SECRET}\n")}),
        json!({"authorization": format!("{SECRET}é")}),
        json!({"authorization": format!("${{TOKEN}}{SECRET}\u{7f}")}),
        json!({"authorization": format!("{SECRET}${{TOKEN")}),
        json!({"authorization": format!("{SECRET}${{UNSET}}{SECRET}")}),
        json!({"authorization": "${LINES}"}),
        json!({"host": SECRET}),
        json!({"a b": SECRET}),
        json!({"": SECRET}),
        json!({"a": SECRET, "A": SECRET}),
        json!(SECRET),
        json!([SECRET]),
        json!([{"name": "authorization", "value": SECRET}]),
    ] {
        refuses_silently(&with("keys.headers", headers.clone()));
        refuses_silently(&with("session", json!({"keys": {"cluster": "k", "headers": headers}, "issuer": 7})));
        refuses_silently(&with("trust_tunnel.keys", json!({"cluster": "k", "headers": headers, "path": 7})));
    }
    for number in [json!({"authorization": 82_736_455}), json!({"authorization": [82_736_455]}), json!(82_736_455)] {
        let (_, line) = refused(&with("keys.headers", number));
        assert!(!line.contains("82736455"), "{line}");
    }
}

#[test]
fn a_refused_inline_set_prints_nothing_of_its_keys() {
    let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    let good = json!({"kid": "b", "kty": "OKP", "crv": "Ed25519", "iss": "me", "x": x});
    let mut keys = vec![secret_key()];
    for (name, value) in [
        ("alg", json!("HS999")),
        ("alg", json!(null)),
        ("k", json!(SECRET)),
        ("k", json!([SECRET])),
        ("k", json!(format!("{SECRET}="))),
        ("d", json!(SECRET)),
        ("p", json!(SECRET)),
        ("q", json!(SECRET)),
        ("iss", json!([SECRET])),
        ("status", json!(SECRET)),
        ("use", json!([SECRET])),
        ("kty", json!(SECRET)),
    ] {
        let mut key = secret_key();
        key[name] = value;
        keys.push(key);
    }
    let mut private = good.clone();
    private["d"] = json!(SECRET);
    keys.push(private);
    for key in keys.iter().skip(1) {
        for set in [json!({"keys": [key]}), json!({"keys": [good, key]}), json!({"keys": [key, key]})] {
            refuses_silently(&json!({"keys": {"inline": set}}));
        }
    }
    for inline in [json!(SECRET), json!([SECRET]), json!({"keys": SECRET}), json!({"keys": [SECRET]}), secret_key()] {
        refuses_silently(&json!({"keys": {"inline": inline}}));
    }
}

#[test]
fn secrets_in_the_wrong_place_are_not_printed_either() {
    for configuration in [
        json!({"keys": SECRET}),
        json!({"keys": [secret_key()]}),
        json!({"keys": {"keys": [secret_key()]}}),
        json!({"keys": {"cluster": {"k": SECRET}}}),
        json!({"keys": {"cluster": "k", "k": SECRET}}),
        json!({"keys": {"cluster": "k", "authorization": SECRET}}),
        json!({"keys": {"cluster": "k"}, "headers": {"authorization": SECRET}}),
        json!({"keys": {"cluster": "k"}, "inline": {"keys": [secret_key()]}}),
        with("session.keys", json!(SECRET)),
        with("session.keys.d", json!(SECRET)),
        with("trust_tunnel.keys", json!([SECRET])),
    ] {
        refuses_silently(&configuration);
    }
}

#[test]
fn another_members_fault_prints_no_secret() {
    let mut configuration = json!({"keys": {
        "cluster": "keys",
        "headers": {"authorization": SECRET},
        "inline": {"keys": [secret_key()]},
    }});
    for (name, value) in [("timeout", json!("1d")), ("max_entries", json!(0)), ("path", json!("{")), ("more", json!(1))]
    {
        let good = configuration["keys"].clone();
        configuration["keys"][name] = value;
        refuses_silently(&configuration);
        configuration["keys"] = good;
    }
}

#[test]
fn a_text_that_is_cut_anywhere_prints_no_secret() {
    let text = json!({"keys": {
        "cluster": "keys",
        "headers": {"authorization": SECRET},
        "inline": {"keys": [secret_key()]},
    }})
    .to_string();
    read(&text).unwrap();
    for end in 0..text.len() {
        let refusal = Config::from_json(&text.as_bytes()[..end], &environment).unwrap_err();
        says_nothing(&format!("{refusal} {refusal:?}"));
    }
}
