//! The module as a file: its size and its exports.

use std::{env, fs};

/// Bytes that the module may have.
const MAX_BYTES: usize = 900_000;

/// What Envoy may call. It calls every callback that is exported, on each request.
const CALLBACKS: [&str; 10] = [
    "proxy_on_configure",
    "proxy_on_context_create",
    "proxy_on_delete",
    "proxy_on_http_call_response",
    "proxy_on_memory_allocate",
    "proxy_on_request_body",
    "proxy_on_request_headers",
    "proxy_on_request_trailers",
    "proxy_on_tick",
    "proxy_on_vm_start",
];

pub(crate) fn module() -> Vec<u8> {
    fs::read(env::var("MDRM_WASM").expect("MDRM_WASM names the module")).unwrap()
}

/// An unsigned LEB128 number (WebAssembly core specification section 5.2.2), taken off the front.
fn number(bytes: &mut &[u8]) -> usize {
    let mut value = 0;
    for shift in (0..35).step_by(7) {
        let byte = take(bytes, 1)[0];
        value |= usize::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return value;
        }
    }
    panic!("a number of more than 5 bytes")
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> &'a [u8] {
    let (taken, rest) = bytes.split_at(length);
    *bytes = rest;
    taken
}

/// The names in the export section (WebAssembly core specification section 5.5.10).
pub(crate) fn exports(module: &[u8]) -> Vec<String> {
    const EXPORTS: u8 = 7;
    let mut rest = module.strip_prefix(b"\0asm\x01\0\0\0").expect("a module");
    loop {
        let id = take(&mut rest, 1)[0];
        let length = number(&mut rest);
        let mut section = take(&mut rest, length);
        if id == EXPORTS {
            return (0..number(&mut section))
                .map(|_| {
                    let length = number(&mut section);
                    let name = String::from_utf8(take(&mut section, length).to_vec()).unwrap();
                    take(&mut section, 1);
                    number(&mut section);
                    name
                })
                .collect();
        }
    }
}

#[test]
fn the_module_is_small() {
    let bytes = module().len();
    assert!(bytes <= MAX_BYTES, "{bytes} bytes, allowed: {MAX_BYTES}");
}

#[test]
fn the_module_exports_the_callbacks_in_use_alone() {
    let mut callbacks = exports(&module());
    callbacks.retain(|name| name.starts_with("proxy_on_"));
    callbacks.sort_unstable();
    assert_eq!(callbacks, CALLBACKS);
}
