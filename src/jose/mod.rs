//! JOSE: tokens, keys and signatures (RFC 7515, 7517, 7518, 8037), read strictly. Knows nothing of requests or claims.

pub mod algorithm;
pub mod json;
pub mod jwk;

pub mod native;
pub mod token;
pub mod verify;
pub mod xmldsig;
