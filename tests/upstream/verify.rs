//! Verifies a session token with the crate `jsonwebtoken`.

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, JwkSet};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::Value;

/// Seconds between this clock and the proxy's.
const CLOCK_SKEW: u64 = 5;

/// The claims of `token`, if one of `keys` (the public session keys) signed it for `audience`.
pub fn verify(keys: &JwkSet, issuer: &str, audience: &str, token: &str) -> Result<Value, Box<dyn std::error::Error>> {
    let header = decode_header(token)?;
    if header.typ.as_deref() != Some("mdrm-session+jwt") {
        return Err("not a session token".into());
    }
    let key = header.kid.and_then(|kid| keys.find(&kid)).ok_or("not signed by a session key")?;
    // The key fixes the algorithm, never the token.
    let algorithm = match &key.algorithm {
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => Algorithm::ES256,
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => Algorithm::EdDSA,
        _ => return Err("a session key is ES256 or EdDSA".into()),
    };
    let mut validation = Validation::new(algorithm);
    validation.set_issuer(&[issuer]);
    validation.set_audience(&[audience]);
    validation.set_required_spec_claims(&["iss", "aud", "sub", "exp"]);
    validation.leeway = CLOCK_SKEW;
    Ok(decode::<Value>(token, &DecodingKey::from_jwk(key)?, &validation)?.claims)
}
