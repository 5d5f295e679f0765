//! Private JWKs: making them, reading them, signing with them.

use std::path::Path;

use anyhow::{Context as _, Result, anyhow, bail};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jwt_compact::alg::{Ed25519, Es256, Hs256, Hs384, Hs512, Rsa};
use jwt_compact::jwk::JsonWebKey;
use jwt_compact::{Algorithm, AlgorithmSignature};
use mdrm_authz::jose::algorithm::Alg;
use mdrm_authz::jose::xmldsig::SignatureMethod;
use p384::ecdsa::signature::Signer as _;
use p384::elliptic_curve::Generate as _;
use rand_core::{OsRng, RngCore as _};
use rsa::traits::{PrivateKeyParts as _, PublicKeyParts as _};
use serde_json::{Map, Value, json};

/// The members of a JWK that are secret (RFC 7518 section 6).
const SECRET: &[&str] = &["d", "p", "q", "dp", "dq", "qi", "oth"];

/// A JWK that can sign.
#[derive(Debug, Clone)]
pub(crate) struct PrivateJwk {
    members: Map<String, Value>,
    alg: Alg,
}

impl PrivateJwk {
    /// A new key for `alg` from the operating system's random numbers.
    pub(crate) fn generate(alg: Alg) -> Result<Self> {
        let members = match alg {
            Alg::Rs256 | Alg::Rs384 | Alg::Rs512 | Alg::Ps256 | Alg::Ps384 | Alg::Ps512 => rsa_members()?,
            Alg::Es256 => {
                let key = <Es256 as Algorithm>::SigningKey::random(&mut OsRng);
                let point = key.verifying_key().to_encoded_point(false);
                ec_members("P-256", point.as_bytes(), &key.to_bytes())
            }
            Alg::Es384 => {
                let key = p384::ecdsa::SigningKey::generate();
                let point = key.verifying_key().to_sec1_point(false);
                ec_members("P-384", point.as_bytes(), &key.to_bytes())
            }
            Alg::Es512 => {
                let key = p521::ecdsa::SigningKey::generate();
                let point = key.verifying_key().to_sec1_point(false);
                ec_members("P-521", point.as_bytes(), &key.to_bytes())
            }
            Alg::EdDsa => {
                let mut seed = [0; 32];
                OsRng.fill_bytes(&mut seed);
                let key = <Ed25519 as Algorithm>::SigningKey::from_bytes(&seed);
                json!({"kty": "OKP", "crv": "Ed25519", "x": encode(key.verifying_key().as_bytes()), "d": encode(&seed)})
            }
            // As long as the hash's block, which RFC 2104 section 3 recommends as the most that is of use.
            Alg::Hs256 => secret_members(64),
            Alg::Hs384 | Alg::Hs512 => secret_members(128),
        };
        let Value::Object(mut members) = members else { bail!("a key is a JSON object") };
        members.insert("alg".into(), alg.name().into());
        Ok(Self { members, alg })
    }

    /// Reads a file that holds a private JWK; `alg` must say what it signs.
    pub(crate) fn read(file: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        Self::parse(&text).with_context(|| format!("in {}", file.display()))
    }

    fn parse(json: &str) -> Result<Self> {
        let members: Map<String, Value> = serde_json::from_str(json).context("not a JSON object")?;
        let alg = members.get("alg").and_then(Value::as_str).context("the key has no alg")?;
        let alg = Alg::from_name(alg).with_context(|| format!("alg {alg} is not supported"))?;
        Ok(Self { members, alg })
    }

    /// Adds or replaces a member.
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.members.insert(name.into(), value.into());
        self
    }

    /// A member's string.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.members.get(name).and_then(Value::as_str)
    }

    /// A member.
    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.members.get(name)
    }

    /// What the key signs.
    pub(crate) fn alg(&self) -> Alg {
        self.alg
    }

    /// All members, secrets included.
    pub(crate) fn private(&self) -> Value {
        Value::Object(self.members.clone())
    }

    /// The key document for the key service: without the secrets (a shared secret stays: it is what verifies), enabled.
    pub(crate) fn document(&self) -> Value {
        let mut document = self.members.clone();
        document.retain(|name, _| !SECRET.contains(&name.as_str()));
        document.insert("status".into(), "enabled".into());
        Value::Object(document)
    }

    /// The signature over `message`, as RFC 7518 section 3 lays it out.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>> {
        match self.alg {
            Alg::Rs256 => self.sign_as(&Rsa::rs256(), message),
            Alg::Rs384 => self.sign_as(&Rsa::rs384(), message),
            Alg::Rs512 => self.sign_as(&Rsa::rs512(), message),
            Alg::Ps256 => self.sign_as(&Rsa::ps256(), message),
            Alg::Ps384 => self.sign_as(&Rsa::ps384(), message),
            Alg::Ps512 => self.sign_as(&Rsa::ps512(), message),
            Alg::Es256 => self.sign_as(&Es256, message),
            Alg::Es384 => {
                let key = p384::ecdsa::SigningKey::from_slice(&self.scalar()?)?;
                let signature: p384::ecdsa::Signature = key.sign(message);
                Ok(signature.to_bytes().to_vec())
            }
            Alg::Es512 => {
                let key = p521::ecdsa::SigningKey::from_slice(&self.scalar()?)?;
                let signature: p521::ecdsa::Signature = key.sign(message);
                Ok(signature.to_bytes().to_vec())
            }
            Alg::EdDsa => self.sign_as(&Ed25519, message),
            Alg::Hs256 => self.sign_as(&Hs256, message),
            Alg::Hs384 => self.sign_as(&Hs384, message),
            Alg::Hs512 => self.sign_as(&Hs512, message),
        }
    }

    /// The signature over `message` by an XML-DSig method, whatever the key's `alg`, which is for tokens.
    pub(crate) fn sign_xml(&self, method: SignatureMethod, message: &[u8]) -> Result<Vec<u8>> {
        match method {
            SignatureMethod::RsaSha256 => self.sign_as(&Rsa::rs256(), message),
            SignatureMethod::RsaSha512 => self.sign_as(&Rsa::rs512(), message),
            SignatureMethod::EcdsaSha256 => self.sign_as(&Es256, message),
        }
    }

    fn sign_as<A>(&self, alg: &A, message: &[u8]) -> Result<Vec<u8>>
    where
        A: Algorithm,
        A::SigningKey: for<'a> TryFrom<&'a JsonWebKey<'a>, Error = jwt_compact::jwk::JwkError>,
    {
        let text = serde_json::to_string(&self.members)?;
        let jwk: JsonWebKey<'_> = serde_json::from_str(&text).context("not a private JWK")?;
        let key = A::SigningKey::try_from(&jwk).map_err(|error| anyhow!("not a private JWK for its alg: {error}"))?;
        Ok(alg.sign(&key, message).as_bytes().into_owned())
    }

    fn scalar(&self) -> Result<Vec<u8>> {
        let scalar = URL_SAFE_NO_PAD.decode(self.text("d").context("the key has no d")?);
        scalar.map_err(|error| anyhow!("d is not base64url: {error}"))
    }
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// `point` is uncompressed (SEC 1 section 2.3.3): a tag, then x and y of equal length.
fn ec_members(crv: &str, point: &[u8], scalar: &[u8]) -> Value {
    let coordinates = point.get(1..).unwrap_or_default();
    let (x, y) = coordinates.split_at_checked(coordinates.len() / 2).unwrap_or_default();
    json!({"kty": "EC", "crv": crv, "x": encode(x), "y": encode(y), "d": encode(scalar)})
}

fn secret_members(bytes: usize) -> Value {
    let mut secret = vec![0; bytes];
    OsRng.fill_bytes(&mut secret);
    json!({"kty": "oct", "k": encode(&secret)})
}

fn rsa_members() -> Result<Value> {
    let mut key = rsa::RsaPrivateKey::new(&mut OsRng, 2048)?;
    key.precompute()?;
    let [p, q] = key.primes() else { bail!("an RSA key has two primes") };
    let number = |number: &rsa::BigUint| encode(&number.to_bytes_be());
    let qi = key.crt_coefficient().context("the primes are different")?;
    Ok(json!({
        "kty": "RSA", "n": number(key.n()), "e": number(key.e()), "d": number(key.d()), "p": number(p), "q": number(q),
        "dp": key.dp().map(number), "dq": key.dq().map(number), "qi": number(&qi),
    }))
}
