//! What a license server checks of a session token, with another library than the filter's.

use serde_json::{Value, json};

use super::signer::{SigningKey, from_base64url};

/// `session.issuer` of the table's configurations.
pub const ISSUER: &str = "https://proxy.example.com";
/// `session.audience` of the table's configurations.
pub const AUDIENCE: &str = "license-server";
/// `session.lifetime` of the table's configurations in seconds, the default.
pub const LIFETIME: i64 = 60;

/// What a session token must say.
#[derive(Clone, Debug)]
pub struct Expected {
    /// The name of the key that signed it.
    pub kid: String,
    /// The claims that depend on neither the time nor the configuration.
    pub claims: Value,
    /// The most that may be between `exp` and the time of the request.
    pub longest: i64,
}

impl Expected {
    /// Checks a token that was made within some seconds before `now`.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn check(&self, token: &str, key: &SigningKey, now: i64) -> Result<(), String> {
        let (message, signature) = token.rsplit_once('.').ok_or("not three parts")?;
        let (header, payload) = message.split_once('.').ok_or("not three parts")?;
        let part = |text: &str| -> Result<Value, String> {
            serde_json::from_slice(&from_base64url(text)).map_err(|error| error.to_string())
        };
        if !key.verifies(message.as_bytes(), &from_base64url(signature)) {
            return Err("the signature does not verify".into());
        }
        let expected = json!({"alg": key.alg().name(), "kid": self.kid, "typ": "mdrm-session+jwt"});
        let header = part(header)?;
        if header != expected {
            return Err(format!("the header is {header}"));
        }
        let mut claims = part(payload)?;
        let mut time = |name: &str| claims.as_object_mut().and_then(|claims| claims.remove(name)?.as_i64());
        let (issued, expires) = (time("iat").ok_or("no iat")?, time("exp").ok_or("no exp")?);
        // The filter may send one token until half of its life is over; clocks and runners take some seconds.
        if !(now - LIFETIME / 2 - 10..=now + 1).contains(&issued) {
            return Err(format!("iat is {} s from now", issued - now));
        }
        if expires <= issued || expires - issued > self.longest.min(LIFETIME) {
            return Err(format!("exp is {} s after iat", expires - issued));
        }
        // One that the filter made up is 128 bits in hexadecimal.
        let random = |jti: &str| jti.len() == 32 && jti.bytes().all(|digit| digit.is_ascii_hexdigit());
        if self.claims["jti"] == "random" && claims["jti"].as_str().is_some_and(random) {
            claims["jti"] = json!("random");
        }
        let mut expected = json!({"iss": ISSUER, "aud": AUDIENCE, "ver": 1});
        for (name, value) in self.claims.as_object().ok_or("no claims expected")? {
            expected[name] = value.clone();
        }
        if claims == expected { Ok(()) } else { Err(format!("the claims are {claims}, not {expected}")) }
    }
}
