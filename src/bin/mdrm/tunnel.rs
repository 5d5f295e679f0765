//! Master keys and Trust Tunnel bodies: making them, reading them, sealing with them.

use aes_gcm::aead::{AeadInOut as _, KeyInit as _};
use aes_gcm::{Aes256Gcm, Nonce};
use aes_kw::KwAes256;
use anyhow::{Context as _, Result, anyhow};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use mdrm_authz::jose::master_key::{KEY_BYTES, KeyManagement};
use rand_core::{OsRng, RngCore as _};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

/// A master key of the Trust Tunnel with its name.
pub(crate) struct NamedMasterKey {
    kid: String,
    alg: KeyManagement,
    secret: Zeroizing<[u8; KEY_BYTES]>,
}

/// What a Trust Tunnel body carries.
pub(crate) struct Payload<'a> {
    pub(crate) license_request: &'a [u8],
    pub(crate) jwt: &'a str,
    pub(crate) content_type: Option<&'a str>,
}

impl NamedMasterKey {
    /// A new key from the operating system's random numbers.
    pub(crate) fn generate(kid: String, alg: KeyManagement) -> Self {
        Self { kid, alg, secret: random() }
    }

    /// Reads a key document.
    pub(crate) fn parse(json: &str) -> Result<Self> {
        let members: Map<String, Value> = serde_json::from_str(json).context("not a JSON object")?;
        let text = |name| members.get(name).and_then(Value::as_str).with_context(|| format!("the key has no {name}"));
        let alg = KeyManagement::from_name(text("alg")?).context("not a master key: alg is neither A256KW nor dir")?;
        let k =
            Zeroizing::new(URL_SAFE_NO_PAD.decode(text("k")?).map_err(|error| anyhow!("k is not base64url: {error}"))?);
        let secret = <[u8; KEY_BYTES]>::try_from(&**k).map(Zeroizing::new).ok();
        Ok(Self { kid: text("kid")?.to_owned(), alg, secret: secret.context("k has not 32 bytes")? })
    }

    /// The key document for the key service, enabled. It holds the secret: whoever seals needs it as much as who opens.
    pub(crate) fn document(&self) -> Value {
        json!({
            "kty": "oct", "kid": self.kid, "use": "enc", "alg": self.alg.name(),
            "k": URL_SAFE_NO_PAD.encode(*self.secret), "status": "enabled",
        })
    }

    /// The body of a Trust Tunnel request: a JWE in compact serialization (RFC 7516 section 7.1).
    pub(crate) fn seal(&self, payload: &Payload<'_>) -> Result<String> {
        let header = json!({"alg": self.alg.name(), "enc": "A256GCM", "kid": self.kid});
        let header = URL_SAFE_NO_PAD.encode(header.to_string());
        let mut text = json!({"license_request": STANDARD.encode(payload.license_request), "jwt": payload.jwt});
        if let (Some(content_type), Some(members)) = (payload.content_type, text.as_object_mut()) {
            members.insert("content_type".into(), content_type.into());
        }
        let mut text = text.to_string().into_bytes();
        let (content_key, encrypted_key) = self.content_key()?;
        let iv: Zeroizing<[u8; 12]> = random();
        let tag = Aes256Gcm::new((&*content_key).into())
            .encrypt_inout_detached(&Nonce::from(*iv), header.as_bytes(), (&mut *text).into())
            .map_err(|_| anyhow!("the payload is too long"))?;
        let parts = [&*encrypted_key, &*iv, &text, &tag].map(|part| URL_SAFE_NO_PAD.encode(part));
        Ok(format!("{header}.{}", parts.join(".")))
    }

    /// The content key of one body, and its encrypted form (RFC 7516 section 5.1 steps 1 to 6).
    fn content_key(&self) -> Result<(Zeroizing<[u8; KEY_BYTES]>, Vec<u8>)> {
        match self.alg {
            KeyManagement::Dir => Ok((self.secret.clone(), Vec::new())),
            KeyManagement::A256Kw => {
                let content_key = random();
                let mut wrapped = vec![0; KEY_BYTES + aes_kw::IV_LEN];
                let kek = KwAes256::new((&*self.secret).into());
                kek.wrap_key(content_key.as_slice(), &mut wrapped)
                    .map_err(|error| anyhow!("cannot wrap the key: {error}"))?;
                Ok((content_key, wrapped))
            }
        }
    }
}

fn random<const N: usize>() -> Zeroizing<[u8; N]> {
    let mut bytes = Zeroizing::new([0; N]);
    OsRng.fill_bytes(bytes.as_mut_slice());
    bytes
}
