//! Header and payload: one JSON object each, in UTF-8, no name twice, not too deep. Everything here is properly signed.

use serde_json::json;

use super::keyring::keyring;
use super::{Case, Plugin, Request};
use crate::support::token::Token;

pub(super) fn cases(now: i64) -> Vec<Case> {
    let mut cases = json_texts(now);
    cases.extend(repeated_members(now));
    cases.extend(nesting(now));
    cases.extend(strings(now));
    cases
}

fn token() -> Token {
    Token::new(keyring().main())
}

fn case(name: impl Into<String>, compact: impl AsRef<[u8]>) -> Case {
    Case::new(name, Plugin::Reference, Request::post("/widevine").token(compact))
}

/// Attack 16: what is not one JSON object in UTF-8.
fn json_texts(now: i64) -> Vec<Case> {
    let (header, payload) = (token().header_json(now), token().payload_json(now));
    let key = keyring().main();
    let inner = |text: &str| text[1..text.len() - 1].to_owned();
    let spoil = |right: &str| -> Vec<(&'static str, Vec<u8>)> {
        let text = |text: String| text.into_bytes();
        vec![
            ("an empty array", text("[]".into())),
            ("an array around the object", text(format!("[{right}]"))),
            ("a string", text(json!(right).to_string())),
            ("a number", text("7".into())),
            ("null", text("null".into())),
            ("true", text("true".into())),
            ("white space only", text("  ".into())),
            ("plain text", text("foo".into())),
            ("a NUL byte only", vec![0]),
            ("a byte order mark before it", text(format!("\u{feff}{right}"))),
            ("UTF-16", right.encode_utf16().flat_map(u16::to_le_bytes).collect()),
            ("a second object behind it", text(format!("{right}{{}}"))),
            ("a letter behind it", text(format!("{right}x"))),
            ("a NUL byte behind it", text(format!("{right}\0"))),
            ("a comma behind its last member", text(format!("{{{},}}", inner(right)))),
            ("a comma before its first member", text(format!("{{,{}}}", inner(right)))),
            ("NaN for a value", text(format!("{{{},\"x\":NaN}}", inner(right)))),
            ("Infinity for a value", text(format!("{{{},\"x\":Infinity}}", inner(right)))),
            ("-Infinity for a value", text(format!("{{{},\"x\":-Infinity}}", inner(right)))),
            ("a hexadecimal number", text(format!("{{{},\"x\":0x10}}", inner(right)))),
            ("a leading zero", text(format!("{{{},\"x\":01}}", inner(right)))),
            ("a number that ends with its dot", text(format!("{{{},\"x\":1.}}", inner(right)))),
            ("a number that starts with its dot", text(format!("{{{},\"x\":.5}}", inner(right)))),
            ("a plus sign", text(format!("{{{},\"x\":+1}}", inner(right)))),
            ("a comment", text(format!("{{/* x */{}}}", inner(right)))),
            ("a line comment", text(format!("{{// x\n{}}}", inner(right)))),
            ("single quotes", text(format!("{{{},'x':1}}", inner(right)))),
            ("a bare name", text(format!("{{{},x:1}}", inner(right)))),
            ("a member without a value", text(format!("{{{},\"x\":}}", inner(right)))),
            ("no closing brace", text(format!("{{{}", inner(right)))),
            ("a raw line break in a string", text(format!("{{{},\"x\":\"a\nb\"}}", inner(right)))),
            ("a raw NUL in a string", text(format!("{{{},\"x\":\"a\0b\"}}", inner(right)))),
            ("an unknown escape", text(format!("{{{},\"x\":\"\\x41\"}}", inner(right)))),
            ("a cut escape", text(format!("{{{},\"x\":\"\\u12\"}}", inner(right)))),
            ("a byte that is no UTF-8", [text(format!("{{{},\"x\":\"", inner(right))), b"\xff\"}".to_vec()].concat()),
            ("an overlong slash", [text(format!("{{{},\"x\":\"", inner(right))), b"\xc0\xaf\"}".to_vec()].concat()),
            (
                "a surrogate in UTF-8",
                [text(format!("{{{},\"x\":\"", inner(right))), b"\xed\xa0\x80\"}".to_vec()].concat(),
            ),
        ]
    };
    let mut cases = Vec::new();
    for (what, text) in spoil(&header) {
        cases.push(
            case(format!("attack 16: a header with {what} is 502"), key.sign(&text, payload.as_bytes())).denied(502),
        );
    }
    for (what, text) in spoil(&payload) {
        cases.push(
            case(format!("attack 16: a payload with {what} is 502"), key.sign(header.as_bytes(), &text)).denied(502),
        );
    }
    let spaced = |text: &str| format!(" \r\n\t{{ {} }}\n", inner(text).replace("\":", "\" : "));
    cases.push(
        case("white space of JSON is fine", key.sign(spaced(&header).as_bytes(), spaced(&payload).as_bytes()))
            .allowed(),
    );
    cases
}

/// Attack 17: a member name twice at the top level, spelled alike or not.
fn repeated_members(now: i64) -> Vec<Case> {
    vec![
        case("attack 17: alg twice is 502", token().append_header(r#""alg":"ES256""#).compact(now)).denied(502),
        case("attack 17: alg twice, once none, is 502", token().append_header(r#""alg":"none""#).compact(now))
            .denied(502),
        case("attack 17: alg twice, once escaped, is 502", token().append_header(r#""\u0061lg":"ES256""#).compact(now))
            .denied(502),
        case("attack 17: kid twice is 502", token().append_header(r#""kid":"nobody""#).compact(now)).denied(502),
        case(
            "attack 17: kid twice, once escaped, is 502",
            token().append_header(r#""k\u0069d":"nobody""#).compact(now),
        )
        .denied(502),
        case("attack 17: an unknown header member twice is 502", token().append_header(r#""x":1,"x":1"#).compact(now))
            .denied(502),
        case("attack 17: iss twice is 502", token().append_claim(r#""iss":"company2""#).compact(now)).denied(502),
        case("attack 17: iss twice and equal is 502", token().append_claim(r#""iss":"company1""#).compact(now))
            .denied(502),
        case("attack 17: exp twice is 502", token().append_claim(r#""exp":9999999999"#).compact(now)).denied(502),
        case("attack 17: aud twice, once escaped, is 502", token().append_claim(r#""a\u0075d":"x""#).compact(now))
            .denied(502),
        case("attack 17: an unknown claim twice is 502", token().append_claim(r#""x":1,"x":2"#).compact(now))
            .denied(502),
        case("attack 17: an empty name twice is 502", token().append_claim(r#""":1,"":2"#).compact(now)).denied(502),
        case("names that differ in case are two names", token().append_claim(r#""ISS":"x","Iss":"y""#).compact(now))
            .allowed(),
        case("a name twice deeper down is no matter", token().raw_claim("x", r#"{"a":1,"a":2}"#).compact(now))
            .allowed(),
        case("a name twice in different objects is no matter", token().raw_claim("x", r#"{"iss":"y"}"#).compact(now))
            .allowed(),
        case("a name spelled with an escape is that name", {
            token()
                .without_header("kid")
                .append_header(&format!(r#""\u006bid":"{}""#, keyring().main().kid()))
                .compact(now)
        })
        .allowed(),
    ]
}

/// Attack 18: how deep.
fn nesting(now: i64) -> Vec<Case> {
    let arrays = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let objects = |depth: usize| format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
    let claim = |text: String| token().raw_claim("x", &text).compact(now);
    let header = |text: String| token().raw_header("x", &text).compact(now);
    let long = |name: &str, compact: String| Case::new(name, Plugin::LongTokens, Request::post("/").token(compact));
    vec![
        case("nesting of 128 is allowed", claim(arrays(127))).allowed(),
        case("nesting of 128 in the header is allowed", header(arrays(127))).allowed(),
        case("nesting of 128 objects is allowed", claim(objects(127))).allowed(),
        case("attack 18: nesting of 129 is 502", claim(arrays(128))).denied(502),
        case("attack 18: nesting of 129 in the header is 502", header(arrays(128))).denied(502),
        case("attack 18: nesting of 129 objects is 502", claim(objects(128))).denied(502),
        case("attack 18: nesting of 2000 is 502", claim(arrays(2000))).denied(502),
        long("attack 18: nesting of 10 000 is 502", claim(arrays(10_000))).denied(502),
        long("attack 18: nesting of 10 000 in the header is 502", header(arrays(10_000))).denied(502),
        long("attack 18: nesting of 40 000 without an end is 502", claim("[".repeat(40_000))).denied(502),
        case("attack 18: nesting of a million is 502", claim("[".repeat(1_000_000))).denied(502).or_codec(&[431]),
    ]
}

/// Attack 19: odd strings.
fn strings(now: i64) -> Vec<Case> {
    let claim = |text: &str| token().raw_claim("sub", text).compact(now);
    let mut cases: Vec<Case> =
        [r#""\ud800""#, r#""a\udc00b""#, r#""\ud83d""#, r#""\udc00\ud83d""#, r#""\ud83dx""#, r#""\ud800\u0041""#]
            .into_iter()
            .flat_map(|text| {
                [
                    case(format!("attack 19: a lone surrogate in a claim, {text}, is 502"), claim(text)),
                    case(
                        format!("attack 19: a lone surrogate in the header, {text}, is 502"),
                        token().raw_header("x", text).compact(now),
                    ),
                    case(format!("attack 19: a lone surrogate deeper down, {text}, is 502"), {
                        token().raw_claim("x", &format!("[{{\"a\":{text}}}]")).compact(now)
                    }),
                    case(format!("attack 19: a lone surrogate in a name, {text}, is 502"), {
                        token().append_claim(&format!("{text}:1")).compact(now)
                    }),
                ]
            })
            .map(|case| case.denied(502))
            .collect();
    let key_with = |kid: &str| token().header("kid", json!(kid)).compact(now);
    let main = keyring().main().kid();
    cases.extend([
        case("a pair of surrogates is a character", claim(r#""\ud83d\ude00""#)).allowed(),
        case("attack 19: a NUL in the subject is a character like others", claim(r#""a\u0000b""#)).allowed(),
        case(
            "attack 19: right-to-left marks in the subject are characters like others",
            claim("\"\u{202e}a\u{200f}\""),
        )
        .allowed(),
        case(
            "attack 19: a NUL in the issuer makes it another",
            token().raw_claim("iss", r#""company1\u0000""#).compact(now),
        )
        .denied(505),
        case("attack 19: a right-to-left mark in the issuer makes it another", {
            token().claim("iss", json!("company1\u{200f}")).compact(now)
        })
        .denied(505),
        case("attack 19: a NUL in the kid makes it another", key_with(&format!("{main}\0"))).denied(504),
        case("attack 19: a right-to-left mark in the kid makes it another", key_with(&format!("{main}\u{202e}")))
            .denied(504),
        case(
            "attack 19: a composed and a decomposed letter are two",
            token().claim("iss", json!("compa\u{6e}\u{303}y1")).compact(now),
        )
        .denied(505),
        Case::new("attack 19: a string of 40 KiB is a string", Plugin::LongTokens, {
            Request::post("/").token(token().claim("sub", json!("s".repeat(40_000))).compact(now))
        })
        .allowed(),
        Case::new("attack 19: an issuer of 40 KiB is another", Plugin::LongTokens, {
            Request::post("/").token(token().claim("iss", json!("company1".repeat(5_000))).compact(now))
        })
        .denied(505),
    ]);
    cases
}
