//! Where keys are asked for: authority, path, headers and the VM's variables; and the keys that need not be asked for.

use serde_json::{Value, json};

use super::{accepted, refused, refuses, with};
use crate::config::{KeyPath, KeySource};
use crate::jose::token::Kid;

fn source(configuration: &Value) -> KeySource {
    accepted(configuration).keys.source.clone().unwrap()
}

#[test]
fn the_authority_is_what_follows_the_last_bar_of_the_clusters_name() {
    for (cluster, authority) in [
        ("keys", "keys"),
        ("outbound|443||keys.example.com", "keys.example.com"),
        ("outbound|8080|v1|keys.ns.svc.cluster.local", "keys.ns.svc.cluster.local"),
        ("a|b:443", "b:443"),
    ] {
        assert_eq!(&*source(&with("keys.cluster", json!(cluster))).authority, authority);
    }
    let configured = json!({"keys": {"cluster": "outbound|443||a", "authority": "b:8443"}});
    assert_eq!(&*source(&configured).authority, "b:8443");
    assert_eq!(&*source(&configured).cluster, "outbound|443||a");
    refuses("keys.authority", &with("keys.cluster", json!("outbound|443||")));
    for bad in ["a b", "a\n", "ä", "\u{7f}"] {
        refuses("keys.authority", &with("keys.authority", json!(bad)));
    }
}

#[test]
fn the_path_decides_between_one_key_and_a_set() {
    let path = |path: &str| source(&with("keys.path", json!(path))).path;
    assert_eq!(path("/keys/{kid}"), KeyPath::OneKey("/keys/".into(), "".into()));
    assert_eq!(path("/{kid}"), KeyPath::OneKey("/".into(), "".into()));
    assert_eq!(path("/v1/{kid}/public.json?x=1"), KeyPath::OneKey("/v1/".into(), "/public.json?x=1".into()));
    assert_eq!(path("/keys?kid={kid}"), KeyPath::OneKey("/keys?kid=".into(), "".into()));
    assert_eq!(path("/.well-known/jwks.json"), KeyPath::Set("/.well-known/jwks.json".into()));
    assert_eq!(path("/%7Bkid%7D"), KeyPath::Set("/%7Bkid%7D".into()));
    for bad in [
        "",
        "keys/{kid}",
        "{kid}",
        "http://h/{kid}",
        "/{kid}/{kid}",
        "/{",
        "/}",
        "/{}",
        "/{KID}",
        "/{ kid}",
        "/{kid",
        "/kid}",
        "/{{kid}}",
        "/a b",
        "/a#{kid}",
        "/ä/{kid}",
        "/\n",
        "/\u{7f}",
        "/\0",
    ] {
        refuses("keys.path", &with("keys.path", json!(bad)));
    }
}

fn path_for(kid: &str) -> String {
    source(&with("keys.path", json!("/keys/{kid}/public"))).path.for_kid(&Kid::new(kid).unwrap())
}

#[test]
fn a_kid_is_one_segment_of_the_path_whatever_it_holds() {
    for (kid, segment) in [
        ("abcXYZ019-._~", "abcXYZ019-._~"),
        ("../../dev/null", "..%2F..%2Fdev%2Fnull"),
        ("a/b", "a%2Fb"),
        ("a\r\nhost: evil", "a%0D%0Ahost%3A%20evil"),
        ("\0", "%00"),
        ("|sleep 10", "%7Csleep%2010"),
        ("%2e%2e%2f", "%252e%252e%252f"),
        ("?a=b&c#d;e", "%3Fa%3Db%26c%23d%3Be"),
        ("{kid}", "%7Bkid%7D"),
        ("\\\"'<>^`+,:@!$*()[]=", "%5C%22%27%3C%3E%5E%60%2B%2C%3A%40%21%24%2A%28%29%5B%5D%3D"),
        ("ключ", "%D0%BA%D0%BB%D1%8E%D1%87"),
        ("\u{7f}\u{80}", "%7F%C2%80"),
    ] {
        assert_eq!(path_for(kid), format!("/keys/{segment}/public"), "{kid:?}");
    }
    let longest = "ü".repeat(128);
    assert_eq!(path_for(&longest), format!("/keys/{}/public", "%C3%BC".repeat(128)));
    assert_eq!(Kid::new(&format!("{longest}x")), None);
}

#[test]
fn headers_are_in_lower_case_and_once() {
    let headers =
        json!({"X-Api-Key": "k", "accept": "application/jwk+json", "!#$%&'*+-.^_`|~09": "\ttabs and blanks "});
    let source = source(&with("keys.headers", headers));
    let mut headers: Vec<(&str, &str)> = source.headers.iter().map(|(name, value)| (&**name, &**value)).collect();
    headers.sort_unstable();
    let expected =
        [("!#$%&'*+-.^_`|~09", "\ttabs and blanks "), ("accept", "application/jwk+json"), ("x-api-key", "k")];
    assert_eq!(headers, expected);
    for bad in [
        "",
        "a b",
        "a:",
        ":path",
        ":authority",
        "ä",
        "a\n",
        "Host",
        "connection",
        "Content-Length",
        "transfer-encoding",
        "TE",
        "upgrade",
        "If-None-Match",
    ] {
        let (path, line) = refused(&with("keys.headers", json!({bad: "v"})));
        assert!(path.starts_with("keys.headers."), "{bad:?}: {line}");
        assert!(!line.contains('\n'), "{line}");
    }
    refuses("keys.headers.a", &with("keys.headers", json!({"a": "1", "A": "2"})));
    for name in ["x_a", "X.A", "x!a"] {
        // Members come in the order of their names, so whichever is second is named.
        let (path, line) = refused(&with("keys.headers", json!({"x-a": "1", name: "2"})));
        assert!(path.starts_with("keys.headers.") && line.contains("each header name once"), "{line}");
    }
}

fn header(value: &str) -> String {
    source(&with("keys.headers.x-key", json!(value))).headers[0].1.to_string()
}

#[test]
fn header_values_take_variables_of_the_vm() {
    for (written, sent) in [
        ("plain", "plain"),
        ("", ""),
        ("${TOKEN}", "from-the-vm"),
        ("Bearer ${TOKEN}!", "Bearer from-the-vm!"),
        ("${TOKEN}${TOKEN}", "from-the-vmfrom-the-vm"),
        ("${EMPTY}", ""),
        ("$${TOKEN}", "${TOKEN}"),
        ("$${", "${"),
        ("$${$${TOKEN}", "${${TOKEN}"),
        ("$${a}${TOKEN}", "${a}from-the-vm"),
        ("$TOKEN $ $$ {TOKEN} }", "$TOKEN $ $$ {TOKEN} }"),
        ("${NESTED}", "${TOKEN}"),
    ] {
        assert_eq!(header(written), sent, "{written}");
    }
    for bad in ["${UNSET}", "${}", "${token}", "a ${TOKEN", "${", "$${a} ${", "${ TOKEN }", "${TO${TOKEN}}", "${LINES}"]
    {
        refuses("keys.headers.x-key", &with("keys.headers.x-key", json!(bad)));
    }
    assert!(refuses("keys.headers.x-key", &with("keys.headers.x-key", json!("${UNSET}"))).contains("\"UNSET\""));
    for bad in ["\n", "a\r\nb: c", "\0", "\u{7f}", "é"] {
        refuses("keys.headers.x-key", &with("keys.headers.x-key", json!(bad)));
    }
}

const ED25519: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

fn key(kid: &str) -> Value {
    json!({"kid": kid, "kty": "OKP", "crv": "Ed25519", "x": ED25519, "iss": "me"})
}

fn inline(keys: Value) -> Value {
    json!({"keys": {"inline": {"keys": keys}}})
}

#[test]
fn an_inline_set_holds_usable_keys_only() {
    let secret = json!({"kid": "s", "kty": "oct", "alg": "HS256", "k": ED25519, "iss": "me"});
    let gone = json!({"kid": "g", "status": "deleted"});
    let inline_text = |configuration: &Value| accepted(configuration).keys.inline.as_ref().unwrap().as_bytes().to_vec();
    assert_eq!(inline_text(&inline(json!([]))), br#"{"keys":[]}"#);
    assert!(!inline_text(&inline(json!([key("a"), key("b"), secret, gone]))).is_empty());

    let with = |name: &str, value: Value| {
        let mut key = key("bad");
        key[name] = value;
        key
    };
    let ownerless = json!({"kid": "bad", "kty": "OKP", "crv": "Ed25519", "x": ED25519});
    for bad in [
        with("x", json!("AA")),
        with("alg", json!("none")),
        with("use", json!(1)),
        with("d", json!(ED25519)),
        with("status", json!("on")),
        ownerless.clone(),
    ] {
        let line = refuses("keys.inline", &inline(json!([key("a"), bad])));
        assert!(line.contains("key bad: "), "it names the key: {line}");
        refuses("keys.inline", &inline(json!([bad])));
    }
    // A key of another purpose is none of the filter's; but without any other key there is none to verify with.
    assert!(!inline_text(&inline(json!([key("a"), with("use", json!("enc"))]))).is_empty());
    let line = refuses("keys.inline", &inline(json!([with("use", json!("enc"))])));
    assert!(line.contains("1 serve another purpose"), "{line}");
    for nameless in
        [json!({}), json!(7), json!(null), with("kid", json!(7)), with("kid", json!("..")), with("kid", json!(""))]
    {
        refuses("keys.inline", &inline(json!([key("a"), nameless])));
    }
    refuses("keys.inline", &inline(json!([key("a"), key("b"), key("a")])));
    let mut configured = inline(json!([ownerless]));
    configured["keys"]["issuer"] = json!("me");
    accepted(&configured);
}

#[test]
fn an_inline_set_is_a_set() {
    for bad in [json!({}), json!([]), json!("keys"), json!(7), json!({"keys": {}}), json!({"keys": null}), key("a")] {
        refuses("keys.inline", &json!({"keys": {"inline": bad}}));
    }
    let repeated = r#"{"keys":{"inline":{"keys":[],"keys":[]}}}"#;
    assert_eq!(super::refused_text(repeated).0, "keys.inline");
}
