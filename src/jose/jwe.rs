//! stub
use super::json::Object;
use super::jwk::Unusable;
use super::token::Kid;
use crate::denial::Denial;

/// stub
#[derive(Debug)]
pub struct MasterKey;
/// stub
#[derive(Debug)]
pub struct UntrustedJwe {
    kid: Kid,
}
/// stub
#[derive(Debug)]
pub struct Plaintext;
/// stub
#[derive(Debug)]
pub struct TunnelRequest {
    /// x
    pub license_request: Vec<u8>,
    /// x
    pub jwt: Box<str>,
    /// x
    pub content_type: &'static str,
}
#[allow(missing_docs, clippy::todo, unused)]
impl UntrustedJwe {
    pub fn parse(body: &[u8]) -> Result<Self, Denial> {
        todo!()
    }
    pub fn kid(&self) -> &Kid {
        &self.kid
    }
    pub fn decrypt(&self, key: &MasterKey) -> Result<Plaintext, Denial> {
        todo!()
    }
}
#[allow(missing_docs, clippy::todo, unused)]
impl TunnelRequest {
    pub fn parse(plaintext: &Plaintext) -> Result<Self, Denial> {
        todo!()
    }
}
#[allow(missing_docs, clippy::todo, unused)]
impl MasterKey {
    pub fn read(object: &Object<'_>) -> Result<Self, Unusable> {
        todo!()
    }
}
