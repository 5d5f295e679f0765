//! Envoy's foreign function `verify_signature` (Envoy 1.30 or later), and the probe that decides whether it is used.

use std::cell::OnceCell;

use log::info;

use super::host;
use crate::jose::native::{Hash, Question, Verify};

/// The host's verification, if it has one that gives the right answers. Probed once per VM.
pub(super) fn probed() -> Option<Verify> {
    thread_local! {
        static PROBED: OnceCell<bool> = const { OnceCell::new() };
    }
    let works = PROBED.with(|probed| {
        *probed.get_or_init(|| {
            let works = PROBES.iter().all(Probe::succeeds);
            info!("signatures are verified {}", if works { "by the host" } else { "in the VM" });
            works
        })
    });
    works.then_some(verify as Verify)
}

fn verify(question: Question<'_>) -> Option<bool> {
    let result = host::call_foreign_function("verify_signature", &arguments(question))?;
    read_result(&result)
}

/// A signature of a key that was thrown away.
struct Probe {
    hash: Hash,
    spki: &'static [u8],
    signature: &'static [u8],
}

/// One for each key type and each digest that tokens need.
const PROBES: [Probe; 4] = [
    Probe {
        hash: Hash::Sha256,
        spki: include_bytes!("probe/rs256.spki.der"),
        signature: include_bytes!("probe/rs256.signature.bin"),
    },
    Probe {
        hash: Hash::Sha256,
        spki: include_bytes!("probe/es256.spki.der"),
        signature: include_bytes!("probe/es256.signature.bin"),
    },
    Probe {
        hash: Hash::Sha384,
        spki: include_bytes!("probe/es384.spki.der"),
        signature: include_bytes!("probe/es384.signature.bin"),
    },
    Probe {
        hash: Hash::Sha512,
        spki: include_bytes!("probe/es512.spki.der"),
        signature: include_bytes!("probe/es512.signature.bin"),
    },
];

impl Probe {
    /// A host that says "yes" to everything is as useless as one that says "no".
    fn succeeds(&self) -> bool {
        let ask = |message| {
            let Self { hash, spki, signature } = *self;
            verify(Question { hash, spki, signature, message })
        };
        ask(b"mdrm-authz verify_signature probe") == Some(true) && ask(b"another message") == Some(false)
    }
}

/// `VerifySignatureArguments` in protobuf: 1 name of the digest, 2 public key, 3 signature, 4 text.
fn arguments(question: Question<'_>) -> Vec<u8> {
    let hash: &[u8] = match question.hash {
        Hash::Sha256 => b"sha256",
        Hash::Sha384 => b"sha384",
        Hash::Sha512 => b"sha512",
    };
    let fields = [hash, question.spki, question.signature, question.message];
    let mut message = Vec::with_capacity(fields.iter().map(|field| field.len().saturating_add(6)).sum());
    for (number, field) in (1_u8..).zip(fields) {
        // Wire type 2: a length and that many bytes.
        message.push((number << 3) | 2);
        push_varint(&mut message, field.len());
        message.extend_from_slice(field);
    }
    message
}

fn push_varint(message: &mut Vec<u8>, mut value: usize) {
    while value > 0x7f {
        message.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    message.push(value as u8);
}

/// `VerifySignatureResult` in protobuf: 1 whether the signature is right (absent: it is not), 2 a text about it.
fn read_result(result: &[u8]) -> Option<bool> {
    match result {
        [0x08, right, ..] => Some(*right == 1),
        [] | [0x12, ..] => Some(false),
        _ => None,
    }
}
