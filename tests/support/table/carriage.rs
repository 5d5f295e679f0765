//! The token in the header: its grammar, what counts as none, and what is no token at all.

use super::keyring::keyring;
use super::{Case, Plugin, Request, Version};
use crate::support::token::Token;

pub(super) fn cases(now: i64) -> Vec<Case> {
    let token = Token::new(keyring().main()).compact(now);
    let mut cases = grammar(&token);
    // Tokens of their own: where the filter leaves one, a log may hold it.
    cases.extend(elsewhere(&Token::new(keyring().main()).compact(now)));
    cases.extend(repeated(&token, now));
    cases.extend(forwarded(&Token::new(keyring().main()).compact(now)));
    cases.extend(sizes(now));
    cases
}

fn by_header(name: &str, value: impl AsRef<[u8]>) -> Case {
    Case::new(name, Plugin::Reference, Request::post("/widevine").token(value))
}

fn grammar(token: &str) -> Vec<Case> {
    let (head, tail) = token.split_at(20);
    vec![
        by_header("the bare token is accepted", token).allowed(),
        by_header("the scheme Bearer is accepted", format!("Bearer {token}")).allowed(),
        by_header("the scheme bearer is accepted", format!("bearer {token}")).allowed(),
        by_header("the scheme BEARER is accepted", format!("BEARER {token}")).allowed(),
        by_header("the scheme bEaReR is accepted", format!("bEaReR {token}")).allowed(),
        by_header("attack 1: an empty header is 501", "").denied(501),
        by_header("attack 1: a header of blanks is 501", "   ").denied(501),
        by_header("attack 2: Bearer alone is 501", "Bearer").denied(501),
        by_header("attack 2: bearer with a blank behind it is 501", "bearer ").denied(501),
        by_header("attack 2: bEARER with blanks around it is 501", "  bEARER  ").denied(501),
        by_header("attack 3: blanks before the token are trimmed", format!("  {token}")).allowed(),
        by_header("attack 3: blanks behind the token are trimmed", format!("{token}  ")).allowed(),
        by_header("attack 3: tabs around the token are trimmed", format!("\t{token}\t ")).allowed(),
        by_header("attack 3: blanks around scheme and token are trimmed", format!(" Bearer {token} ")).allowed(),
        by_header("two spaces after the scheme are accepted", format!("Bearer  {token}")).allowed(),
        by_header("many spaces after the scheme are accepted", format!("bearer{}{token}", " ".repeat(20))).allowed(),
        by_header("attack 3: a space and a tab after the scheme are 502", format!("Bearer \t{token}")).denied(502),
        by_header("attack 3: a plus after the scheme is 502 in a header", format!("Bearer+{token}")).denied(502),
        by_header("attack 3: a tab after the scheme is 502", format!("Bearer\t{token}")).denied(502),
        by_header("attack 3: a tab and a space after the scheme are 502", format!("Bearer\t {token}")).denied(502),
        by_header("attack 3: a space in the token is 502", format!("{head} {tail}")).denied(502),
        by_header("attack 3: two spaces in the token are 502", format!("{head}  {tail}")).denied(502),
        by_header("attack 3: a tab in the token is 502", format!("{head}\t{tail}")).denied(502),
        by_header("attack 3: a space in the token behind the scheme is 502", format!("Bearer {head} {tail}"))
            .denied(502),
        by_header("attack 3: a space before a dot is 502", token.replacen('.', " .", 1)).denied(502),
        by_header("attack 3: a leading comma is 502", format!(",{token}")).denied(502),
        by_header("attack 3: a trailing comma is 502", format!("{token},")).denied(502),
        by_header("attack 3: a quoted token is 502", format!("\"{token}\"")).denied(502),
        by_header("the scheme twice is 502", format!("Bearer Bearer {token}")).denied(502),
        by_header("the scheme without a space is 502", format!("Bearer{token}")).denied(502),
        by_header("the scheme with a colon is 502", format!("Bearer: {token}")).denied(502),
        by_header("another scheme alone is 502", "Basic dXNlcjpwYXNzd29yZA==").denied(502),
        by_header("another scheme with a right token is 502", format!("Token {token}")).denied(502),
        by_header("the scheme of AWS alone is 502", "AWS4-HMAC-SHA256 Credential=A/2/x, Signature=00").denied(502),
        by_header("attack 9: bytes that are no UTF-8 as a token are 502", b"\xff\xfe\xc3\x28").denied(502),
        by_header(
            "attack 9: a byte that is no UTF-8 in a token is 502",
            [head.as_bytes(), b"\xff", tail.as_bytes()].concat(),
        )
        .denied(502),
        by_header("attack 9: a byte that is no UTF-8 before a token is 502", [b"\xa0", token.as_bytes()].concat())
            .denied(502),
        by_header("attack 9: a scheme that is no UTF-8 is 502", [b"Bear\xffr ", token.as_bytes()].concat()).denied(502),
    ]
}

/// Attack 8, and headers that the filter reads beside the token.
fn elsewhere(token: &str) -> Vec<Case> {
    let case = |name: &str, request: Request| Case::new(name, Plugin::Reference, request);
    let fragment = Request::get(format!("/widevine#Authorization={token}")).version(Version::Http1);
    let noise = Request::post("/widevine")
        .token(token)
        .content_type(b"\xff\xfe")
        .header("Origin", b"\x80")
        .header("X-Request-Id", b"\xc3\x28")
        .header("Cookie", b"a=\xfe")
        .header("Access-Control-Request-Method", b"\xff")
        .header("X-HTTP-Method-Override", b"\xff");
    vec![
        case("attack 1: no header at all is 501", Request::get("/widevine")).denied(501),
        case("attack 8: a token in the fragment is 501", fragment).denied(501).or_codec(&[400]),
        case("attack 8: a token in the path is 501", Request::get(format!("/widevine/{token}"))).denied(501),
        case("attack 8: a token in the path after a parameter name is 501", {
            Request::get(format!("/widevine/Authorization={token}"))
        })
        .denied(501),
        case(
            "attack 8: a token in a cookie is 501",
            Request::get("/widevine").header("Cookie", format!("Authorization={token}")),
        )
        .denied(501),
        case("attack 8: a token in the body is 501", Request::post("/widevine").body(format!("Authorization={token}")))
            .denied(501),
        case("attack 8: a token in a form is 501", {
            let form = Request::post("/widevine").content_type("application/x-www-form-urlencoded");
            form.body(format!("Authorization={token}"))
        })
        .denied(501),
        case("attack 8: a token in Proxy-Authorization is 501", {
            Request::get("/widevine").header("Proxy-Authorization", format!("Bearer {token}"))
        })
        .denied(501),
        case("attack 8: a token in X-Authorization is 501", Request::get("/widevine").header("X-Authorization", token))
            .denied(501),
        case("attack 8: a token as access_token is 501", Request::get(format!("/widevine?access_token={token}")))
            .denied(501),
        case("attack 9: bytes that are no UTF-8 in other headers do not matter", noise.clone()).allowed(),
        case("attack 9: bytes that are no UTF-8 in other headers do not matter without a token", {
            let mut request = noise;
            request.headers.retain(|(name, _)| name != "Authorization");
            request
        })
        .denied(501),
        case("a chunked body is no matter", Request::post("/widevine").token(token).chunked()).allowed(),
        case("an empty body is no matter", Request::get("/widevine").token(token)).allowed(),
    ]
}

/// Attacks 4 and 5 as far as they are about headers.
fn repeated(token: &str, now: i64) -> Vec<Case> {
    let other = Token::new(keyring().main()).claim("sub", serde_json::json!("content-2")).compact(now);
    let twice = |name: &str, first: &str, second: &str| {
        Case::new(name, Plugin::Reference, Request::post("/widevine").token(first).header("authorization", second))
    };
    vec![
        twice("attack 4: two different Authorization headers are 502", token, &other).denied(502),
        twice("attack 4: the same Authorization header twice is 502", token, token).denied(502),
        twice("attack 4: a valid token before a bad one is 502", token, "x").denied(502),
        twice("attack 4: a bad token before a valid one is 502", "x", token).denied(502),
        twice("attack 4: an empty header before a valid one is 502", "", token)
            .denied(502)
            .rewritten_by_envoy("an empty header is dropped where repeated ones are joined"),
        twice("attack 4: another scheme beside a valid header is 502", "Basic dXNlcg==", token).denied(502),
        by_header("attack 4: two tokens in one header are 502", format!("{token},{other}")).denied(502),
        by_header("attack 4: two tokens in one header, comma and space, are 502", format!("{token}, {other}"))
            .denied(502),
    ]
}

fn forwarded(token: &str) -> Vec<Case> {
    let case = |name: &str, request: Request| Case::new(name, Plugin::ForwardToken, request);
    vec![
        case("with forward_token the header goes on as it came", Request::post("/widevine").token(token))
            .allowed()
            .with("authorization", token),
        case(
            "with forward_token the scheme goes on as it came",
            Request::post("/widevine").token(format!("bearer {token}")),
        )
        .allowed()
        .with("authorization", format!("bearer {token}")),
        case("with forward_token the query goes on as it came", {
            Request::post(format!("/widevine?a=1&Authorization={}&b=%zz", token.replace('.', "%2E")))
        })
        .allowed(),
        case("with forward_token both go on as they came", {
            Request::post(format!("/widevine?Authorization={token}")).token(token)
        })
        .allowed()
        .with("authorization", token),
        case("with forward_token a request without a token is 501", Request::post("/widevine")).denied(501),
        case("with forward_token x-mdrm headers are still removed", {
            Request::post("/widevine").token(token).header("X-Mdrm-Sub", "someone")
        })
        .allowed()
        .with("authorization", token)
        .lacking("x-mdrm-sub"),
    ]
}

/// Attack 11: long headers and tokens.
fn sizes(now: i64) -> Vec<Case> {
    let long = |letters: usize| {
        Token::new(keyring().main()).claim("padding", serde_json::json!("x".repeat(letters))).compact(now)
    };
    let case = |name: &str, plugin, token: String| Case::new(name, plugin, Request::post("/widevine").token(token));
    // Not every letter more makes the token longer by one: base64 has no length of 4n + 1.
    let exactly = |bytes: usize| {
        let tokens = (0..4).flat_map(|x| (5800..6100).map(move |letters| (x, letters))).map(|(x, letters)| {
            let token = Token::new(keyring().main()).header("x", serde_json::json!("x".repeat(x)));
            token.claim("padding", serde_json::json!("x".repeat(letters)))
        });
        let mut tokens = tokens.map(|token| token.compact(now));
        tokens.find(|token| token.len() == bytes).expect("some token has this length")
    };
    let fits = long(5400);
    let exceeds = long(6200);
    assert!((7500..=8192).contains(&fits.len()) && (8193..9000).contains(&exceeds.len()));
    let mut rows = vec![
        case("a token of almost 8 KiB is allowed", Plugin::Reference, fits.clone()).allowed(),
        case("the scheme does not count towards the token's length", Plugin::Reference, format!("Bearer {fits}"))
            .allowed(),
        case("a token of exactly 8 KiB is allowed", Plugin::Reference, exactly(8192)).allowed(),
        case("a token of one byte more than 8 KiB is 502", Plugin::Reference, exactly(8193)).denied(502),
        case("a token of over 8 KiB is 502", Plugin::Reference, exceeds.clone()).denied(502),
        case("a token of 40 KiB is allowed where the configuration says so", Plugin::LongTokens, long(30_000))
            .allowed(),
        case("a token longer than the configured 64 KiB is 502", Plugin::LongTokens, long(50_000)).denied(502),
        case("a usual token is 502 where 256 bytes are the limit", Plugin::ShortTokens, long(10)).denied(502),
        Case::new("a token of over 8 KiB in the query is 502", Plugin::Reference, {
            Request::post(format!("/widevine?Authorization={exceeds}"))
        })
        .denied(502),
        Case::new("the length of a token counts after decoding", Plugin::Reference, {
            let escaped: String = fits.bytes().map(|byte| format!("%{byte:02x}")).collect();
            Request::post(format!("/widevine?Authorization={escaped}"))
        })
        .allowed()
        .at("/widevine"),
    ];
    rows.push(case("attack 11: a token of 60 KiB is 502", Plugin::Reference, "x".repeat(60 * 1024)).denied(502));
    rows.push(case("attack 11: 60 KiB of dots are 502", Plugin::Reference, ".".repeat(60 * 1024)).denied(502));
    rows.push(
        case("attack 11: a million dots are 502", Plugin::Reference, ".".repeat(1_000_000))
            .denied(502)
            .or_codec(&[431]),
    );
    rows.push(
        Case::new("attack 11: a million dots in the query are 502", Plugin::Reference, {
            Request::get(format!("/widevine?Authorization={}", ".".repeat(1_000_000)))
        })
        .denied(502)
        .or_codec(&[414, 431]),
    );
    rows
}
