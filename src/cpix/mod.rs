//! stub
use crate::denial::Denial;
use crate::jose::verify::VerifyingKey;
#[allow(missing_docs)]
#[derive(Debug)]
pub struct Document;
#[allow(missing_docs)]
#[derive(Debug)]
pub struct VerifiedDocument;
#[allow(missing_docs, clippy::todo, unused)]
impl Document {
    pub fn parse(body: &[u8]) -> Result<Self, Denial> {
        todo!()
    }
    pub fn content_id(&self) -> Result<String, Denial> {
        todo!()
    }
    pub fn verify(&self, key: &VerifyingKey) -> Result<VerifiedDocument, Denial> {
        todo!()
    }
}
#[allow(missing_docs, clippy::todo, unused)]
impl VerifiedDocument {
    pub fn content_id(&self) -> Result<String, Denial> {
        todo!()
    }
}
