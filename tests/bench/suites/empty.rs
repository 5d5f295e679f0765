//! The leanest modules that Envoy takes for a filter: the floor for any wasm filter. One lets every request pass, one has
//! the headers handed over first, one takes the token off besides, one has a signature verified, one answers the request.
//!
//! Written as WebAssembly text, so that nothing is in them but the callbacks.

use std::fmt::Write;
use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::lane::wasm;
use crate::support::signer::{Alg, SigningKey};
use crate::traffic::{now, token};

/// Such modules as files, for as long as this lives.
pub struct Modules(TempDir);

impl Modules {
    /// None yet.
    pub fn new() -> Result<Modules, String> {
        tempfile::tempdir().map(Modules).map_err(|error| error.to_string())
    }

    /// A filter with this module, in a VM of this name.
    pub fn filter(&self, id: &str, module: &[u8]) -> Result<Value, String> {
        let path = self.0.path().join(format!("{id}.wasm"));
        fs::write(&path, module).map_err(|error| error.to_string())?;
        Ok(wasm(id, &path, &json!({})))
    }
}

/// A module that lets every request pass.
pub fn passing() -> Vec<u8> {
    module("", "i32.const 0 (; Continue ;)", "")
}

/// A module that lets every request pass after it had Envoy hand over all headers, at which it does not look.
pub fn reading() -> Vec<u8> {
    module(HAND_OVER, &format!("{CALL_HAND_OVER} i32.const 0 (; Continue ;)"), "")
}

/// A module that lets every request pass after it had Envoy hand over all headers, at which it does not look, and remove
/// `authorization`.
pub fn stripping() -> Vec<u8> {
    const NAME: &str = "authorization";
    const AT: usize = 64;

    let remove = r#"(import "env" "proxy_remove_header_map_value" (func $remove (param i32 i32 i32) (result i32)))"#;
    let body = format!(
        "{CALL_HAND_OVER}
        (drop (call $remove (i32.const 0) (; of the request ;) (i32.const {AT}) (i32.const {})))
        i32.const 0 (; Continue ;)",
        NAME.len()
    );
    module(&format!("{HAND_OVER} {remove}"), &body, &format!("(data (i32.const {AT}) \"{NAME}\")"))
}

/// A module that lets every request pass after Envoy has verified a signature for it: one of 16 in turn, of as many tokens.
pub fn verifying(key: &SigningKey) -> Vec<u8> {
    const NAME: &str = "verify_signature";
    const NAME_AT: usize = 64;
    // Each with its length in front.
    const ARGUMENTS_AT: usize = 8192;
    const STRIDE: usize = 2048;

    let import = r#"(import "env" "proxy_call_foreign_function"
            (func $foreign (param i32 i32 i32 i32 i32 i32) (result i32)))
        (global $turn (mut i32) (i32.const 0))"#;
    let body = format!(
        "(local $at i32)
        (global.set $turn (i32.and (i32.add (global.get $turn) (i32.const 1)) (i32.const 15)))
        (local.set $at (i32.add (i32.const {ARGUMENTS_AT}) (i32.mul (global.get $turn) (i32.const {STRIDE}))))
        (drop (call $foreign (i32.const {NAME_AT}) (i32.const {}) (i32.add (local.get $at) (i32.const 4))
            (i32.load (local.get $at)) (i32.const 4) (; 0 would be no place ;) (i32.const 8)))
        (if (i32.ne (i32.load16_u (i32.load (i32.const 4))) (i32.const 0x0108) (; it is right ;)) (then unreachable))
        i32.const 0 (; Continue ;)",
        NAME.len()
    );
    let mut data = format!("(data (i32.const {NAME_AT}) \"{NAME}\")");
    for turn in 0..16 {
        let arguments = verify_arguments(key, token(key).compact(now()).rsplit_once('.').expect("three parts").0);
        let length = u32::try_from(arguments.len()).unwrap().to_le_bytes();
        let (at, bytes) = (ARGUMENTS_AT + turn * STRIDE, [&length[..], &arguments].concat());
        assert!(bytes.len() <= STRIDE, "the arguments do not fit");
        writeln!(data, "(data (i32.const {at}) \"{}\")", escaped(&bytes)).unwrap();
    }
    module(import, &body, &data)
}

/// `VerifySignatureArguments` in protobuf: digest, key, signature, text.
fn verify_arguments(key: &SigningKey, text: &str) -> Vec<u8> {
    let signature = match key.alg() {
        Alg::ES256 => key.asn1_signature(text.as_bytes()),
        _ => key.signature(text.as_bytes()),
    };
    let mut message = Vec::new();
    for (number, field) in (1..).zip([b"sha256", &*key.public_der(), &*signature, text.as_bytes()]) {
        let mut length = field.len();
        message.push(number << 3 | 2);
        while length > 0x7f {
            message.push((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        message.push(length as u8);
        message.extend(field);
    }
    message
}

const HAND_OVER: &str = r#"(import "env" "proxy_get_header_map_pairs" (func $pairs (param i32 i32 i32) (result i32)))"#;
const CALL_HAND_OVER: &str = "(drop (call $pairs (i32.const 0) (; of the request ;) (i32.const 0) (i32.const 4)))";

/// A module that answers every request with what the filter answers to a request without a token.
pub fn answering() -> Vec<u8> {
    const HEADERS: [(&str, &str); 4] = [
        ("content-type", "application/json"),
        ("cache-control", "no-store"),
        ("x-mdrm-error-code", "MDRM-501"),
        ("www-authenticate", "Bearer"),
    ];
    const BODY: &[u8] = br#"{"code":"MDRM-501","message":"Authorization token is required","request_id":"3c8f2a90-51d7-4f5e-9a6b-0c1d2e3f4a5b"}"#;
    const DETAILS: &[u8] = b"MDRM-501";
    const AT: [usize; 3] = [0, 256, 512];

    let headers = serialised(&HEADERS);
    let import = r#"(import "env" "proxy_send_local_response"
        (func $reply (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))"#;
    let reply = format!(
        "(drop (call $reply (i32.const 401)
            (i32.const {}) (i32.const {}) (i32.const {}) (i32.const {}) (i32.const {}) (i32.const {})
            (i32.const -1) (; no gRPC status ;)))
        i32.const 1 (; Pause ;)",
        AT[0],
        DETAILS.len(),
        AT[1],
        BODY.len(),
        AT[2],
        headers.len()
    );
    let data: String = [DETAILS, BODY, &headers]
        .iter()
        .zip(AT)
        .map(|(bytes, at)| format!("(data (i32.const {at}) \"{}\")\n", escaped(bytes)))
        .collect();
    module(import, &reply, &data)
}

fn module(imports: &str, on_request_headers: &str, data: &str) -> Vec<u8> {
    let text = format!(
        r#"(module
            {imports}
            (memory (export "memory") 1)
            {data}
            (func (export "proxy_abi_version_0_2_1"))
            (func (export "proxy_on_memory_allocate") (param i32) (result i32) i32.const 4096)
            (func (export "proxy_on_context_create") (param i32 i32))
            (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) {on_request_headers}))"#
    );
    wat::parse_str(text).expect("the text is WebAssembly")
}

/// Pairs as proxy-wasm hands them over: how many, the sizes of all, then each name and value with a zero byte behind
/// it.
fn serialised(pairs: &[(&str, &str)]) -> Vec<u8> {
    let size = |text: &str| u32::try_from(text.len()).unwrap().to_le_bytes();
    let mut bytes = u32::try_from(pairs.len()).unwrap().to_le_bytes().to_vec();
    for (name, value) in pairs {
        bytes.extend(size(name));
        bytes.extend(size(value));
    }
    for (name, value) in pairs {
        for text in [name, value] {
            bytes.extend(text.as_bytes());
            bytes.push(0);
        }
    }
    bytes
}

fn escaped(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "\\{byte:02x}").unwrap();
        text
    })
}
