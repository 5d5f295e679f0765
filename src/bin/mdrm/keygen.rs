//! `mdrm keygen`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use mdrm_authz::jose::algorithm::Alg;
use mdrm_authz::jose::master_key::KeyManagement;
use mdrm_authz::jose::token::Kid;
use rand_core::{OsRng, RngCore as _};
use serde_json::Value;

use crate::jwk::PrivateJwk;
use crate::tunnel::NamedMasterKey;

/// Writes KID.private.jwk, for who signs tokens, and KID.jwk, the key document for the key service. A master key of the
/// Trust Tunnel is one secret for both sides: KID.private.jwk alone.
#[derive(Debug, Args)]
pub(crate) struct Keygen {
    /// RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA, HS256, HS384 or HS512; for a
    /// master key A256KW or dir.
    #[arg(long, value_parser = purpose)]
    alg: Purpose,
    /// Name of the key [default: the algorithm and eight random digits].
    #[arg(long)]
    kid: Option<String>,
    /// Owner of the key: the `iss` of its tokens.
    #[arg(long)]
    iss: Option<String>,
    /// Purpose of the key, an audience; may be given several times.
    #[arg(long)]
    aud: Vec<String>,
    /// Folder for the files.
    #[arg(long, default_value = ".")]
    out: PathBuf,
}

/// What a key is made for.
#[derive(Debug, Clone, Copy)]
enum Purpose {
    Signatures(Alg),
    TrustTunnel(KeyManagement),
}

impl Purpose {
    const fn name(self) -> &'static str {
        match self {
            Self::Signatures(alg) => alg.name(),
            Self::TrustTunnel(alg) => alg.name(),
        }
    }
}

fn purpose(name: &str) -> Result<Purpose, String> {
    let master_key = KeyManagement::from_name(name).map(Purpose::TrustTunnel);
    Alg::from_name(name).map(Purpose::Signatures).or(master_key).ok_or_else(|| {
        let names = Alg::ALL.iter().map(|alg| alg.name()).chain(KeyManagement::ALL.iter().map(|alg| alg.name()));
        format!("allowed: {}", names.collect::<Vec<_>>().join(", "))
    })
}

impl Keygen {
    /// Makes the key and writes its files; never overwrites one.
    pub(crate) fn run(mut self) -> Result<()> {
        let kid = self.kid.take();
        let kid = kid.unwrap_or_else(|| format!("{}-{:08x}", self.alg.name().to_lowercase(), OsRng.next_u32()));
        if Kid::new(&kid).is_none() || kid.contains(['/', '\\', '\0']) {
            bail!("the kid names files: 1 to 256 bytes, not only dots, no slash");
        }
        match self.alg {
            Purpose::Signatures(alg) => self.signing_key(&kid, alg),
            Purpose::TrustTunnel(alg) => self.master_key(kid, alg),
        }
    }

    fn signing_key(self, kid: &str, alg: Alg) -> Result<()> {
        let mut key = PrivateJwk::generate(alg)?.with("kid", kid);
        if let Some(iss) = self.iss {
            key = key.with("iss", iss);
        } else {
            eprintln!("note: the key has no owner; a key service must name one (--iss)");
        }
        if self.aud.is_empty() {
            eprintln!("note: the key has no purpose; no audience will accept its tokens (--aud)");
        } else {
            key = key.with("aud", self.aud);
        }
        let private = self.out.join(format!("{kid}.private.jwk"));
        let document = self.out.join(format!("{kid}.jwk"));
        write(&private, &key.private(), true)?;
        write(&document, &key.document(), alg.name().starts_with("HS"))?;
        println!("{}\n{}", private.display(), document.display());
        Ok(())
    }

    fn master_key(self, kid: String, alg: KeyManagement) -> Result<()> {
        if self.iss.is_some() || !self.aud.is_empty() {
            bail!("a master key has neither owner nor purpose: --iss and --aud are those of the tokens inside");
        }
        let path = self.out.join(format!("{kid}.private.jwk"));
        write(&path, &NamedMasterKey::generate(kid, alg).document(), true)?;
        println!("{}", path.display());
        Ok(())
    }
}

fn write(path: &Path, json: &Value, secret: bool) -> Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    if secret {
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    }
    let file = options.open(path).with_context(|| format!("cannot create {}", path.display()))?;
    serde_json::to_writer_pretty(&file, json)?;
    std::io::Write::write_all(&mut &file, b"\n")?;
    Ok(())
}
