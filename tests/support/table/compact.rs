//! The compact form: three parts of canonical base64url. Everything here is properly signed where there is something to sign, so that only
//! the form can be at fault.

use serde_json::json;

use super::keyring::keyring;
use super::{Case, Plugin, Request, Version};
use crate::support::signer::base64url;
use crate::support::token::Token;

pub(super) fn cases(now: i64) -> Vec<Case> {
    let mut cases = parts(now);
    cases.extend(alphabet(now));
    cases
}

fn token() -> Token {
    Token::new(keyring().main())
}

fn case(name: impl Into<String>, compact: impl AsRef<[u8]>) -> Case {
    Case::new(name, Plugin::Reference, Request::post("/widevine").token(compact))
}

/// Attacks 12, 15 and 20: how many parts.
fn parts(now: i64) -> Vec<Case> {
    let compact = token().compact(now);
    let parts: Vec<&str> = compact.split('.').collect();
    let [header, payload, signature] = parts[..] else { panic!("{compact}") };
    let flattened = json!({"protected": header, "payload": payload, "signature": signature});
    let general = json!({"payload": payload, "signatures": [{"protected": header, "signature": signature}]});
    vec![
        case("attack 12: no parts but dots are 502", "."),
        case("attack 12: three empty parts are 502", ".."),
        case("attack 12: one part is 502", header),
        case("attack 12: two parts are 502", format!("{header}.{payload}")),
        case("attack 12: four parts are 502", format!("{compact}.{signature}")),
        case("attack 12: five parts are 502", format!("{compact}.{signature}.{signature}")),
        case("attack 12: six parts are 502", format!("{compact}.{signature}.{signature}.{signature}")),
        case("attack 12: an empty header is 502", format!(".{payload}.{signature}")),
        case("attack 12: an empty payload is 502", format!("{header}..{signature}")),
        case("attack 12: header and payload empty are 502", format!("..{signature}")),
        case("attack 12: a trailing dot is 502", format!("{compact}.")),
        case("attack 12: a leading dot is 502", format!(".{compact}")),
        case("attack 12: two dots for one are 502", format!("{header}..{payload}.{signature}")),
        case("attack 15: the flattened JSON serialisation is 502", flattened.to_string()),
        case("attack 15: the general JSON serialisation is 502", general.to_string()),
        case("attack 15: the JSON serialisation in base64url is 502", base64url(flattened.to_string().as_bytes())),
        case("attack 15: a detached payload is 502", keyring().main().sign_parts(header, "")),
        case("attack 20: an encrypted token of five parts is 502", {
            let header = base64url(br#"{"alg":"dir","enc":"A256GCM","kid":"m1"}"#);
            format!("{header}..{}.{}.{}", base64url(&[1; 12]), base64url(&[2; 40]), base64url(&[3; 16]))
        }),
    ]
    .into_iter()
    .map(|case| case.denied(502))
    .chain([case("attack 12: three parts with an empty signature are 505", format!("{header}.{payload}.")).denied(505)])
    .collect()
}

/// Attacks 13 and 14: the alphabet, and bits that mean nothing.
fn alphabet(now: i64) -> Vec<Case> {
    let compact = token().compact(now);
    let mut cases = Vec::new();
    for (place, name) in ["header", "payload", "signature"].into_iter().enumerate() {
        let with_part = |change: &dyn Fn(&str) -> String| {
            let mut parts: Vec<String> = compact.split('.').map(str::to_owned).collect();
            parts[place] = change(&parts[place]);
            if place < 2 { keyring().main().sign_parts(&parts[0], &parts[1]) } else { parts.join(".") }
        };
        for (what, inserted) in
            [("+", "+"), ("/", "/"), ("*", "*"), ("~", "~"), ("!", "!"), ("%2E", "%2E"), ("?", "?"), ("#", "#")]
        {
            let inserted = with_part(&|part| format!("{}{inserted}{}", &part[..8], &part[8..]));
            cases.push(case(format!("attack 13: {what} in the {name} is 502"), inserted));
        }
        cases.push(case(format!("attack 13: padding behind the {name} is 502"), with_part(&|part| format!("{part}="))));
        cases.push(case(
            format!("attack 13: padding to four behind the {name} is 502"),
            with_part(&|part| format!("{part}{}", "=".repeat(usize::max(1, (4 - part.len() % 4) % 4)))),
        ));
        cases.push(case(
            format!("attack 14: a {name} of length 4n + 1 is 502"),
            with_part(&|part| {
                let whole = part.len() - part.len() % 4;
                format!("{}A", &part[..whole])
            }),
        ));
    }
    // Trailing bits: the same bytes, spelled with a last letter whose unused bits are set.
    let header = pad_to_remainder(|letters| token().header("x", json!("x".repeat(letters))).header_json(now));
    let payload = pad_to_remainder(|letters| token().claim("x", json!("x".repeat(letters))).payload_json(now));
    let (right_header, right_payload) =
        (base64url(token().header_json(now).as_bytes()), base64url(token().payload_json(now).as_bytes()));
    let signer = keyring().main();
    cases.push(case(
        "attack 14: set bits behind the header are 502",
        signer.sign_parts(&set_trailing_bit(&header), &right_payload),
    ));
    cases.push(case(
        "attack 14: set bits behind the payload are 502",
        signer.sign_parts(&right_header, &set_trailing_bit(&payload)),
    ));
    let (message, signature) = compact.rsplit_once('.').unwrap(); // 64 bytes: two unused bits
    cases.push(case(
        "attack 14: set bits behind the signature are 502",
        format!("{message}.{}", set_trailing_bit(signature)),
    ));
    let mut cases: Vec<Case> = cases.into_iter().map(|case| case.denied(502)).collect();
    cases.push(case("the same parts without set bits are allowed", signer.sign_parts(&header, &payload)).allowed());
    let with_cr = format!("{}\r{}", &compact[..30], &compact[30..]);
    let row = case("attack 13: a CR in the token is 502", with_cr).denied(502);
    cases.push(row.rewritten_by_envoy("the HTTP/1 codec drops single CRs from header values"));
    for (name, bytes) in [("an LF", b"\n"), ("a NUL", b"\0"), ("a DEL", b"\x7f")] {
        let value = [&compact.as_bytes()[..30], bytes, &compact.as_bytes()[30..]].concat();
        let request = Request::post("/widevine").token(value).version(Version::Http1);
        let name = format!("attack 13: {name} in the token is 502");
        cases.push(Case::new(name, Plugin::Reference, request).denied(502).or_codec(&[400]));
    }
    cases
}

/// The base64url of a JSON text whose length leaves a remainder of one byte, so that its last letter has four unused bits.
fn pad_to_remainder(text: impl Fn(usize) -> String) -> String {
    let text = (0..3).map(text).find(|text| text.len() % 3 == 1).unwrap();
    base64url(text.as_bytes())
}

fn set_trailing_bit(part: &str) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (rest, last) = part.split_at(part.len() - 1);
    let value = LETTERS.iter().position(|letter| *letter == last.as_bytes()[0]).unwrap();
    assert_eq!(value & 1, 0, "the last bit is unused");
    format!("{rest}{}", char::from(LETTERS[value | 1]))
}
