//! CPIX requests whose document is looked at, in a running proxy: large documents in pieces, keys before, between and behind them.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::keys::new_key;
use crate::now;
use crate::pieces::{VERSIONS, exchange, in_pieces, patient};
use crate::reply::is_denial;
use crate::support::client::{Connection, bytes_of, head_of};
use crate::support::exchange::{Answered, Gate, Scripted, Step};
use crate::support::h2_client;
use crate::support::key_service::Answer;
use crate::support::rig::Rig;
use crate::support::signer::{CPIX, LICENSE, OWNER, SigningKey};
use crate::support::table::{Request, Version};
use crate::support::token::Token;
use crate::support::upstream::LICENSE_BODY;
use crate::support::wait;

/// Documents of up to 512 KiB, bound to their tokens or signed.
fn plugin() -> Value {
    json!({
        "keys": {"cluster": "keys"},
        "routes": [
            {"path_prefix": "/cpix", "service": "cpix"},
            {"path_prefix": "/signed", "service": "signed_cpix"},
        ],
        "services": {"cpix": {"bind_content": true}},
        "max_body_bytes": 512 << 10,
    })
}

/// A document about `content-1` of at least so many bytes.
fn document(bytes: usize) -> String {
    let key = r#"<ContentKey kid="40d02dd1-61a3-4787-a155-572325d47b80"><Data>a key &amp; more</Data></ContentKey>"#;
    let keys = key.repeat(bytes / key.len() + 1);
    format!(r#"<CPIX xmlns="urn:dashif:org:cpix" contentId="content-1"><ContentKeyList>{keys}</ContentKeyList></CPIX>"#)
}

/// A key of `mdrm keygen`, and documents that `mdrm sign-cpix` signs with it.
struct Signer {
    folder: tempfile::TempDir,
    /// The key document for the key service.
    public: Value,
}

impl Signer {
    fn new(alg: &str, kid: &str) -> Signer {
        let folder = tempfile::tempdir().unwrap();
        let made = ["keygen", "--alg", alg, "--kid", kid, "--iss", OWNER, "--aud", CPIX, "--aud", LICENSE];
        let files = mdrm(folder.path(), &made);
        let public = files.lines().find(|file| !file.contains("private")).unwrap_or_else(|| panic!("{files}"));
        let public = serde_json::from_slice(&fs::read(folder.path().join(public)).unwrap()).unwrap();
        Signer { folder, public }
    }

    fn signed(&self, document: &str) -> Vec<u8> {
        fs::write(self.folder.path().join("document.xml"), document).unwrap();
        let private = format!("{}.private.jwk", self.public["kid"].as_str().unwrap());
        mdrm(self.folder.path(), &["sign-cpix", "--key", &private, "document.xml"]).into_bytes()
    }
}

fn mdrm(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_mdrm")).current_dir(folder).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn signed_request(kid: &str, document: impl AsRef<[u8]>) -> Request {
    let path = format!("/signed?kid={kid}&sub=content-1&iss={OWNER}");
    Request::post(path).content_type("application/xml").body(document)
}

fn bound_request(key: &SigningKey, document: impl AsRef<[u8]>) -> Request {
    let token = Token::new(key).audience(CPIX).compact(now());
    Request::post("/cpix").content_type("application/xml").token(token).body(document)
}

fn is_license(answered: &Answered) {
    assert_eq!((answered.status, &answered.body[..]), (200, LICENSE_BODY), "{answered:?}");
}

/// The upstream got this last, byte for byte.
fn assert_arrived(rig: &Rig, document: &[u8]) {
    let received = rig.upstream.received().pop().expect("a request at the upstream");
    let same = received.body == document;
    assert!(same, "{} bytes arrived of {}, or others", received.body.len(), document.len());
    let length = document.len().to_string();
    assert!(received.header("content-length").is_none_or(|value| value == length), "{:?}", received.headers);
}

#[test]
fn a_signed_document_of_250_kib_reaches_the_upstream_byte_for_byte() {
    let rig = Rig::start(&plugin());
    for alg in ["ES256", "RS256"] {
        let signer = Signer::new(alg, alg);
        rig.keys.set_for(alg, Answer::document(&signer.public));
        let signed = signer.signed(&document(250 << 10));
        assert!(signed.len() > 250 << 10);
        for request in [signed_request(alg, &signed), signed_request(alg, &signed).chunked()] {
            for version in VERSIONS {
                is_license(&exchange(&rig, version, &request));
                assert_arrived(&rig, &signed);
            }
        }
        let pieces: Vec<&[u8]> = signed.chunks(60 << 10).collect();
        for version in VERSIONS {
            let answered =
                in_pieces(&rig, version, &signed_request(alg, ""), &pieces, &[("x-checksum", "right")], |_| ());
            is_license(&answered);
            assert_arrived(&rig, &signed);
        }
        let mut changed = signed.clone();
        let place = changed.len() / 2;
        changed[place] ^= 1;
        let code = rig.code(&signed_request(alg, changed));
        assert!(matches!(code, Some(910 | 916)), "{code:?}");
    }
    rig.envoy.assert_healthy();
}

/// A right request and the document of the key that it needs, for each way to look at documents. The keys are new.
fn requests(number: usize) -> [(String, Request, Value); 2] {
    let [signing, access] = ["s", "k"].map(|letter| format!("{letter}{number}"));
    let signer = Signer::new("ES256", &signing);
    let key = new_key(&access);
    let signed = signed_request(&signing, signer.signed(&document(1000)));
    [(signing, signed, signer.public), (access, bound_request(&key, document(1000)), key.jwk())]
}

#[test]
fn attack_79_a_key_that_comes_before_or_between_the_pieces_of_a_document_or_before_its_end_counts_alike() {
    let rig = Rig::start(&patient(plugin()));
    let places = VERSIONS.into_iter().flat_map(|version| [0, 1, 2].map(|place| (version, place)));
    for (number, (version, place_of_key)) in places.enumerate() {
        for (kid, request, public) in requests(number) {
            let (gate, arrived) = (Gate::closed(), rig.upstream.count());
            rig.keys.set_for(&kid, Answer::document(&public).held_by(&gate));
            let (first, second) = request.body.split_at(request.body.len() / 2);
            let trailers: &[(&str, &str)] = if place_of_key == 1 { &[] } else { &[("x-checksum", "right")] };
            let answered = in_pieces(&rig, version, &request, &[first, second], trailers, |place| {
                rig.keys.await_count_for(&kid, 1);
                assert_eq!(rig.upstream.count(), arrived, "before piece {place}");
                if place == place_of_key {
                    gate.open();
                    // Who waits for the same key, with its body complete, is answered when the key has come.
                    is_denial(910, None, &rig.exchange(&request.clone().body("no document"))).unwrap();
                }
            });
            is_license(&answered);
            assert_arrived(&rig, &request.body);
            assert_eq!((rig.upstream.count(), rig.keys.count_for(&kid)), (arrived + 1, 1));
        }
    }
    rig.envoy.assert_healthy();
}

#[test]
fn attack_79_a_key_that_comes_behind_the_whole_document_counts() {
    let rig = Rig::start(&patient(plugin()));
    for (number, version) in VERSIONS.into_iter().enumerate() {
        for (kid, request, public) in requests(number) {
            let gate = Gate::closed();
            rig.keys.set_for(&kid, Answer::document(&public).held_by(&gate));
            let answered = thread::scope(|scope| {
                let before = rig.envoy.received_bytes();
                let answer = scope.spawn(|| exchange(&rig, version, &request));
                rig.keys.await_count_for(&kid, 1);
                let whole = before + request.body.len() as u64;
                wait::until_true("the body has come", || rig.envoy.received_bytes() > whole);
                gate.open();
                answer.join().unwrap()
            });
            is_license(&answered);
            assert_arrived(&rig, &request.body);
        }
    }
    rig.envoy.assert_healthy();
}

#[test]
fn attack_58_documents_that_are_cut_off_or_too_slow_or_too_large_reach_nothing() {
    const CLIENTS: usize = 10;
    let mut plugin = plugin();
    plugin["body_timeout"] = json!("1s");
    plugin["max_body_bytes"] = json!(4096);
    plugin["keys"]["max_waiting"] = json!(CLIENTS);
    let rig = Rig::start(&patient(plugin));
    let (signer, access, gate) = (Signer::new("ES256", "s"), new_key("k"), Gate::closed());
    rig.keys.set_for("s", Answer::document(&signer.public).held_by(&gate));
    rig.keys.register(&access);
    let signed = signer.signed(&document(500));
    let requests = [signed_request("s", &signed), bound_request(&access, document(500))];
    // Cut off: while the key is awaited, and, the second time, while the body is.
    for key_is_there in [false, true] {
        for request in &requests {
            let bytes = bytes_of(request, &[]);
            for cut in [head_of(request, &[]).len(), bytes.len() - 1] {
                let mut clients: Vec<Connection> = (0..CLIENTS).map(|_| Connection::open(rig.envoy.only())).collect();
                clients.iter_mut().for_each(|client| client.send(&bytes[..cut]).unwrap());
                rig.envoy.await_active_requests(CLIENTS as u64);
                clients.into_iter().for_each(Connection::abort);
                rig.envoy.await_active_requests(0);
            }
        }
        if !key_is_there {
            gate.open();
            wait::until_true("the key is there", || rig.code(&signed_request("s", "no document")) == Some(910));
        }
    }
    // Too slow.
    let h2 = h2_client::Connection::open(rig.envoy.only());
    for request in &requests {
        let start = Instant::now();
        let stalls = Scripted::new([Step::Data(request.body.clone()), Step::Wait(Gate::closed())]);
        is_denial(910, None, &h2.exchange_with_body(request, &[], stalls).unwrap().0).unwrap();
        let took = start.elapsed();
        assert!((Duration::from_millis(1000)..Duration::from_millis(1300)).contains(&took), "{took:?}");
        let endless = Scripted::new([Step::Data(vec![b' '; 4097]), Step::Wait(Gate::closed())]);
        let start = Instant::now();
        is_denial(910, None, &h2.exchange_with_body(request, &[], endless).unwrap().0).unwrap();
        assert!(start.elapsed() < Duration::from_millis(900), "the size alone is enough");
    }
    let lines = rig.envoy.log().lines().filter(|line| line.contains("allow_on_headers_stop_iteration")).count();
    assert_eq!((lines, rig.upstream.count()), (2, 0));
    for request in &requests {
        is_license(&rig.exchange(request));
        assert_arrived(&rig, &request.body);
    }
    assert_eq!(exchange(&rig, Version::Http2, &requests[0]).code(), None);
    rig.envoy.assert_healthy();
}
