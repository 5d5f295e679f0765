//! The token in the query: decoded once, one parameter, every other byte kept.

use super::keyring::keyring;
use super::{Case, Plugin, Request};
use crate::support::signer::CPIX;
use crate::support::token::Token;

pub(super) fn cases(now: i64) -> Vec<Case> {
    let token = Token::new(keyring().main()).compact(now);
    let mut cases = removal(&token, now);
    cases.extend(decoding(&token));
    // A token of its own: where the filter leaves it, a log may hold it.
    cases.extend(other_names(&Token::new(keyring().main()).compact(now)));
    cases.extend(both_places(&token, now));
    cases
}

fn query(name: &str, query: impl AsRef<str>) -> Case {
    Case::new(name, Plugin::Reference, Request::post(format!("/widevine?{}", query.as_ref())))
}

fn removal(token: &str, now: i64) -> Vec<Case> {
    let mut cases = Vec::new();
    for (sent, kept) in [
        ("Authorization=T", ""),
        ("Authorization=T&a=1", "?a=1"),
        ("a=1&Authorization=T", "?a=1"),
        ("a=1&Authorization=T&b=2", "?a=1&b=2"),
        ("a=%zz&Authorization=T&%zz=b&c=%2541", "?a=%zz&%zz=b&c=%2541"),
        ("a=b=c&Authorization=T&=&d", "?a=b=c&=&d"),
        ("a;b&Authorization=T&c+d=e", "?a;b&c+d=e"),
        ("&Authorization=T&&b", "?&&b"),
        ("authorization=x&Authorization=T&AUTHORIZATION=y", "?authorization=x&AUTHORIZATION=y"),
        ("Authorization2=x&Authorization=T&xAuthorization=y", "?Authorization2=x&xAuthorization=y"),
        ("q=a?b/c@d:e&Authorization=T", "?q=a?b/c@d:e"),
        ("token=a.b.c&Authorization=T", "?token=a.b.c"),
    ] {
        let fill = |text: &str| text.replace("Authorization=T", &format!("Authorization={token}"));
        let name = format!("a token in the query {sent:?} is allowed, the rest of the query stays");
        cases.push(query(&name, fill(sent)).allowed().at(&format!("/widevine{}", fill(kept))));
    }
    cases.push(
        query("the scheme Bearer may stand in the query", format!("Authorization=Bearer%20{token}&a=1"))
            .allowed()
            .at("/widevine?a=1"),
    );
    let cpix = Token::new(keyring().main()).audience(CPIX).compact(now);
    cases.push(
        Case::new("a CPIX token may stand in the query", Plugin::Reference, {
            Request::post(format!("/cpix/v2?Authorization={cpix}"))
        })
        .allowed()
        .at("/cpix/v2"),
    );
    cases
}

fn decoding(token: &str) -> Vec<Case> {
    let escaped = token.replace('.', "%2E");
    let everything: String = token.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let twice = token.replace('.', "%252E");
    let (head, tail) = token.split_at(30);
    vec![
        query("a token in the query is percent-decoded", format!("Authorization={escaped}")).allowed().at("/widevine"),
        query("escapes in lower case are decoded", format!("Authorization={}", token.replace('.', "%2e")))
            .allowed()
            .at("/widevine"),
        query("a token may be escaped as a whole", format!("Authorization={everything}")).allowed().at("/widevine"),
        query("a token in the query is decoded once only", format!("Authorization={twice}")).denied(502),
        query("a plus between the scheme and the token is a blank", format!("a=1&Authorization=Bearer+{token}"))
            .allowed()
            .at("/widevine?a=1"),
        query("a plus after a scheme in another spelling is a blank", format!("Authorization=b%45aRer+{escaped}"))
            .allowed()
            .at("/widevine"),
        query("a plus and a space after the scheme are blanks", format!("Authorization=Bearer+%20{token}"))
            .allowed()
            .at("/widevine"),
        query("two pluses after the scheme are 502", format!("Authorization=Bearer++{token}")).denied(502),
        query("an escaped plus after the scheme is 502", format!("Authorization=Bearer%2B{token}")).denied(502),
        query("a plus before the scheme is 502", format!("Authorization=+Bearer+{token}")).denied(502),
        query("a plus after another scheme is 502", format!("Authorization=Token+{token}")).denied(502),
        query("a plus behind the token is 502", format!("Authorization=Bearer+{token}+")).denied(502),
        query("a plus in a token is 502", format!("Authorization={head}+{tail}")).denied(502),
        query("an escaped space in a token is 502", format!("Authorization={head}%20{tail}")).denied(502),
        query("two spaces after the scheme in the query are accepted", format!("Authorization=Bearer%20%20{token}"))
            .allowed()
            .at("/widevine"),
        query("attack 1: an empty parameter is 501", "Authorization=").denied(501),
        query("attack 1: a parameter without a value is 501", "Authorization").denied(501),
        query("attack 1: an empty parameter among others is 501", "a=1&Authorization=&b=2").denied(501),
        query("attack 2: Bearer alone in the query is 501", "Authorization=Bearer").denied(501),
        query("attack 7: a bad escape in the parameter is 502", format!("Authorization=%zz{token}")).denied(502),
        query("attack 7: a cut escape in the parameter is 502", format!("Authorization={token}%4")).denied(502),
        query("attack 7: a lone percent sign in the parameter is 502", format!("Authorization={token}%")).denied(502),
        query("attack 7: an escaped NUL behind the token is 502", format!("Authorization={token}%00")).denied(502),
        query("attack 7: an escaped NUL alone is 502", "Authorization=%00").denied(502),
        query("attack 7: an overlong dot is 502", format!("Authorization={}", token.replacen('.', "%C0%AE", 1)))
            .denied(502),
        query("attack 7: an overlong slash is 502", format!("Authorization={token}%C0%AF")).denied(502),
        query("attack 7: a byte that is no UTF-8 is 502", format!("Authorization=%FF{token}")).denied(502),
        query("attack 13: an escaped CR LF in the parameter is 502", format!("Authorization={token}%0D%0A"))
            .denied(502),
        query("attack 13: an escaped CR LF in the token is 502", format!("Authorization={head}%0D%0A{tail}"))
            .denied(502),
        query("attack 13: an escaped fragment in the parameter is 502", format!("Authorization={token}%23x"))
            .denied(502),
        query("attack 13: a question mark in the parameter is 502", format!("Authorization={token}?x")).denied(502),
        query("attack 13: padding in the parameter is 502", format!("Authorization={token}=")).denied(502),
        query("attack 13: an equals sign before the token is 502", format!("Authorization=={token}")).denied(502),
    ]
}

/// What looks like the parameter and is none, or not surely.
fn other_names(token: &str) -> Vec<Case> {
    vec![
        query("the parameter's name is compared with its case: lower", format!("authorization={token}")).denied(501),
        query("the parameter's name is compared with its case: upper", format!("AUTHORIZATION={token}")).denied(501),
        query("the parameter's name is compared as a whole", format!("XAuthorization={token}")).denied(501),
        query("a name that becomes Authorization by decoding is 502", format!("%41uthorization={token}")).denied(502),
        query("a name that becomes Authorization by decoding in part is 502", format!("Authorizatio%6e={token}"))
            .denied(502),
        query("a name that becomes Authorization by decoding is 502 without a value", "%41uthorization").denied(502),
        query("a name that becomes Authorization by decoding is 502 beside a token", {
            format!("Authorization={token}&%41uthorization=x")
        })
        .denied(502),
        query("a name that becomes authorization by decoding is another name", "%61uthorization=x").denied(501),
        query("a semicolon does not separate", format!("a=1;Authorization={token}")).denied(501),
        query("a semicolon does not end a value", format!("Authorization={token};a=1")).denied(502),
        query("a second question mark does not separate", format!("a=1?Authorization={token}")).denied(501),
        query("an escaped ampersand does not separate", format!("a=1%26Authorization={token}")).denied(501),
    ]
}

/// Attacks 5 and 6: the token in both places, and a parameter twice.
fn both_places(token: &str, now: i64) -> Vec<Case> {
    let other = Token::new(keyring().main()).claim("sub", serde_json::json!("content-2")).compact(now);
    let expired = Token::new(keyring().main()).aged(600).compact(now);
    let both = |name: &str, header: &str, parameter: &str| {
        let path = format!("/widevine?a=1&Authorization={parameter}");
        Case::new(name, Plugin::Reference, Request::post(path).token(header))
    };
    let aws = "AWS4-HMAC-SHA256 Credential=AKID/20260101/eu/x, SignedHeaders=host, Signature=00ff";
    vec![
        both("the same token in header and query is fine", token, token).allowed().at("/widevine?a=1"),
        both("the same token in header and query is fine, with a scheme once", &format!("Bearer {token}"), token)
            .allowed()
            .at("/widevine?a=1"),
        both("the same token in header and query is fine, escaped once", token, &token.replace('.', "%2E"))
            .allowed()
            .at("/widevine?a=1"),
        both("attack 5: two different valid tokens in header and query are 502", token, &other).denied(502),
        both("attack 5: a valid header and a malformed query are 502", token, "x").denied(502),
        both("attack 5: a malformed header and a valid query are 502", "x", token).denied(502),
        both("attack 5: a bad escape in the query beside a valid header is 502", token, "%zz").denied(502),
        both("attack 5: tokens that differ in one byte are 502", token, &format!("{token}A")).denied(502),
        both("an empty header counts as absent beside a token in the query", "", token).allowed().at("/widevine?a=1"),
        both("a bare scheme counts as absent beside a token in the query", "Bearer", token)
            .allowed()
            .at("/widevine?a=1"),
        both("an empty parameter counts as absent beside a token in the header", token, "").allowed().at_any_path(),
        both("another scheme beside a token in the query stays", aws, token)
            .allowed()
            .at("/widevine?a=1")
            .with("authorization", aws),
        both("the scheme Basic beside a token in the query stays", "Basic dXNlcjpwYXNz", token)
            .allowed()
            .at("/widevine?a=1")
            .with("authorization", "Basic dXNlcjpwYXNz"),
        both("another scheme beside a bad token in the query is decided by the query", aws, "x").denied(502),
        both("another scheme beside an expired token in the query is decided by the query", aws, &expired).denied(508),
        both("another scheme beside an empty parameter is alone", aws, "").denied(502),
        query("attack 6: a parameter twice is 502", format!("Authorization={token}&Authorization={other}")).denied(502),
        query("attack 6: an equal parameter twice is 502", format!("Authorization={token}&Authorization={token}"))
            .denied(502),
        query("attack 6: an empty parameter and a token are 502", format!("Authorization=&Authorization={token}"))
            .denied(502),
        query(
            "attack 6: a token and a parameter without a value are 502",
            format!("Authorization={token}&a&Authorization"),
        )
        .denied(502),
        query("attack 6: two empty parameters are 502", "Authorization=&Authorization=").denied(502),
        both("attack 6: a parameter twice beside a header is 502", token, &format!("{token}&Authorization={token}"))
            .denied(502),
    ]
}
