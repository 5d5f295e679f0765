//! Attack 26: kids that are no strings, too long, or want to be something else on their way to the key service.

use serde_json::json;

use super::keyring::keyring;
use super::{Case, Plugin, Request};
use crate::support::token::Token;

pub(super) fn cases(now: i64) -> Vec<Case> {
    let main = keyring().main();
    let mut cases = Vec::new();
    let unknown = [
        json!(7),
        json!(null),
        json!([main.kid()]),
        json!({"kid": main.kid()}),
        json!(true),
        json!(""),
        json!(" "),
        json!(format!("{} ", main.kid())),
        json!(format!(" {}", main.kid())),
        json!(main.kid().to_lowercase()),
        json!(main.kid().to_uppercase()),
        json!("../../dev/null"),
        json!("."),
        json!(".."),
        json!("..."),
        json!("./"),
        json!("../keys/k-ES256"),
        json!("x/../k-ES256"),
        json!("/k-ES256"),
        json!("k-ES256/"),
        json!("k%2DES256"),
        json!("%2e%2e"),
        json!("%2e%2e%2fk-ES256"),
        json!("..\\..\\x"),
        json!("k-ES256?x=1"),
        json!("k-ES256#x"),
        json!("k-ES256;x"),
        json!("x' OR '1'='1"),
        json!("1; DROP TABLE keys --"),
        json!("|sleep 10"),
        json!("$(sleep 10)"),
        json!("`id`"),
        json!("k-ES256\r\nX-Injected: 1"),
        json!("\r\n\r\nGET / HTTP/1.1"),
        json!("k-ES256\0"),
        json!("\0"),
        json!("\u{1b}[31mred"),
        json!("k-\u{415}S256"),
        json!("\u{ff4b}-ES256"),
        json!("k\u{2010}ES256"),
        json!("\u{202e}652SE-k"),
        json!("http://127.0.0.1/attacker"),
        json!("{kid}"),
        json!("%"),
        json!("%00"),
        json!("\u{1f511}"),
        json!("a".repeat(256)),
        json!("\u{1f511}".repeat(64)),
        json!("<script>alert(1)</script>"),
        json!("\"quoted\""),
    ];
    for kid in unknown {
        let short: String = kid.to_string().chars().take(40).collect();
        cases.push(
            case(format!("attack 26: kid {short} is 504"), token().header("kid", kid.clone()).compact(now)).denied(504),
        );
    }
    for (name, kid) in [
        ("257 bytes", "a".repeat(257)),
        ("a thousand dots", ".".repeat(1000)),
        ("256 dots", ".".repeat(256)),
        ("260 bytes in 65 characters", "\u{1f511}".repeat(65)),
        ("5000 bytes", "a".repeat(5000)),
    ] {
        let compact = token().header("kid", json!(kid)).compact(now);
        cases.push(case(format!("attack 26: a kid of {name} is 504"), compact).denied(504));
    }
    let of = |kid: &str| Token::new(&main.under_kid(kid)).compact(now);
    cases.push(case("attack 26: a missing kid is 504", token().without_header("kid").compact(now)).denied(504));
    cases.push(case("a kid of 256 bytes that is registered is allowed", of(&"x".repeat(256))).allowed());
    cases.push(case("a kid of odd characters that is registered is allowed", of("sp ace/ü?#%&=+")).allowed());
    cases.push(case("a key with unknown members is allowed", of("with-unknown-members")).allowed());
    cases.push(case("a key with an exp to come is allowed", of("expires-late")).allowed());
    cases
}

fn token() -> Token {
    Token::new(keyring().main())
}

fn case(name: impl Into<String>, compact: String) -> Case {
    Case::new(name, Plugin::SlowAlgorithms, Request::post("/").token(compact))
}
