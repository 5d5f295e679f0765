//! Encrypted license requests: modes, form, master keys, what is inside, and what the upstream gets.

use serde_json::{Value, json};

use super::keyring::{self, keyring};
use super::{Case, Plugin, Request};
use crate::support::session::{Expected, LIFETIME};
use crate::support::token::Token;
use crate::support::tunnel::{KeyManagement, LICENSE_REQUEST, MEDIA_TYPE, Part, Tunnel};

pub(super) fn cases(now: i64) -> Vec<Case> {
    [
        modes(now),
        forms(now),
        undecryptable(now),
        master_keys(now),
        payloads(now),
        upstream(now),
        bodies(now),
        order(now),
    ]
    .concat()
}

fn main_token(now: i64) -> String {
    Token::new(keyring().main()).compact(now)
}

fn wrapping(token: impl Into<String>) -> Tunnel {
    Tunnel::new(keyring::master_key(KeyManagement::A256KW), token)
}

fn post(body: impl AsRef<[u8]>) -> Request {
    Request::post("/widevine").content_type(MEDIA_TYPE).body(body)
}

fn tunnel(name: &str, body: impl AsRef<[u8]>) -> Case {
    Case::new(format!("tunnel: {name}"), Plugin::TunnelPermissive, post(body))
}

/// The upstream gets what was inside.
fn opened(case: Case) -> Case {
    case.allowed().with_body(LICENSE_REQUEST).with("content-type", "application/octet-stream")
}

/// Three modes, two types of requests, and what the token says of the type.
fn modes(now: i64) -> Vec<Case> {
    let mut cases = Vec::new();
    for (plugin, mode) in
        [(Plugin::TunnelPermissive, "permissive"), (Plugin::TunnelEnforcing, "enforcing"), (Plugin::TunnelOff, "off")]
    {
        for claim in [None, Some("REST"), Some("Trust Tunnel")] {
            let token = Token::new(keyring().main());
            let token = claim.map_or(token.clone(), |claim| token.claim("drm_protocol", json!(claim))).compact(now);
            for is_tunnel in [false, true] {
                let request =
                    if is_tunnel { post(wrapping(&*token).body()) } else { Request::post("/widevine").token(&token) };
                let what = if is_tunnel { "a tunnel" } else { "a plain request" };
                let case = Case::new(format!("mode {mode}: {what} whose token says {claim:?}"), plugin, request);
                let fits = claim.is_none_or(|claim| (claim == "Trust Tunnel") == is_tunnel);
                cases.push(match (mode, is_tunnel) {
                    ("enforcing", false) | ("off", true) => case.denied(520),
                    ("permissive", _) if !fits => case.denied(521),
                    (_, true) => opened(case),
                    (_, false) => case.allowed(),
                });
            }
        }
        let no_body = Request::post("/widevine").content_type(MEDIA_TYPE).body("");
        let code = if mode == "off" { 520 } else { 517 };
        cases.push(Case::new(format!("mode {mode}: a tunnel without a body"), plugin, no_body).denied(code));
        let no_token =
            Case::new(format!("mode {mode}: a plain request without a token"), plugin, Request::post("/widevine"));
        cases.push(no_token.denied(if mode == "enforcing" { 520 } else { 501 }));
        let nowhere = Case::new(
            format!("mode {mode}: a plain request where no route leads"),
            plugin,
            Request::post("/nowhere").token(main_token(now)),
        );
        cases.push(nowhere.denied(if mode == "enforcing" { 520 } else { 503 }));
        let cpix = Case::new(
            format!("mode {mode}: a CPIX request is none of the tunnel's business"),
            plugin,
            Request::post("/cpix").content_type(MEDIA_TYPE).token(main_token(now)),
        );
        cases.push(cpix.denied(503));
    }
    cases.push(
        Case::new(
            "tunnel: where no route leads, a right one is 503",
            Plugin::TunnelPermissive,
            Request { path: b"/nowhere".to_vec(), ..post(wrapping(main_token(now)).body()) },
        )
        .denied(503),
    );
    cases.push(
        Case::new(
            "tunnel: on a CPIX route it is a body like any other",
            Plugin::TunnelPermissive,
            Request { path: b"/cpix".to_vec(), ..post(wrapping(main_token(now)).body()) },
        )
        .denied(501),
    );
    cases
}

fn forms(now: i64) -> Vec<Case> {
    let token = || main_token(now);
    let right = wrapping(token()).body();
    let parts: Vec<&str> = right.split('.').collect();
    let mut cases = vec![
        tunnel("attack 20: three parts are 517", token()).denied(517),
        tunnel("four parts are 517", parts[..4].join(".")).denied(517),
        tunnel("six parts are 517", format!("{right}.AA")).denied(517),
        tunnel("a line end behind it is 517", format!("{right}\n")).denied(517),
        tunnel("padding is 517", wrapping(token()).seal().body_with(Part::Tag, "AAAA====")).denied(517),
        tunnel("another alphabet is 517", wrapping(token()).seal().body_with(Part::Iv, "ab+/ab+/ab+/ab+/")).denied(517),
        tunnel("JSON serialization is 517", json!({"protected": parts[0], "ciphertext": parts[3]}).to_string())
            .denied(517),
        tunnel("bytes that are no text are 517", [0xff, 0xfe, b'.', b'.', b'.', b'.']).denied(517),
        tunnel("an encrypted key with dir: 517", {
            Tunnel::new(keyring::master_key(KeyManagement::Dir), token())
                .seal()
                .with(Part::EncryptedKey, [0; 40])
                .body()
        })
        .denied(517),
        tunnel(
            "attack 55: no encrypted key with A256KW: 517",
            wrapping(token()).seal().with(Part::EncryptedKey, []).body(),
        )
        .denied(517),
    ];
    for (name, value) in [
        ("alg", json!("RSA1_5")),
        ("alg", json!("RSA-OAEP")),
        ("alg", json!("A128KW")),
        ("alg", json!("PBES2-HS512+A256KW")),
        ("alg", json!("a256kw")),
        ("alg", json!("none")),
        ("alg", json!(["A256KW"])),
        ("alg", json!(null)),
        ("enc", json!("A128GCM")),
        ("enc", json!("A256CBC-HS512")),
        ("enc", json!(7)),
        ("zip", json!("DEF")),
        ("zip", json!(null)),
        ("crit", json!([])),
        ("kid", json!("")),
        ("kid", json!(7)),
        ("kid", json!(null)),
    ] {
        cases.push(
            tunnel(&format!("attack 53: {name} {value} is 517"), wrapping(token()).header(name, value).body())
                .denied(517),
        );
    }
    cases.push(
        tunnel(
            "attack 53: PBES2 with a count of 2^31 is 517",
            wrapping(token()).header("alg", json!("PBES2-HS256+A128KW")).header("p2c", json!(2_147_483_648_u64)).body(),
        )
        .denied(517),
    );
    for (name, header) in [
        ("an array", "[]"),
        ("empty", ""),
        ("cut", r#"{"alg":"A256KW""#),
        ("two texts", r#"{"alg":"A256KW"}{}"#),
        ("a repeated member", r#"{"alg":"A256KW","enc":"A256GCM","kid":"m-A256KW","\u0061lg":"dir"}"#),
    ] {
        cases.push(
            tunnel(&format!("a header that is {name}: 517"), wrapping(token()).header_text(header).body()).denied(517),
        );
    }
    for name in ["alg", "enc", "kid"] {
        cases.push(
            tunnel(&format!("a header without {name}: 517"), wrapping(token()).without_header(name).body()).denied(517),
        );
    }
    cases.push(opened(tunnel(
        "embedded keys and unknown members are ignored",
        wrapping(token()).header("jku", json!("https://x.example")).header("typ", json!("x")).body(),
    )));
    cases
}

/// Attack 54: whatever does not decrypt is one and the same answer.
fn undecryptable(now: i64) -> Vec<Case> {
    let sealed = || wrapping(main_token(now)).seal();
    let direct = || Tunnel::new(keyring::master_key(KeyManagement::Dir), main_token(now)).seal();
    let case = |name: String, body: String| tunnel(&format!("attack 54: {name} is 519"), body).denied(519);
    let mut cases = vec![
        case(
            "the key's alg is the other one".into(),
            Tunnel::new(&keyring::master_key(KeyManagement::A256KW).with_alg(KeyManagement::Dir), main_token(now))
                .body(),
        ),
        case(
            "another master key's content key".into(),
            wrapping(main_token(now)).header("kid", json!("m-A256KW")).seal().flip(Part::EncryptedKey, 3).body(),
        ),
        case("a header that was changed after sealing".into(), wrapping(main_token(now)).aad("other").body()),
        case("no ciphertext".into(), sealed().with(Part::Ciphertext, []).body()),
        case("an encrypted key of 32 bytes".into(), sealed().resize(Part::EncryptedKey, 32).body()),
        case("an encrypted key of 48 bytes".into(), sealed().resize(Part::EncryptedKey, 48).body()),
    ];
    for (part, sealed) in
        [Part::Iv, Part::Ciphertext, Part::Tag].into_iter().flat_map(|part| [(part, sealed()), (part, direct())])
    {
        let which = cases.len();
        cases.push(case(format!("{part:?} changed ({which})"), sealed.flip(part, 0).body()));
    }
    for length in [0, 4, 8, 12, 15, 17] {
        cases.push(case(format!("a tag of {length} bytes"), sealed().resize(Part::Tag, length).body()));
    }
    for length in [0, 8, 11, 13, 16] {
        cases.push(case(format!("an IV of {length} bytes"), sealed().resize(Part::Iv, length).body()));
    }
    cases
}

fn master_keys(now: i64) -> Vec<Case> {
    let of =
        |kid: &str| Tunnel::new(&keyring::master_key(KeyManagement::A256KW).under_kid(kid), main_token(now)).body();
    let mut cases = vec![
        opened(tunnel("dir opens", Tunnel::new(keyring::master_key(KeyManagement::Dir), main_token(now)).body())),
        opened(tunnel("A256KW opens", wrapping(main_token(now)).body())),
        tunnel("a kid of 257 bytes is 518", of(&"k".repeat(257))).denied(518),
        tunnel("a kid of dots is 518", of("..")).denied(518),
        tunnel("a key service that fails is 500", of("m-fails")).denied(500),
        Case::new("tunnel: a key service that does not answer is 500", Plugin::DeadMasterKeys, post(of("m-A256KW")))
            .denied(500),
        Case::new("tunnel: no master keys configured is 518, whatever the body", Plugin::Reference, post(""))
            .denied(518),
    ];
    for kid in ["nobody", "disabled", "deleted", "gone", "short", "signs", "misnamed", "public", "without-alg"] {
        cases.push(
            tunnel(&format!("a master key that is or stands for {kid}: 518"), of(&format!("m-{kid}"))).denied(518),
        );
    }
    cases.push(
        tunnel("attack 52b: the name of an access key is no master key's: 518", of("../keys/k-HS256")).denied(518),
    );
    cases
}

fn payloads(now: i64) -> Vec<Case> {
    let right = || wrapping(main_token(now));
    let inside = |name: &str, token: String| tunnel(&format!("a token inside that {name}"), wrapping(token).body());
    let main = || Token::new(keyring().main());
    let mut cases = vec![
        tunnel("attack 56: a payload that is not UTF-8 is 517", right().plaintext(b"\xff\xfe").body()).denied(517),
        tunnel("attack 56: a payload that is not JSON is 517", right().plaintext("license").body()).denied(517),
        tunnel("attack 56: a payload that is an array is 517", right().plaintext("[]").body()).denied(517),
        tunnel("an empty payload is 517", right().plaintext("").body()).denied(517),
        tunnel(
            "attack 57: line ends in content_type are 517",
            right().content_type("text/xml\r\nx-mdrm-session: x").body(),
        )
        .denied(517),
        tunnel("another content_type is 517", right().content_type("text/html").body()).denied(517),
        inside("is malformed is 502", "a.b".into()).denied(502),
        inside("has a blank is 502", format!("{} ", main_token(now))).denied(502),
        inside("names a scheme is 502", format!("Bearer {}", main_token(now))).denied(502),
        inside("is ours is 505", main().header("typ", json!("mdrm-session+jwt")).compact(now)).denied(505),
        inside("nobody's key signed is 504", main().header("kid", json!("nobody")).compact(now)).denied(504),
        inside("another key signed is 505", main().signed_by(keyring().stranger()).compact(now)).denied(505),
        inside("a deleted key signed is 512", Token::new(&keyring().main().under_kid("deleted")).compact(now))
            .denied(512),
        inside("is too old is 508", main().aged(600).compact(now)).denied(508),
        inside("is for another service is 503", main().audience("urn:verimatrix:cpix").compact(now)).denied(503),
    ];
    for member in ["license_request", "jwt"] {
        cases.push(
            tunnel(&format!("attack 56: a payload without {member} is 517"), right().without(member).body())
                .denied(517),
        );
        for value in [json!(""), json!(7), json!(null), json!(["a"])] {
            cases.push(
                tunnel(&format!("attack 56: {member} {value} is 517"), right().member(member, value).body())
                    .denied(517),
            );
        }
    }
    for content_type in
        ["application/octet-stream", "application/json", "text/xml; charset=utf-8", "application/x-www-form-urlencoded"]
    {
        let case = tunnel(&format!("the license request is {content_type}"), right().content_type(content_type).body());
        cases.push(case.allowed().with_body(LICENSE_REQUEST).with("content-type", content_type));
    }
    cases
}

fn upstream(now: i64) -> Vec<Case> {
    let token = main_token(now);
    let body = wrapping(&*token).body();
    let outer =
        |name: &str, request: Request| opened(Case::new(format!("tunnel: {name}"), Plugin::TunnelPermissive, request));
    let claims = json!({
        "sub": "content-1", "jti": "5d2c1f0e-token", "org": "company1", "access_kid": "k-ES256", "service": "license",
        "drm": "widevine", "drm_protocol": "Trust Tunnel", "claims": {"subscriber": "Test Sub"},
    });
    let session = Expected { kid: "s-es256".into(), claims, longest: LIFETIME };
    let payload = token.split('.').nth(1).unwrap().to_owned();
    let digests =
        post(&body).header("Digest", "sha-256=x").header("Content-MD5", "x").header("Content-Encoding", "identity");
    vec![
        outer("an outer token is not read and goes", post(&body).token("a.b.c")),
        outer("an outer header of another scheme goes", post(&body).token("Basic eA==")),
        outer("two outer headers go", post(&body).token("a").token("b")),
        outer(
            "an outer parameter goes",
            Request { path: b"/widevine?a=1&Authorization=%zz&Authorization=b&c".to_vec(), ..post(&body) },
        )
        .at("/widevine?a=1&c"),
        outer("digests of the outer body go", digests)
            .lacking("digest")
            .lacking("content-md5")
            .lacking("content-encoding"),
        outer("the media type in any case, with parameters", post(&body).content_type("Application/JOSE; v=1")),
        outer("attack 72: a charset is no matter", post(&body).content_type("application/jose; charset=utf-16")),
        outer("without its length", post(&body).chunked()),
        opened(Case::new(
            "tunnel: the token inside goes on, with a session token and claims",
            Plugin::TunnelForward,
            post(&body).token("outer"),
        ))
        .with("authorization", &token)
        .with("x-sub", "content-1")
        .with("x-jwt-payload", payload)
        .with_session("x-mdrm-session", "", session),
        tunnel(
            "the license request may be larger than the tunnel's text by far",
            wrapping(&*token).license_request([7; 100_000]).body(),
        )
        .allowed()
        .with_body([7; 100_000])
        .with("content-type", "application/octet-stream"),
    ]
}

/// Attack 58: bodies at the limit, and what the head says of them.
fn bodies(now: i64) -> Vec<Case> {
    let sized = |bytes: usize| {
        // Three bytes of the license request are four of the payload, and these are five and a third of the body; the kid fills up.
        let token = Token::new(keyring().of_alg(crate::support::signer::Alg::HS256)).without("subscriber").compact(now);
        let at = |request: usize, pad: usize| {
            wrapping(&*token).license_request(vec![7; request]).header("pad", json!("x".repeat(pad))).body()
        };
        let sizes = (0..12).flat_map(|pad| (1..400).map(move |request| (request, pad)));
        let mut bodies = sizes.map(|(request, pad)| (at(request, pad), vec![7; request]));
        bodies.find(|(body, _)| body.len() == bytes).unwrap_or_else(|| panic!("no body of {bytes} bytes"))
    };
    let small = |name: &str, request: Request| Case::new(format!("attack 58: {name}"), Plugin::SmallBodies, request);
    let mut cases = Vec::new();
    for chunked in [false, true] {
        let framed = |request: Request| if chunked { request.chunked() } else { request };
        let how = if chunked { "without its length" } else { "with its length" };
        for bytes in [1023, 1024] {
            let (body, inside) = sized(bytes);
            let case =
                small(&format!("a body of {bytes} bytes {how} is within the limit of 1024"), framed(post(&body)));
            cases.push(case.allowed().with_body(inside));
        }
        cases.push(small(&format!("a body of 1025 bytes {how} is 517"), framed(post(sized(1025).0))).denied(517));
    }
    cases.extend([
        small("a body that is compressed is 517", post(sized(1000).0).header("Content-Encoding", "gzip")).denied(517),
        small(
            "a body that is compressed after all is 517",
            post(sized(1000).0).header("Content-Encoding", "identity, br"),
        )
        .denied(517),
        small("no body in chunks is 517", post("").chunked()).denied(517),
    ]);
    cases
}

fn order(now: i64) -> Vec<Case> {
    let of = |kid: &str| Tunnel::new(&keyring::master_key(KeyManagement::A256KW).under_kid(kid), main_token(now));
    let case = |name: &str, plugin: Plugin, request: Request| Case::new(format!("order: {name}"), plugin, request);
    vec![
        case("the mode (520) before the form (517)", Plugin::TunnelOff, post("x")).denied(520),
        case(
            "the form (517) before the master key (518)",
            Plugin::TunnelPermissive,
            post(of("m-nobody").header("zip", json!("DEF")).body()),
        )
        .denied(517),
        case(
            "the form (517) before a name that no key has (518)",
            Plugin::TunnelPermissive,
            post(of("..").header("crit", json!(["x"])).body()),
        )
        .denied(517),
        case(
            "the master key (518) before the tag (519)",
            Plugin::TunnelPermissive,
            post(of("m-disabled").seal().flip(Part::Tag, 0).body()),
        )
        .denied(518),
        case(
            "the tag (519) before the payload (517)",
            Plugin::TunnelPermissive,
            post(of("m-A256KW").plaintext("x").seal().flip(Part::Tag, 0).body()),
        )
        .denied(519),
        case(
            "the payload (517) before the token inside (502)",
            Plugin::TunnelPermissive,
            post(of("m-A256KW").member("jwt", json!("a.b")).member("license_request", Value::Null).body()),
        )
        .denied(517),
        case(
            "a body that is announced too large (517) before its master key (518)",
            Plugin::SmallBodies,
            post(of("m-nobody").license_request([7; 2000]).body()),
        )
        .denied(517),
    ]
}
