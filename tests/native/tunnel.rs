//! Bodies of Trust Tunnel requests against the pure part of the tunnel: form, master keys, decryption, payload.
//!
//! A row is a body, or what it was made from, and the cause of its refusal. Whoever decides on a request gives the causes in
//! the same order: form, key, decryption, payload.

mod cli;
mod decryption;
mod form;
mod master_keys;
mod payload;
mod properties;

use mdrm_authz::denial::{Denial, KeyRefusal, TunnelFault};
use mdrm_authz::jose::json::Object;
use mdrm_authz::jose::jwe::{Plaintext, UntrustedJwe};
use mdrm_authz::jose::master_key::MasterKey as Opener;
use mdrm_authz::jose::unusable::Unusable;
use mdrm_authz::tunnel::TunnelRequest;
use serde_json::Value;

use crate::support::tunnel::{KeyManagement, MasterKey, Tunnel};

/// The token of these tests: the tunnel does not look into it.
const JWT: &str = "a.b.c";

/// A new key for each `alg`.
fn keys() -> [MasterKey; 2] {
    KeyManagement::ALL.map(|alg| MasterKey::generate("m1", alg))
}

fn read(document: &Value) -> Result<Opener, Unusable> {
    Opener::read(&Object::parse(document.to_string().as_bytes()).unwrap())
}

fn opener(key: &MasterKey) -> Opener {
    read(&key.jwk()).unwrap()
}

fn decrypt(body: &str, key: &MasterKey) -> Result<Plaintext, Denial> {
    UntrustedJwe::parse(body.as_bytes())?.decrypt(&opener(key))
}

fn open(body: &str, key: &MasterKey) -> Result<TunnelRequest, Denial> {
    TunnelRequest::parse(&decrypt(body, key)?)
}

/// What is said of a body before any key is there.
fn form(body: &[u8]) -> Result<(), Denial> {
    UntrustedJwe::parse(body).map(drop)
}

fn malformed(fault: TunnelFault) -> Result<(), Denial> {
    Err(Denial::Tunnel(fault))
}

fn nameless() -> Result<(), Denial> {
    Err(Denial::MasterKey(KeyRefusal::NoName))
}

#[test]
fn a_tunnel_carries_a_license_request_and_a_token() {
    for key in keys() {
        let tunnel = Tunnel::new(&key, JWT).license_request(b"\x08\x04").content_type("application/json");
        let jwe = UntrustedJwe::parse(tunnel.body().as_bytes()).unwrap();
        assert_eq!(jwe.kid().as_str(), "m1");
        let request = TunnelRequest::parse(&jwe.decrypt(&opener(&key)).unwrap()).unwrap();
        assert_eq!(request.license_request, b"\x08\x04");
        assert_eq!(&*request.jwt, JWT);
        assert_eq!(request.content_type, "application/json");
    }
}
