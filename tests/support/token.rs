//! Builds tokens: right in every respect unless told otherwise.
//!
//! Members are kept as JSON text, so that a test can write numbers, repetitions and escapes that a JSON library would not.

use serde_json::{Value, json};

use super::signer::{LICENSE, OWNER, SigningKey};

/// A token to be signed. Times count from the `now` given when it is written.
#[derive(Clone)]
pub struct Token {
    key: SigningKey,
    header: Vec<Member>,
    claims: Vec<Member>,
}

#[derive(Clone)]
struct Member {
    /// The name, or nothing for a member that was appended as raw text.
    name: Option<String>,
    value: Text,
}

#[derive(Clone)]
enum Text {
    Raw(String),
    FromNow(i64),
}

impl Token {
    /// A license token of this key: issued now, an hour to live, of the default owner.
    pub fn new(key: &SigningKey) -> Token {
        let token = Token { key: key.clone(), header: Vec::new(), claims: Vec::new() };
        token
            .header("alg", json!(key.alg().name()))
            .header("typ", json!("JWT"))
            .header("kid", json!(key.kid()))
            .claim("ver", json!(1))
            .claim("iss", json!(OWNER))
            .claim("sub", json!("content-1"))
            .claim_from_now("iat", 0)
            .claim_from_now("exp", 3600)
            .claim("jti", json!("5d2c1f0e-token"))
            .claim("subscriber", json!("Test Sub"))
            .claim("aud", json!(LICENSE))
    }

    /// Sets a header member.
    #[must_use]
    pub fn header(self, name: &str, value: Value) -> Token {
        self.raw_header(name, &value.to_string())
    }

    /// Sets a header member to a JSON text, valid or not.
    #[must_use]
    pub fn raw_header(mut self, name: &str, value: &str) -> Token {
        set(&mut self.header, name, Text::Raw(value.to_owned()));
        self
    }

    /// Takes a header member away.
    #[must_use]
    pub fn without_header(mut self, name: &str) -> Token {
        self.header.retain(|member| member.name.as_deref() != Some(name));
        self
    }

    /// Appends raw text such as `"alg":"none"` as one more member of the header.
    #[must_use]
    pub fn append_header(mut self, text: &str) -> Token {
        self.header.push(Member { name: None, value: Text::Raw(text.to_owned()) });
        self
    }

    /// Sets a claim.
    #[must_use]
    pub fn claim(self, name: &str, value: Value) -> Token {
        self.raw_claim(name, &value.to_string())
    }

    /// Sets a claim to a JSON text, valid or not.
    #[must_use]
    pub fn raw_claim(mut self, name: &str, value: &str) -> Token {
        set(&mut self.claims, name, Text::Raw(value.to_owned()));
        self
    }

    /// Sets a claim to so many seconds from now.
    #[must_use]
    pub fn claim_from_now(mut self, name: &str, seconds: i64) -> Token {
        set(&mut self.claims, name, Text::FromNow(seconds));
        self
    }

    /// Takes a claim away.
    #[must_use]
    pub fn without(mut self, name: &str) -> Token {
        self.claims.retain(|member| member.name.as_deref() != Some(name));
        self
    }

    /// Appends raw text such as `"iss":"someone"` as one more member of the payload.
    #[must_use]
    pub fn append_claim(mut self, text: &str) -> Token {
        self.claims.push(Member { name: None, value: Text::Raw(text.to_owned()) });
        self
    }

    /// Issued so many seconds ago.
    #[must_use]
    pub fn aged(self, seconds: i64) -> Token {
        self.claim_from_now("iat", -seconds)
    }

    /// For this audience.
    #[must_use]
    pub fn audience(self, audience: &str) -> Token {
        self.claim("aud", json!(audience))
    }

    /// Signed by this key instead, with everything else left as it is.
    #[must_use]
    pub fn signed_by(mut self, key: &SigningKey) -> Token {
        self.key = key.clone();
        self
    }

    /// The header as JSON text.
    pub fn header_json(&self, now: i64) -> String {
        object(&self.header, now)
    }

    /// The payload as JSON text.
    pub fn payload_json(&self, now: i64) -> String {
        object(&self.claims, now)
    }

    /// The signed token in compact form.
    pub fn compact(&self, now: i64) -> String {
        self.key.sign(self.header_json(now).as_bytes(), self.payload_json(now).as_bytes())
    }

    /// The token in compact form with another signature.
    pub fn with_signature(&self, now: i64, signature: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
        let compact = self.compact(now);
        let (message, right) = compact.rsplit_once('.').unwrap();
        let wrong = signature(&super::signer::from_base64url(right));
        format!("{message}.{}", super::signer::base64url(&wrong))
    }
}

fn set(members: &mut Vec<Member>, name: &str, value: Text) {
    match members.iter_mut().find(|member| member.name.as_deref() == Some(name)) {
        Some(member) => member.value = value,
        None => members.push(Member { name: Some(name.to_owned()), value }),
    }
}

fn object(members: &[Member], now: i64) -> String {
    let members: Vec<String> = members
        .iter()
        .map(|member| {
            let value = match &member.value {
                Text::Raw(text) => text.clone(),
                Text::FromNow(seconds) => (now + seconds).to_string(),
            };
            match &member.name {
                Some(name) => format!("{}:{value}", json!(name)),
                None => value,
            }
        })
        .collect();
    format!("{{{}}}", members.join(","))
}
