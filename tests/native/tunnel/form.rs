//! What is refused before any key is touched: MDRM-517, and MDRM-518 for a name that no key can have.

use mdrm_authz::denial::{Denial, JsonFault, TunnelFault};
use mdrm_authz::jose::jwe::UntrustedJwe;
use serde_json::{Value, json};

use super::{JWT, form, keys, malformed, nameless};
use crate::support::signer::{Alg, SigningKey};
use crate::support::token::Token;
use crate::support::tunnel::{KeyManagement, MasterKey, Part, Tunnel};

/// RFC 7516 appendix A.1: RSA-OAEP and A256GCM.
const RFC_7516_A1: &str = "eyJhbGciOiJSU0EtT0FFUCIsImVuYyI6IkEyNTZHQ00ifQ.OKOawDo13gRp2ojaHV7LFpZcgV7T6DVZKTyKOMTYUmKoTCVJRgckCL\
    9kiMT03JGeipsEdY3mx_etLbbWSrFr05kLzcSr4qKAq7YN7e9jwQRb23nfa6c9d-StnImGyFDbSv04uVuxIp5Zms1gNxKKK2Da14B8S4rzVRltdYwam_lDp5XnZAYpQdb\
    76FdIKLaVmqgfwX7XWRxv2322i-vDxRfqNzo_tETKzpVLzfiwQyeyPGLBIO56YJ7eObdv0je81860ppamavo35UgoRdbYaBcoh9QcfylQr66oc6vFWXRcZ_ZT2LawVCWT\
    Iy3brGPi6UklfCpIMfIjf7iGdXKHzg.48V1_ALb6US04U3b.5eym8TW_c8SuK0ltJ3rpYIzOeDQz7TALvtu6UG9oMo4vpzs9tX_EFShS8iB7j6jiSdiwkIr3ajwQzaBtQ\
    D_A.XFBoMYUZodetZdvTiFvSkQ";
/// RFC 7516 appendix A.3: A128KW and A128CBC-HS256.
const RFC_7516_A3: &str = "eyJhbGciOiJBMTI4S1ciLCJlbmMiOiJBMTI4Q0JDLUhTMjU2In0.6KB707dM9YTIgHtLvtgWQ8mKwboJW3of9locizkDTHzBC2IlrT1oOQ\
    .AxY8DCtDaGlsbGljb3RoZQ.KDlTtXchhZTGufMYmOYGS4HffxPSUrfmqCHXaI9wOGY.U0m_YmjN04DJvceFICbCVQ";
/// RFC 7520 section 5.6, header, IV and tag: dir and A128GCM.
const RFC_7520_5_6: &str = "eyJhbGciOiJkaXIiLCJraWQiOiI3N2M3ZTJiOC02ZTEzLTQ1Y2YtODY3Mi02MTdiNWI0NTI0M2EiLCJlbmMiOiJBMTI4R0NNIn0..ref\
    a467QzzKx6QAB..vbb32Xvllea2OtmHAdccRQ";

/// The same body with each key, as the outcome of its form.
fn each(tunnel: impl Fn(&MasterKey) -> String) -> [Result<(), Denial>; 2] {
    keys().map(|key| form(tunnel(&key).as_bytes()))
}

#[track_caller]
fn assert_each(expected: Result<(), Denial>, tunnel: impl Fn(&MasterKey) -> String) {
    assert_eq!(each(&tunnel), [expected.clone(), expected], "{}", tunnel(&keys()[0]));
}

#[test]
fn attack_20_a_tunnel_takes_exactly_five_parts() {
    let token = Token::new(&SigningKey::generate("k", Alg::ES256)).compact(1_764_000_000);
    let body = Tunnel::new(&keys()[0], JWT).body();
    let bodies = [
        "".to_owned(),
        ".".to_owned(),
        "...".to_owned(),
        token,
        format!("{body}."),
        format!(".{body}"),
        format!("{body}.AA"),
        body.rsplit_once('.').unwrap().0.to_owned(),
        body.split_once('.').unwrap().1.to_owned(),
        body.replace('.', ""),
        ".".repeat(1_000_000),
        format!("{{\"ciphertext\":\"{}\"}}", body.replace('.', "")),
    ];
    for body in bodies {
        assert_eq!(form(body.as_bytes()), malformed(TunnelFault::NotFiveParts), "{body:.80}");
    }
    assert_eq!(form(b"...."), malformed(TunnelFault::Header(JsonFault::Syntax)));
}

#[test]
fn every_part_is_canonical_base64url() {
    let sealed = Tunnel::new(&MasterKey::generate("m1", KeyManagement::A256KW), JWT).seal();
    assert_eq!(form(sealed.body().as_bytes()), Ok(()));
    for part in Part::ALL {
        let text = sealed.texts()[part as usize].clone();
        let last_changed = |last: char| format!("{}{last}", &text[..text.len() - 1]);
        let texts = [
            format!("{text}="),
            format!("{text}=="),
            format!("{text}A==="),
            format!(" {text}"),
            format!("{text} "),
            format!("{text}\n"),
            format!("{text}\r\n"),
            format!("{}\r\n{}", &text[..4], &text[4..]),
            format!("+{}", &text[1..]),
            format!("/{}", &text[1..]),
            format!("{text}?"),
            format!("%41{text}"),
            format!("\u{feff}{text}"),
            format!("ä{text}"),
            last_changed('*'),
            "A".to_owned(),
            "AAAAA".to_owned(),
            // Bits that belong to no byte.
            "AB".to_owned(),
            "AAB".to_owned(),
        ];
        for text in texts {
            let body = sealed.body_with(part, &text);
            assert_eq!(form(body.as_bytes()), malformed(TunnelFault::NotBase64Url), "{part:?} {text:?}");
        }
        let mut bytes = sealed.body().into_bytes();
        let at = sealed.texts().iter().take(part as usize).map(|text| text.len() + 1).sum::<usize>();
        bytes[at] = 0xff;
        assert_eq!(form(&bytes), malformed(TunnelFault::NotBase64Url), "{part:?} and not UTF-8");
    }
}

#[test]
fn white_space_around_the_body_is_not_tolerated() {
    let body = Tunnel::new(&keys()[0], JWT).body();
    for body in [format!("{body}\n"), format!("{body}\r\n"), format!(" {body}"), format!("\u{feff}{body}")] {
        assert_eq!(form(body.as_bytes()), malformed(TunnelFault::NotBase64Url), "{body:?}");
    }
}

#[test]
fn the_header_is_one_strict_json_object() {
    let nested = |levels: usize| format!("{{\"q\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
    let good = r#""alg":"A256KW","enc":"A256GCM","kid":"m1""#;
    for (header, fault) in [
        (String::new(), JsonFault::Syntax),
        ("[]".to_owned(), JsonFault::NotObject),
        ("\"A256KW\"".to_owned(), JsonFault::NotObject),
        ("null".to_owned(), JsonFault::NotObject),
        (format!("{{{good}}} "), JsonFault::Syntax),
        (format!("\u{feff}{{{good}}}"), JsonFault::Syntax),
        (format!("{{{good}}}{{}}"), JsonFault::Syntax),
        (format!("{{{good},}}"), JsonFault::Syntax),
        (format!("{{{good},\"a\":NaN}}"), JsonFault::Syntax),
        (format!("{{{good},\"alg\":\"dir\"}}"), JsonFault::MemberRepeated),
        (format!("{{{good},\"\\u0061lg\":\"dir\"}}"), JsonFault::MemberRepeated),
        (format!("{{{good},\"kid\":\"m1\"}}"), JsonFault::MemberRepeated),
        (format!("{{{good},\"a\":\"\\ud800\"}}"), JsonFault::LoneSurrogate),
        (nested(128), JsonFault::TooDeep),
        (nested(1_000_000), JsonFault::TooDeep),
    ] {
        // White space after an object is JSON.
        let expected = if header.ends_with(' ') { Ok(()) } else { malformed(TunnelFault::Header(fault)) };
        let body = Tunnel::new(&keys()[0], JWT).header_text(&header).body();
        assert_eq!(form(body.as_bytes()), expected, "{header:.80}");
    }
    let body = Tunnel::new(&keys()[0], JWT).header_text(b"{\"a\":\"\xff\"}").body();
    assert_eq!(form(body.as_bytes()), malformed(TunnelFault::Header(JsonFault::NotUtf8)));
}

#[test]
fn attack_53_only_the_listed_algorithms_are_taken() {
    let algs = [
        "A128KW",
        "A192KW",
        "A128GCMKW",
        "A192GCMKW",
        "A256GCMKW",
        "RSA1_5",
        "RSA-OAEP",
        "RSA-OAEP-256",
        "ECDH-ES",
        "ECDH-ES+A128KW",
        "ECDH-ES+A256KW",
        "PBES2-HS256+A128KW",
        "PBES2-HS512+A256KW",
        "none",
        "HS256",
        "A256GCM",
        "a256kw",
        "DIR",
        "Dir",
        "A256KW ",
        "",
    ];
    for alg in algs {
        assert_each(malformed(TunnelFault::Algorithm), |key| Tunnel::new(key, JWT).header("alg", json!(alg)).body());
    }
    let encs = [
        "A128GCM",
        "A192GCM",
        "A128CBC-HS256",
        "A192CBC-HS384",
        "A256CBC-HS512",
        "A256KW",
        "XC20P",
        "none",
        "a256gcm",
        "A256GCM\0",
        "",
    ];
    for enc in encs {
        assert_each(malformed(TunnelFault::Algorithm), |key| Tunnel::new(key, JWT).header("enc", json!(enc)).body());
    }
    for name in ["alg", "enc"] {
        for value in [json!(null), json!(1), json!(["A256KW"]), json!({"A256GCM": 1}), json!(true)] {
            let changed = |key: &MasterKey| Tunnel::new(key, JWT).header(name, value.clone()).body();
            assert_each(malformed(TunnelFault::Algorithm), changed);
        }
        assert_each(malformed(TunnelFault::Algorithm), |key| Tunnel::new(key, JWT).without_header(name).body());
    }
}

#[test]
fn attack_53_pbes2_with_two_thousand_million_rounds_costs_nothing() {
    let tunnel = Tunnel::new(&keys()[0], JWT)
        .header("alg", json!("PBES2-HS512+A256KW"))
        .header("p2s", json!("c2FsdHNhbHQ"))
        .header("p2c", json!(1_u32 << 31));
    let begin = std::time::Instant::now();
    assert_eq!(form(tunnel.body().as_bytes()), malformed(TunnelFault::Algorithm));
    assert!(begin.elapsed() < std::time::Duration::from_secs(1));
}

#[test]
fn attack_53_zip_and_crit_are_refused_whatever_they_say() {
    let values = [
        json!("DEF"),
        json!("none"),
        json!(""),
        json!(null),
        json!([]),
        json!(["exp"]),
        json!(["alg"]),
        json!({}),
        json!(0),
    ];
    for name in ["zip", "crit"] {
        for value in &values {
            let changed = |key: &MasterKey| Tunnel::new(key, JWT).header(name, value.clone()).body();
            assert_each(malformed(TunnelFault::Extension), changed);
        }
    }
}

#[test]
fn attack_55_the_encrypted_key_is_there_exactly_with_a256kw() {
    let [wrapping, direct] = keys().map(|key| Tunnel::new(&key, JWT).seal());
    let missing = wrapping.clone().with(Part::EncryptedKey, []);
    let present = [1, 32, 40].map(|length| direct.clone().resize(Part::EncryptedKey, length));
    for sealed in present.iter().chain([&missing]) {
        assert_eq!(form(sealed.body().as_bytes()), malformed(TunnelFault::EncryptedKey));
    }
    // The header decides, before any key does.
    let [wrapping, direct] = keys();
    let named = |key: &MasterKey, alg: &str| Tunnel::new(key, JWT).header("alg", json!(alg)).body();
    assert_eq!(form(named(&wrapping, "dir").as_bytes()), malformed(TunnelFault::EncryptedKey));
    assert_eq!(form(named(&direct, "A256KW").as_bytes()), malformed(TunnelFault::EncryptedKey));
}

#[test]
fn a_master_key_has_to_be_named() {
    for kid in [json!(null), json!(1), json!(["m1"]), json!({"m1": 1}), json!(true), json!("")] {
        assert_each(malformed(TunnelFault::Kid), |key| Tunnel::new(key, JWT).header("kid", kid.clone()).body());
    }
    assert_each(malformed(TunnelFault::Kid), |key| Tunnel::new(key, JWT).without_header("kid").body());
}

#[test]
fn a_name_that_no_key_can_have_is_an_unknown_key() {
    for kid in [".".to_owned(), "..".to_owned(), ".".repeat(300), "k".repeat(257), "ä".repeat(129)] {
        assert_each(nameless(), |key| Tunnel::new(key, JWT).header("kid", json!(kid)).body());
    }
    for kid in ["k".repeat(256), "../../dev/null".to_owned(), "\0".to_owned(), " ".to_owned(), "ä".repeat(128)] {
        let body = Tunnel::new(&keys()[0], JWT).header("kid", json!(kid)).body();
        assert_eq!(UntrustedJwe::parse(body.as_bytes()).unwrap().kid().as_str(), kid);
    }
}

#[test]
fn every_fault_of_form_comes_before_the_name() {
    let nameless = || Tunnel::new(&MasterKey::generate("..", KeyManagement::A256KW), JWT);
    for (tunnel, fault) in [
        (nameless().header("alg", json!("A128KW")), TunnelFault::Algorithm),
        (nameless().header("enc", json!("A128GCM")), TunnelFault::Algorithm),
        (nameless().header("zip", json!("DEF")), TunnelFault::Extension),
    ] {
        assert_eq!(form(tunnel.body().as_bytes()), malformed(fault));
    }
    let sealed = nameless().seal();
    let body = sealed.clone().with(Part::EncryptedKey, []).body();
    assert_eq!(form(body.as_bytes()), malformed(TunnelFault::EncryptedKey));
    assert_eq!(form(sealed.body_with(Part::Tag, "AB").as_bytes()), malformed(TunnelFault::NotBase64Url));
}

#[test]
fn what_else_a_header_says_is_never_read() {
    let more: [(&str, Value); 8] = [
        ("typ", json!("JOSE")),
        ("cty", json!("JWT")),
        ("jku", json!("https://attacker.example.com/keys")),
        ("jwk", json!({"kty": "oct", "k": "AAAA"})),
        ("p2c", json!(1_u32 << 31)),
        ("epk", json!({"kty": "EC"})),
        ("iv", json!(1)),
        ("anything", json!(null)),
    ];
    for key in keys() {
        let tunnel =
            more.iter().fold(Tunnel::new(&key, JWT), |tunnel, (name, value)| tunnel.header(name, value.clone()));
        assert!(super::open(&tunnel.body(), &key).is_ok());
    }
}

#[test]
fn wrong_lengths_are_no_faults_of_form() {
    let sealed = Tunnel::new(&MasterKey::generate("m1", KeyManagement::A256KW), JWT).seal();
    for part in [Part::Iv, Part::Ciphertext, Part::Tag] {
        assert_eq!(form(sealed.clone().with(part, []).body().as_bytes()), Ok(()), "{part:?}");
        assert_eq!(form(sealed.clone().resize(part, 100).body().as_bytes()), Ok(()), "{part:?}");
    }
    assert_eq!(form(sealed.resize(Part::EncryptedKey, 1).body().as_bytes()), Ok(()));
}

#[test]
fn the_examples_of_the_rfcs_use_other_algorithms() {
    for example in [RFC_7516_A1, RFC_7516_A3, RFC_7520_5_6] {
        assert_eq!(form(example.as_bytes()), malformed(TunnelFault::Algorithm), "{example}");
    }
}
