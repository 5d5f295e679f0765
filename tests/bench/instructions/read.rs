//! Reads a text in every way that the filter has.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mdrm_authz::cpix::Document;
use mdrm_authz::cpix::c14n::Form;
use mdrm_authz::jose::algorithm::Alg;
use mdrm_authz::jose::json::{Object, Value};
use mdrm_authz::jose::jwk::{KeySet, Provenance, Ring};
use mdrm_authz::jose::verify::VerifyingKey;

pub fn document(text: &[u8]) {
    let keys: serde_json::Value = serde_json::from_str(include_str!("../../native/cpix/fixtures/keys.json")).unwrap();
    let number = |member: &str| URL_SAFE_NO_PAD.decode(keys["rsa"][member].as_str().unwrap()).unwrap();
    let key = VerifyingKey::rsa(Alg::Rs256, &number("n"), &number("e"), None).unwrap();
    let Ok(document) = Document::parse(text) else { return };
    let _ = document.check_subject("content-1");
    let exclusive = |prefix_list: String| Form::Exclusive { prefix_list: prefix_list.into() };
    let listed = super::hostile::repeated(text.len() / 4, |i| format!("p{i} "));
    for form in [Form::Inclusive10, Form::Inclusive11, exclusive(String::new()), exclusive(listed)] {
        let _ = document.canonical_form(&form);
    }
    let _ = document.verify(&key);
}

pub fn object(text: &[u8]) {
    if let Ok(object) = Object::parse(text) {
        let kid = object.get("kid");
        let _ = (kid.and_then(Value::text), kid.and_then(Value::texts), kid.and_then(Value::secret_ascii));
        let _ = (kid.and_then(Value::number), kid.and_then(Value::elements));
    }
}

pub fn set(text: &[u8]) {
    let _ = KeySet::parse(
        text,
        Provenance {
            ring: Ring::Access,
            default_owner: None,
            default_audiences: &[],
            symmetric: true,
            slow_algorithms: false,
            native: None,
        },
    );
}
