//! What a tunnel may carry: MDRM-517 for anything else.

use mdrm_authz::denial::{Denial, JsonFault, TunnelFault};
use mdrm_authz::tunnel::CONTENT_TYPES;
use serde_json::{Value, json};

use super::{JWT, keys, open};
use crate::support::tunnel::Tunnel;

fn tunnel() -> (crate::support::tunnel::MasterKey, Tunnel) {
    let [key, _] = keys();
    let tunnel = Tunnel::new(&key, JWT);
    (key, tunnel)
}

/// The fault of a payload, or nothing.
fn fault(change: impl FnOnce(Tunnel) -> Tunnel) -> Option<Denial> {
    let (key, tunnel) = tunnel();
    open(&change(tunnel).body(), &key).err()
}

fn license_request(value: Value) -> Result<Vec<u8>, Denial> {
    let (key, tunnel) = tunnel();
    open(&tunnel.member("license_request", value).body(), &key).map(|request| request.license_request)
}

#[test]
fn attack_56_a_payload_is_one_strict_json_object_in_utf_8() {
    let good = r#""license_request":"AAAA","jwt":"a.b.c""#;
    for (plaintext, expected) in [
        (b"".to_vec(), JsonFault::Syntax),
        (b"x".to_vec(), JsonFault::Syntax),
        (vec![0; 65_536], JsonFault::Syntax),
        (b"[]".to_vec(), JsonFault::NotObject),
        (b"\"a.b.c\"".to_vec(), JsonFault::NotObject),
        (format!("{{{good}").into_bytes(), JsonFault::Syntax),
        (format!("{{{good}}}{{}}").into_bytes(), JsonFault::Syntax),
        (format!("\u{feff}{{{good}}}").into_bytes(), JsonFault::Syntax),
        ([b"{\"x\":\"\xff\",", good.as_bytes(), b"}"].concat(), JsonFault::NotUtf8),
        (format!("{{{good},\"x\":\"\\ud800\"}}").into_bytes(), JsonFault::LoneSurrogate),
        (format!("{{{good},\"jwt\":\"d.e.f\"}}").into_bytes(), JsonFault::MemberRepeated),
        (format!("{{{good},\"\\u006awt\":\"d.e.f\"}}").into_bytes(), JsonFault::MemberRepeated),
        (format!("{{{good},\"x\":{}1{}}}", "[".repeat(200), "]".repeat(200)).into_bytes(), JsonFault::TooDeep),
    ] {
        let got = fault(|tunnel| tunnel.plaintext(&plaintext));
        assert_eq!(got, Some(Denial::Tunnel(TunnelFault::Payload(expected))), "{}", plaintext.escape_ascii());
    }
    assert_eq!(fault(|tunnel| tunnel.plaintext(format!(" {{{good}}}\n"))), None);
}

#[test]
fn attack_56_license_request_and_jwt_are_strings_and_not_empty() {
    for name in ["license_request", "jwt"] {
        let expected = Some(Denial::Tunnel(TunnelFault::Member(name)));
        assert_eq!(fault(|tunnel| tunnel.without(name)), expected, "{name} missing");
        for value in [json!(""), json!(null), json!(1), json!(true), json!(["AAAA"]), json!({"AAAA": 1})] {
            assert_eq!(fault(|tunnel| tunnel.member(name, value.clone())), expected, "{name} {value}");
        }
    }
}

#[test]
fn a_license_request_is_base64_or_base64url_with_padding_or_without() {
    for (text, bytes) in [
        ("AA==", &b"\0"[..]),
        ("AA", b"\0"),
        ("AAA=", b"\0\0"),
        ("AAA", b"\0\0"),
        ("AAAA", b"\0\0\0"),
        ("+/+/", b"\xfb\xff\xbf"),
        ("-_-_", b"\xfb\xff\xbf"),
        ("+/8=", b"\xfb\xff"),
        ("-_8=", b"\xfb\xff"),
        ("+/8", b"\xfb\xff"),
        ("-_8", b"\xfb\xff"),
        ("CAQ=", b"\x08\x04"),
    ] {
        assert_eq!(license_request(json!(text)).unwrap(), bytes, "{text}");
    }
    for text in [
        "A",
        "AAAAA",
        "=",
        "==",
        "====",
        "AA=",
        "AA===",
        "AAA==",
        "AAAA=",
        "AAAA====",
        "AB==",
        "AB",
        "AAB=",
        "AAB",
        "+_+_",
        "-/-/",
        "+-8=",
        "A A=",
        " AAAA",
        "AAAA\n",
        "AAAA\r\nAAAA",
        "AA==AA==",
        "%41AAA",
        "AAA\u{0}",
        "ÄÄÄÄ",
        "AAA*",
    ] {
        let expected = Denial::Tunnel(TunnelFault::Member("license_request"));
        assert_eq!(license_request(json!(text)).unwrap_err(), expected, "{text:?}");
    }
}

#[test]
fn escapes_of_json_are_undone_before_anything_is_read() {
    let (key, tunnel) = tunnel();
    let payload =
        r#"{"license\u005frequest":"\/\/\u002b\/","jwt":"a\u002eb.c","content_type":"text\/xml; charset\u003dutf-8"}"#;
    let request = open(&tunnel.plaintext(payload).body(), &key).unwrap();
    assert_eq!(request.license_request, b"\xff\xff\xbf");
    assert_eq!(&*request.jwt, "a.b.c");
    assert_eq!(request.content_type, "text/xml; charset=utf-8");
}

#[test]
fn the_listed_content_types_are_taken_and_the_first_is_the_default() {
    let listed = [
        "application/octet-stream",
        "application/json",
        "text/xml; charset=utf-8",
        "application/x-www-form-urlencoded",
    ];
    assert_eq!(CONTENT_TYPES, listed);
    let (key, tunnel) = tunnel();
    for content_type in listed {
        assert_eq!(open(&tunnel.clone().content_type(content_type).body(), &key).unwrap().content_type, content_type);
    }
    assert_eq!(open(&tunnel.body(), &key).unwrap().content_type, listed[0]);
}

#[test]
fn attack_57_a_content_type_that_is_not_listed_is_refused() {
    let expected = Some(Denial::Tunnel(TunnelFault::Member("content_type")));
    for content_type in [
        "application/json\r\nx-mdrm-session: forged",
        "application/json\r\n",
        "application/json\n",
        "\r\n",
        "application/json\0",
        "",
        "text/html",
        "text/xml",
        "text/xml;charset=utf-8",
        "text/xml; charset=UTF-8",
        "Application/json",
        "application/json ",
        "application/json; charset=utf-8",
        "application/jose",
        "application/octet-stream, text/html",
    ] {
        assert_eq!(fault(|tunnel| tunnel.content_type(content_type)), expected, "{content_type:?}");
    }
    for value in [json!(null), json!(0), json!(["application/json"]), json!({}), json!(false)] {
        assert_eq!(fault(|tunnel| tunnel.member("content_type", value.clone())), expected, "{value}");
    }
}

#[test]
fn other_members_are_ignored() {
    assert_eq!(fault(|tunnel| tunnel.member("x", json!({"a": [1, null]})).member("exp", json!(-1))), None);
}

#[test]
fn a_token_is_taken_as_it_is() {
    for jwt in [" ", "a", "a.b.c.d.e", "\r\n", "Bearer a.b.c", "ä\0"] {
        let (key, tunnel) = tunnel();
        assert_eq!(&*open(&tunnel.member("jwt", json!(jwt)).body(), &key).unwrap().jwt, jwt);
    }
}
