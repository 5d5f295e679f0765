//! What a CPIX document names as its content, and what the media type says of its bytes.

use super::cpix_documents::{CONTENT, RSA, cpix, query, signed, signed_case, with_query};
use super::keyring::keyring;
use super::{Case, Plugin, Request};
use crate::support::signer::CPIX;
use crate::support::token::Token;

/// A document that is about `movie-1` in UTF-8, and about EVIL to who is told that it is UTF-7.
fn utf7() -> String {
    format!(
        "<?xml version=\"1.0\"?><!-- +AC0ALQA+-<CPIX xmlns=\"urn:dashif:org:cpix\" contentId=\"EVIL\"><!+AC0ALQ-  -->{}<!-- \
         +AC0ALQA+-</CPIX><!+AC0ALQ- -->",
        "<CPIX xmlns=\"urn:dashif:org:cpix\" contentId=\"content-1\"/>"
    )
}

pub(super) fn cases(now: i64) -> Vec<Case> {
    [names(now), charsets(now)].concat()
}

fn post(now: i64) -> Request {
    Request::post("/cpix").token(Token::new(keyring().main()).audience(CPIX).compact(now))
}

fn names(now: i64) -> Vec<Case> {
    let document = |root: &str, inside: &str| {
        format!(
            "<CPIX xmlns=\"urn:dashif:org:cpix\" xmlns:c=\"urn:dashif:org:cpix\" xmlns:x=\"urn:x\"{root}><ContentKeyList>{inside}\
             </ContentKeyList></CPIX>"
        )
    };
    let case = |name: &str, root: &str, inside: &str| {
        let request = post(now).content_type("application/xml").body(document(root, inside));
        Case::new(format!("attack 73: {name}"), Plugin::BindContent, request)
    };
    let (right, other) = (" contentId=\"content-1\"", " contentId=\"content-2\"");
    let key = |attributes: &str| format!("<ContentKey kid=\"11111111-2222-4333-8444-555555555555\"{attributes}/>");
    vec![
        case("a key without a content of its own", right, &key("")).allowed(),
        case("a key of the same content", right, &key(right)).allowed(),
        case("a key of another content is 905", right, &(key("") + &key(other))).denied(905),
        case("the last key of many is of another content: 905", right, &(key(right).repeat(100) + &key(other)))
            .denied(905),
        case("a key of another content, with a prefix, is 905", right, "<c:ContentKey contentId=\"content-2\"/>")
            .denied(905),
        case(
            "a key of another content outside of the list is 905",
            right,
            "<a><b><ContentKey contentId=\"content-2\"/></b></a>",
        )
        .denied(905),
        case("a key of an empty content is 905", right, &key(" contentId=\"\"")).denied(905),
        case("a key of another namespace names nothing", right, "<x:ContentKey contentId=\"content-2\"/>").allowed(),
        case(
            "a content in another namespace names nothing",
            right,
            &key(" x:contentId=\"content-2\" c:contentId=\"content-2\""),
        )
        .allowed(),
        case("an element of another name names nothing", right, "<DRMSystem contentId=\"content-2\"/>").allowed(),
        case("the content of the keys alone", "", &key(right)).allowed(),
        case("another content of the keys alone is 905", "", &key(other)).denied(905),
        case("two contents of the keys alone are 905", "", &(key(right) + &key(other))).denied(905),
        case("an empty content of the keys alone is 903", "", &key(" contentId=\"\"")).denied(903),
        case("the id of the root, as SPEKE v1 has it", " id=\"content-1\"", &key("")).allowed(),
        case("another id of the root is 905", " id=\"content-2\"", &key("")).denied(905),
        case("an id in another case is 905", " id=\"Content-1\"", "").denied(905),
        case("an empty id is 903", " id=\"\"", "").denied(903),
        case("an xml:id names nothing: 903", " xml:id=\"content-1\"", "").denied(903),
        case("the id of a key names nothing: 903", "", &key(" id=\"content-1\"")).denied(903),
        case("contentId and the same id", " contentId=\"content-1\" id=\"content-1\"", "").allowed(),
        case("contentId and another id is 904", " contentId=\"content-1\" id=\"content-2\"", "").denied(904),
        case("another contentId and the right id is 904", " contentId=\"content-2\" id=\"content-1\"", "").denied(904),
        case("contentId and an empty id is 904", " contentId=\"content-1\" id=\"\"", "").denied(904),
        case("an empty contentId does not make the id count: 903", " contentId=\"\" id=\"content-1\"", "").denied(903),
        case("another id (904) before another content (905)", " contentId=\"content-3\" id=\"content-2\"", &key(other))
            .denied(904),
        case("nothing named (903) before another id (904)", " contentId=\"\" id=\"\"", "").denied(903),
    ]
}

fn charsets(now: i64) -> Vec<Case> {
    let case = |name: &str, content_type: &str| {
        let request = post(now).content_type(content_type).body(cpix(CONTENT));
        Case::new(format!("attack 72: {name}"), Plugin::BindContent, request)
    };
    let mut cases = vec![
        Case::new("attack 72: no media type", Plugin::BindContent, post(now).body(cpix(CONTENT))).allowed(),
        Case::new(
            "attack 72: a document that is another one in UTF-7 is 910",
            Plugin::BindContent,
            post(now).content_type("application/xml; charset=utf-7").body(utf7()),
        )
        .denied(910),
        Case::new(
            "attack 72: that document where nobody is told so",
            Plugin::BindContent,
            post(now).content_type("application/xml").body(utf7()),
        )
        .allowed(),
        Case::new(
            "attack 72: two media types are 910, whatever each says",
            Plugin::BindContent,
            post(now)
                .content_type("application/xml; charset=utf-8")
                .header("Content-Type", "application/xml; charset=utf-7")
                .body(cpix(CONTENT)),
        )
        .denied(910),
        Case::new(
            "attack 72: a charset of a document that is not read is no matter",
            Plugin::Reference,
            post(now).content_type("application/xml; charset=utf-7").body(cpix(CONTENT)),
        )
        .allowed(),
        Case::new(
            "attack 72: a charset without a token is 501",
            Plugin::BindContent,
            Request::post("/cpix").content_type("application/xml; charset=utf-7").body(cpix(CONTENT)),
        )
        .denied(501),
        signed_case(
            "attack 72: another charset is 910",
            with_query(&query("cpix-rsa"), signed(RSA)).content_type("application/xml; charset=iso-8859-1"),
        )
        .denied(910),
        signed_case(
            "attack 72: a key that is unknown (504) before another charset (910)",
            with_query(&query("nobody"), signed(RSA)).content_type("application/xml; charset=iso-8859-1"),
        )
        .denied(504),
        signed_case(
            "attack 72: a document in UTF-8",
            with_query(&query("cpix-rsa"), signed(RSA)).content_type("text/xml; charset=\"UTF-8\""),
        )
        .allowed(),
    ];
    for utf8 in [
        "application/xml; charset=utf-8",
        "text/xml;charset=UTF-8",
        "application/xml; Charset=\"Utf-8\"",
        "application/xml;version=1 ; charset = utf-8 ;x=y",
        "application/xml; charset=utf-8; charset=\"UTF-8\"",
        "application/xml; profile=\"a,b\"",
    ] {
        cases.push(case(&format!("{utf8} is read as what it is"), utf8).allowed());
    }
    for other in [
        "application/xml; charset=utf-7",
        "application/xml;CHARSET=\"UTF-16\"",
        "text/xml; charset=iso-8859-1",
        "text/xml; charset=us-ascii",
        "application/xml; charset=utf8",
        "application/xml; charset=",
        "application/xml; charset",
        "application/xml; charset=\"utf-8",
        "application/xml; charset=\"utf\\-8\"",
        "application/xml; charset='utf-8'",
        "application/xml; charset*=utf-7''utf-8",
        "application/xml; charset=utf-8; charset=utf-7",
        "application/xml; charset=utf-7; charset=utf-8",
        "application/xml; charset=utf-8,utf-7",
        "application/xml, application/xml; charset=utf-7",
        "application/xml; charset=utf-8, application/xml",
        "text/plain, application/xml; charset=utf-8",
        "application/xml; x=\"; charset=utf-7; y=\"",
        "application/xml charset=utf-7; charset=utf-8",
        "application/xml; charset=utf-8 charset=utf-7",
    ] {
        cases.push(case(&format!("{other} is 910"), other).denied(910));
    }
    cases
}
