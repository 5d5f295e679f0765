//! `mdrm mint`.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Args;
use rand_core::{OsRng, RngCore as _};
use serde_json::{Map, Value, json};

use crate::jwk::PrivateJwk;

/// Audience of license requests by default.
const LICENSE_AUDIENCE: &str = "urn:verimatrix:multidrm";
/// `exp` of a minted token, after its `iat`.
const LIFETIME: i64 = 3600;

/// Prints a token on standard output.
#[derive(Debug, Args)]
pub(crate) struct Mint {
    /// Private JWK, as `mdrm keygen` writes it.
    #[arg(long)]
    key: PathBuf,
    /// The content that the token is for.
    #[arg(long)]
    sub: String,
    /// Issuer [default: the key's owner].
    #[arg(long)]
    iss: Option<String>,
    /// Audience; given several times, an array [default: the key's first purpose, else the license audience].
    #[arg(long)]
    aud: Vec<String>,
    /// How long ago the token was issued, for example 0s, 100s, -1m, 2h.
    #[arg(long, default_value = "0s", value_parser = seconds, allow_hyphen_values = true)]
    age: i64,
    /// Another claim, NAME=VALUE; the value is JSON, or else a string.
    #[arg(long = "claim", value_name = "NAME=VALUE", value_parser = member)]
    claims: Vec<(String, Value)>,
    /// A claim to leave out.
    #[arg(long = "no-claim", value_name = "NAME")]
    without: Vec<String>,
    /// Another header member, NAME=VALUE; the value is JSON, or else a string.
    #[arg(long = "header", value_name = "NAME=VALUE", value_parser = member)]
    headers: Vec<(String, Value)>,
}

fn member(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text.split_once('=').ok_or("allowed: NAME=VALUE")?;
    let value = serde_json::from_str(value).unwrap_or_else(|_| value.into());
    Ok((name.to_owned(), value))
}

fn seconds(text: &str) -> Result<i64, String> {
    let allowed = || "allowed: a whole number and s, m or h".to_owned();
    let at = text.len().checked_sub(1).ok_or_else(allowed)?;
    let (number, unit) = text.split_at_checked(at).ok_or_else(allowed)?;
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return Err(allowed()),
    };
    number.parse::<i64>().ok().and_then(|number| number.checked_mul(unit)).ok_or_else(allowed)
}

impl Mint {
    /// Signs and prints the token.
    pub(crate) fn run(self) -> Result<()> {
        let key = PrivateJwk::read(&self.key)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
        println!("{}", self.token(&key, i64::try_from(now)?)?);
        Ok(())
    }

    fn token(self, key: &PrivateJwk, now: i64) -> Result<String> {
        let iss = self.iss.or_else(|| key.text("iss").map(str::to_owned));
        let iss = iss.context("no issuer: the key has no owner, say --iss")?;
        let aud = match self.aud.as_slice() {
            [] => key.get("aud").and_then(|aud| aud.get(0)).cloned().unwrap_or_else(|| LICENSE_AUDIENCE.into()),
            [one] => one.as_str().into(),
            several => several.into(),
        };
        let issued_at = now.saturating_sub(self.age);
        let mut jti = [0; 16];
        OsRng.fill_bytes(&mut jti);
        let claims = json!({
            "ver": 1, "iss": iss, "sub": self.sub, "aud": aud, "jti": URL_SAFE_NO_PAD.encode(jti),
            "iat": issued_at, "exp": issued_at.saturating_add(LIFETIME),
        });
        let header = json!({"alg": key.alg().name(), "typ": "JWT", "kid": key.text("kid")});
        let mut claims = merge(claims, self.claims);
        claims.retain(|name, _| !self.without.contains(name));
        let header = serde_json::to_vec(&merge(header, self.headers))?;
        let payload = serde_json::to_vec(&claims)?;
        let signing_input = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
        let signature = key.sign(signing_input.as_bytes())?;
        Ok(format!("{signing_input}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

fn merge(base: Value, more: Vec<(String, Value)>) -> Map<String, Value> {
    let Value::Object(mut members) = base else {
        return Map::new();
    };
    members.extend(more);
    members
}
