//! What the key services answer: documents from files, or what a key service says.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use mdrm_authz::config::{KeyPath, KeySource};
use mdrm_authz::jose::jwk::Ring;
use mdrm_authz::jose::token::Kid;
use serde::Deserialize;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::key_service::{Fetched, KeyService};

/// Where keys come from.
#[derive(Debug, Args)]
pub(super) struct KeyOptions {
    /// Key documents: files with a JWK or a JWK Set, or folders of them (`*.jwk`, `*.json`, but not `*.private.jwk`). A key
    /// that is in none of them counts as never registered.
    #[arg(long, value_name = "FILE")]
    keys: Vec<PathBuf>,
    /// The same for session keys; of folders `*.private.jwk`.
    #[arg(long, value_name = "FILE")]
    session_keys: Vec<PathBuf>,
    /// The same for master keys of the Trust Tunnel; of folders `*.private.jwk`.
    #[arg(long, value_name = "FILE")]
    master_keys: Vec<PathBuf>,
    /// Ask a key service, with path, headers and time limit of the configuration: http://HOST:PORT, for one cluster of the
    /// configuration CLUSTER=http://HOST:PORT.
    #[arg(long, value_name = "URL", value_parser = KeyService::parse)]
    key_service: Vec<KeyService>,
}

/// The same, read.
pub(super) struct KeyAnswers {
    access: Option<Documents>,
    session: Option<Documents>,
    master: Option<Documents>,
    services: Vec<KeyService>,
}

/// What was said about a key.
pub(super) enum Answered {
    /// An answer, and where it is from.
    Answer(Fetched),
    /// There was none: why.
    Silence(String),
    /// Nobody said where such keys come from.
    NobodyToAsk,
}

impl KeyOptions {
    /// Whether master keys were given.
    pub(super) fn has_master_keys(&self) -> bool {
        !self.master_keys.is_empty()
    }

    /// Reads the files.
    pub(super) fn read(&self) -> Result<KeyAnswers> {
        Ok(KeyAnswers {
            access: Documents::read(&self.keys, false)?,
            session: Documents::read(&self.session_keys, true)?,
            master: Documents::read(&self.master_keys, true)?,
            services: self.key_service.clone(),
        })
    }
}

impl KeyAnswers {
    /// What is answered to a request of the filter for `path`.
    pub(super) fn answer(&self, ring: Ring, source: &KeySource, path: &str) -> Answered {
        let documents = match ring {
            Ring::Access => &self.access,
            Ring::Session => &self.session,
            Ring::Master => &self.master,
        };
        if let Some(documents) = documents {
            return Answered::Answer(documents.answer(source, path));
        }
        let of_cluster = |service: &&KeyService| service.cluster.as_deref().is_none_or(|name| name == &*source.cluster);
        match self.services.iter().find(of_cluster) {
            Some(service) => match service.get(source, path) {
                Ok(fetched) => Answered::Answer(fetched),
                Err(error) => Answered::Silence(format!("{error:#}")),
            },
            None if self.services.is_empty() => Answered::NobodyToAsk,
            None => Answered::Silence(format!("no --key-service for the cluster {}", source.cluster)),
        }
    }
}

/// Key documents by their names.
struct Documents(Vec<(String, Zeroizing<Vec<u8>>)>);

#[derive(Deserialize)]
struct Jwk {
    kid: Option<String>,
}

#[derive(Deserialize)]
struct JwkSet<'a> {
    #[serde(borrow)]
    keys: Vec<&'a RawValue>,
}

impl Documents {
    /// None if no file is named.
    fn read(paths: &[PathBuf], private: bool) -> Result<Option<Self>> {
        if paths.is_empty() {
            return Ok(None);
        }
        let mut documents = Self(Vec::new());
        for path in paths {
            if path.is_dir() {
                for file in files(path, private)? {
                    documents.add(&file)?;
                }
            } else {
                documents.add(path)?;
            }
        }
        Ok(Some(documents))
    }

    fn add(&mut self, file: &Path) -> Result<()> {
        let text = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        let text = Zeroizing::new(text);
        if let Ok(set) = serde_json::from_slice::<JwkSet<'_>>(&text) {
            for key in set.keys {
                let kid = serde_json::from_str::<Jwk>(key.get()).ok().and_then(|key| key.kid).unwrap_or_default();
                self.0.push((kid, Zeroizing::new(key.get().as_bytes().to_vec())));
            }
            return Ok(());
        }
        match serde_json::from_slice::<Jwk>(&text) {
            Ok(Jwk { kid: Some(kid) }) => self.0.push((kid, text)),
            _ => bail!("{} is neither a JWK with a kid nor a JWK Set", file.display()),
        }
        Ok(())
    }

    fn answer(&self, source: &KeySource, path: &str) -> Fetched {
        let body = match source.path {
            KeyPath::Set(_) => {
                let keys: Vec<&[u8]> = self.0.iter().map(|(_, document)| &***document).collect();
                Some(Zeroizing::new([br#"{"keys":["#, &*keys.join(&b","[..]), b"]}"].concat()))
            }
            KeyPath::OneKey(..) => {
                let asked = |kid: &str| Kid::new(kid).is_some_and(|kid| source.path.for_kid(&kid) == path);
                self.0.iter().find(|(kid, _)| asked(kid)).map(|(_, document)| document.clone())
            }
        };
        let status = if body.is_some() { 200 } else { 404 };
        Fetched { status, headers: Vec::new(), body: body.unwrap_or_default() }
    }
}

/// The key documents in a folder, in the order of their names.
fn files(folder: &Path, private: bool) -> Result<Vec<PathBuf>> {
    let cannot = || format!("cannot read {}", folder.display());
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(cannot)? {
        let path = entry.with_context(cannot)?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let is_key = name.ends_with(".jwk") || name.ends_with(".json");
        if is_key && name.ends_with(".private.jwk") == private {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
