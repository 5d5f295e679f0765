//! Headers for the upstream: what they may be called, and which claims they can carry.

use hyper::header::HeaderValue;
use mdrm_authz::jose::json::Object;
use mdrm_authz::upstream::{HeaderUse, Unfit, claim_header, is_writable_header};

/// The header for a claim of this spelling.
fn header(claim: &str) -> Result<String, Unfit> {
    let text = format!(r#"{{"c":{claim}}}"#);
    claim_header(Object::parse(text.as_bytes()).unwrap().get("c").unwrap())
}

#[test]
fn carries_strings_numbers_and_booleans() {
    let long = "a".repeat(60 * 1024);
    for (claim, value) in [
        (r#""subscriber""#, "subscriber"),
        (r#""a b,c;d=\"e\"\\""#, r#"a b,c;d="e"\"#),
        (r#""\u0061\/""#, "a/"),
        (r#""!~""#, "!~"),
        (r#""true""#, "true"),
        ("1", "1"),
        ("1.50", "1.50"),
        ("-0", "-0"),
        ("1E400", "1E400"),
        ("12345678901234567890123", "12345678901234567890123"),
        ("true", "true"),
        ("false", "false"),
        (&format!("\"{long}\""), &long),
    ] {
        assert_eq!(header(claim).as_deref(), Ok(value));
        assert_eq!(HeaderValue::from_str(value).unwrap().to_str().unwrap(), value);
    }
}

#[test]
fn attack_43_leaves_out_what_no_header_can_hold() {
    for (claim, reason) in [
        ("null", Unfit::NotScalar),
        ("{}", Unfit::NotScalar),
        ("[]", Unfit::NotScalar),
        (r#"["a"]"#, Unfit::NotScalar),
        (r#"{"a":1}"#, Unfit::NotScalar),
        (r#""""#, Unfit::Empty),
        (r#"" ""#, Unfit::Blanks),
        (r#"" a""#, Unfit::Blanks),
        (r#""a ""#, Unfit::Blanks),
        (r#""\ta""#, Unfit::Control),
        (r#""a\tb""#, Unfit::Control),
        (r#""a\r\nx-admin: 1""#, Unfit::Control),
        (r#""\n""#, Unfit::Control),
        (r#""a\u0000""#, Unfit::Control),
        (r#""a\u007f""#, Unfit::Control),
        (r#""\u001b[31m""#, Unfit::Control),
        (r#""\u00e4\n""#, Unfit::Control),
        (r#""ä""#, Unfit::NonAscii),
        (r#""\u0085""#, Unfit::NonAscii),
        (r#""\u00a0a""#, Unfit::NonAscii),
        (r#""a\u202eb""#, Unfit::NonAscii),
        (r#""\ud83d\ude00""#, Unfit::NonAscii),
        (r#"" ä""#, Unfit::NonAscii),
    ] {
        assert_eq!(header(claim), Err(reason), "{claim}");
    }
}

#[test]
fn writes_no_header_that_the_message_or_the_proxy_relies_on() {
    for name in [
        "",
        ":path",
        ":authority",
        "host",
        "Host",
        "content-length",
        "Content-Type",
        "content-",
        "content-anything",
        "transfer-encoding",
        "connection",
        "te",
        "upgrade",
        "x-forwarded-for",
        "X-Forwarded-Client-Cert",
        "x-envoy-original-path",
        "x-request-id",
        "x-mdrm-would-deny",
        "keep-alive",
        "proxy-connection",
        "a b",
        "a:",
        " a",
        "a\n",
        "a\0",
        "ä",
        "a,b",
        "\"a\"",
    ] {
        for header_use in [HeaderUse::Claims, HeaderUse::SessionToken] {
            for forward_token in [false, true] {
                assert!(!is_writable_header(name, header_use, forward_token), "{name:?}");
            }
        }
    }
}

#[test]
fn writes_every_other_header() {
    for name in [
        "x-mdrm-session",
        "X-Mdrm-Sub",
        "x-mdrm-would-deny-not",
        "x-subscriber",
        "contents",
        "content",
        "x-content-type",
        "x-forwarded",
        "x-envoy",
        "x-request-id-2",
        "hosts",
        "tea",
        "trailer",
        "cookie",
        "proxy-authorization",
        "a",
        "!#$%&'*+-.^_`|~09",
    ] {
        for header_use in [HeaderUse::Claims, HeaderUse::SessionToken] {
            assert!(is_writable_header(name, header_use, false), "{name:?}");
        }
    }
}

#[test]
fn authorization_is_free_for_a_session_token_that_replaces_the_clients() {
    for name in ["authorization", "Authorization"] {
        assert!(is_writable_header(name, HeaderUse::SessionToken, false));
        assert!(!is_writable_header(name, HeaderUse::SessionToken, true));
        assert!(!is_writable_header(name, HeaderUse::Claims, false));
        assert!(!is_writable_header(name, HeaderUse::Claims, true));
    }
}
