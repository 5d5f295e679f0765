//! What the key services said, and what the key documents say.

use mdrm_authz::jose::jwk::Ring;
use serde_json::Value;

use super::super::show::{list, moment, shown, text};
use super::{Facts, present};

/// How a line of the log about a failed answer starts.
const FAILED: &str = "key service failed";

impl Facts<'_> {
    /// What the key service said, and if it failed what the filter's log says of that.
    pub(super) fn answer(&self, ring: Ring) -> Vec<String> {
        let mut facts = Vec::new();
        for question in self.questions.iter().filter(|question| question.ring == ring) {
            let answer = match &question.answer {
                None => "nobody to ask here",
                Some(Ok(status)) => &status.to_string(),
                Some(Err(why)) => why,
            };
            facts.push(format!("{} of {}: {answer}", text(&question.path), text(&question.cluster)));
            let failures = question.remarks.iter().filter(|remark| remark.starts_with(FAILED));
            facts.extend(failures.map(|remark| format!("log: {remark}")));
        }
        if facts.is_empty() && self.config.keys.inline.is_some() && ring == Ring::Access {
            facts.push("keys.inline".to_owned());
        }
        facts
    }

    /// Members of the key document, or why there is none that can be used.
    pub(super) fn key(&self, ring: Ring, names: &[&str]) -> Vec<String> {
        let mut facts = self.document(ring, names);
        for question in self.questions.iter().filter(|question| question.ring == ring) {
            match question.answer {
                Some(Ok(404)) => facts.push("404: never registered".to_owned()),
                Some(Ok(410)) => facts.push("410: deleted".to_owned()),
                _ => {}
            }
            let unusable = question.remarks.iter().filter(|remark| !remark.starts_with(FAILED));
            facts.extend(unusable.map(|remark| format!("log: {remark}")));
        }
        facts
    }

    /// Members of the key document; of a set or of inline keys, of the one that the request names.
    pub(super) fn document(&self, ring: Ring, names: &[&str]) -> Vec<String> {
        let document = self.key_document(ring);
        if document.is_null() { Vec::new() } else { names.iter().filter_map(|name| present(&document, name)).collect() }
    }

    pub(super) fn key_document(&self, ring: Ring) -> Value {
        let json = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap_or_default();
        let inline =
            self.config.keys.inline.as_ref().filter(|_| ring == Ring::Access).map(|keys| json(keys.as_bytes()));
        let answered = self.question(ring).map(|question| json(&question.document));
        let kid = self.token.as_ref().and_then(|token| token.header.get("kid").cloned());
        for document in inline.into_iter().chain(answered) {
            match document.get("keys").and_then(Value::as_array) {
                None => return document,
                Some(keys) => {
                    if let Some(key) = keys.iter().find(|key| kid.is_some() && key.get("kid") == kid.as_ref()) {
                        return key.clone();
                    }
                }
            }
        }
        Value::Null
    }

    pub(super) fn key_enabled(&self) -> Vec<String> {
        let document = self.key_document(Ring::Access);
        let mut facts: Vec<String> = present(&document, "status").into_iter().collect();
        if let Some(exp) = document.get("exp") {
            facts.push(format!("exp {}", moment(exp, self.now)));
        }
        facts
    }

    pub(super) fn session_key(&self) -> Vec<String> {
        let named = present(&self.key_document(Ring::Access), "session_kid");
        let configured = self.config.session.as_ref().and_then(|session| session.kid.as_ref());
        let configured = configured.map(|kid| format!("session.kid {}", text(kid.as_str())));
        let mut facts: Vec<String> = named.or(configured).into_iter().collect();
        facts.extend(self.key(Ring::Session, &["status"]));
        facts
    }

    pub(super) fn key_scope(&self) -> String {
        let document = self.key_document(Ring::Access);
        if document.is_null() {
            return "the key's purposes are not known".to_owned();
        }
        match document.get("aud") {
            Some(aud) => format!("the key is for {}", shown(aud)),
            None if self.config.keys.audiences.is_empty() => "the key has no purpose".to_owned(),
            None => format!("the key is for {}", list(&self.config.keys.audiences)),
        }
    }
}
