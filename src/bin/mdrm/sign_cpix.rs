//! `mdrm sign-cpix`.

use std::path::PathBuf;

use anyhow::{Context as _, Result, anyhow, bail};
use clap::Args;
use mdrm_authz::cpix::sign::{NotSigned, enveloped};
use mdrm_authz::jose::xmldsig::SignatureMethod;

use crate::jwk::PrivateJwk;

/// Prints the document on standard output, signed as a whole: an enveloped signature, exclusive canonicalisation, SHA-256.
#[derive(Debug, Args)]
pub(crate) struct SignCpix {
    /// Private JWK of an RSA or P-256 key, as `mdrm keygen` writes it.
    #[arg(long)]
    key: PathBuf,
    /// The CPIX document.
    file: PathBuf,
}

impl SignCpix {
    /// Signs and prints the document.
    pub(crate) fn run(self) -> Result<()> {
        let key = PrivateJwk::read(&self.key)?;
        let body = std::fs::read(&self.file).with_context(|| format!("cannot read {}", self.file.display()))?;
        let method = match (key.text("kty"), key.text("crv")) {
            (Some("RSA"), _) => SignatureMethod::RsaSha256,
            (Some("EC"), Some("P-256")) => SignatureMethod::EcdsaSha256,
            _ => bail!("CPIX documents are signed with RSA or P-256 keys"),
        };
        let signed =
            enveloped(&body, method, |message| key.sign_xml(method, message)).map_err(|error| match error {
                NotSigned::Document(denial) => anyhow!("{}: {denial}", self.file.display()),
                NotSigned::Comment => {
                    anyhow!("{}: a comment, which nobody signs, stands beside text", self.file.display())
                }
                NotSigned::NoForm(_) => anyhow!("{}: it has no canonical form", self.file.display()),
                NotSigned::AlreadySigned => anyhow!("{}: it is signed as a whole already", self.file.display()),
                NotSigned::Key(error) => error.context(format!("in {}", self.key.display())),
            })?;
        print!("{signed}");
        Ok(())
    }
}
