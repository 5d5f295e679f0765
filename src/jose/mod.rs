//! JOSE: tokens, keys, signatures and encryption (RFC 7515, 7516, 7517, 7518, 8037), read strictly. Knows nothing of requests or claims.

pub mod algorithm;
mod der;
pub mod ecdsa;
pub mod ed25519;
pub mod hmac;
pub mod json;
pub mod jwe;
pub mod jwk;
pub mod master_key;
pub mod native;
mod roca;
pub mod rsa;
pub mod signing;
pub mod token;
pub mod unusable;
pub mod verify;
pub mod xmldsig;
