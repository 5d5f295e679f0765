//! JSON values with the path that a refusal names, and what may be read from them.
//!
//! By hand and not by serde's derive: that writes a parser of its own for each type, 110 kB of the module for something that
//! runs once. A refusal says what was found and what is allowed; next to secrets it says only where.

use std::borrow::Cow;

use super::{Result, refuse};
use crate::jose::json::{self, Value};

/// A value and where it stands.
pub(super) struct Member<'a> {
    path: String,
    value: Value<'a>,
}

/// What a member may be.
pub(super) trait Read: Sized {
    /// Reads a value that is there, `null` included.
    fn read(member: &Member<'_>) -> Result<Self>;

    /// What the member is when it is not there; none if it must be.
    fn absent() -> Option<Self> {
        None
    }
}

/// An object that holds known members only, each at most once.
pub(super) struct Object<'m, 'a> {
    whole: &'m Member<'a>,
    members: Vec<(Cow<'a, str>, Value<'a>)>,
}

impl<'a> Member<'a> {
    /// Reads `text` as one JSON value: the whole document.
    pub(super) fn document(text: &'a [u8]) -> Result<Self> {
        let problem = match std::str::from_utf8(text).map(Value::parse) {
            Ok(Ok(value)) => return Ok(Self { path: String::new(), value }),
            _ if is_protobuf_struct(text) => {
                "found a google.protobuf.Struct, allowed: JSON in a google.protobuf.StringValue, that is configuration: \
                 {\"@type\": type.googleapis.com/google.protobuf.StringValue, value: '{...}'}"
                    .to_owned()
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "found bytes that are not UTF-8".to_owned(),
        };
        refuse(".", problem)
    }

    /// The object, which must not have members besides `names`.
    pub(super) fn object(&self, names: &[&str]) -> Result<Object<'_, 'a>> {
        let members = self.members()?;
        for (at, (name, _)) in members.iter().enumerate() {
            if !names.contains(&&**name) {
                let known = names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
                return refuse(self.child(name), format!("unknown field `{name}`, expected one of {known}"));
            }
            if members.iter().take(at).any(|(other, _)| other == name) {
                return refuse(self.path(), format!("duplicate field `{name}`"));
            }
        }
        Ok(Object { whole: self, members })
    }

    /// Names and texts as they were written, a repeated name included.
    pub(super) fn texts(&self) -> Result<Vec<(String, String)>> {
        let members = self.members()?.into_iter();
        members.map(|(name, value)| Ok((name.to_string(), String::read(&self.member(&name, value))?))).collect()
    }

    /// The elements of an array.
    pub(super) fn elements(&self) -> Result<Vec<Self>> {
        let Some(elements) = self.value.elements() else { return self.wrong("an array") };
        let element = |(at, value)| Self { path: format!("{}[{at}]", self.path), value };
        Ok(elements.into_iter().enumerate().map(element).collect())
    }

    /// The string.
    pub(super) fn text(&self, allowed: &str) -> Result<Cow<'a, str>> {
        self.value.text().map_or_else(|| self.wrong(allowed), Ok)
    }

    /// One of these names.
    pub(super) fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Result<T> {
        let text = self.value.text();
        match choices.iter().find(|(name, _)| text.as_deref() == Some(*name)) {
            Some((_, choice)) => Ok(*choice),
            None => self.wrong(&choices.iter().map(|(name, _)| format!("{name:?}")).collect::<Vec<_>>().join(", ")),
        }
    }

    /// The JSON text of the value.
    pub(super) fn spelling(&self) -> &'a str {
        self.value.spelling()
    }

    /// Refuses the value.
    pub(super) fn wrong<T>(&self, allowed: &str) -> Result<T> {
        if may_hold_secret(&self.path) {
            return refuse(self.path(), "found <redacted>, which has the wrong type or form");
        }
        let found = self.value.spelling();
        let found = match found.bytes().next() {
            Some(b'{') => "an object",
            Some(b'[') => "an array",
            _ => found,
        };
        refuse(self.path(), format!("found {found}, allowed: {allowed}"))
    }

    fn path(&self) -> &str {
        if self.path.is_empty() { "." } else { &self.path }
    }

    fn child(&self, name: &str) -> String {
        // The name of the whole document is empty as well.
        let name = if name.is_empty() { "\"\"" } else { name };
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    fn member(&self, name: &str, value: Value<'a>) -> Self {
        Self { path: self.child(name), value }
    }

    fn members(&self) -> Result<Vec<(Cow<'a, str>, Value<'a>)>> {
        json::members(self.value.spelling()).map_or_else(|_| self.wrong("an object"), Ok)
    }
}

impl Object<'_, '_> {
    /// The member of this name.
    pub(super) fn get<T: Read>(&self, name: &str) -> Result<T> {
        match self.find(name) {
            Some(member) => T::read(&member),
            None => T::absent().map_or_else(|| self.missing(name), Ok),
        }
    }

    fn find(&self, name: &str) -> Option<Member<'_>> {
        self.members.iter().find(|(other, _)| other == name).map(|(_, value)| self.whole.member(name, *value))
    }

    fn missing<T>(&self, name: &str) -> Result<T> {
        refuse(self.whole.path(), format!("missing field `{name}`"))
    }
}

impl Read for String {
    fn read(member: &Member<'_>) -> Result<Self> {
        member.text("a string").map(Cow::into_owned)
    }
}

impl Read for bool {
    fn read(member: &Member<'_>) -> Result<Self> {
        match member.spelling() {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => member.wrong("true or false"),
        }
    }
}

impl Read for u64 {
    fn read(member: &Member<'_>) -> Result<Self> {
        member.spelling().parse().or_else(|_| member.wrong("a whole number of 64 bits"))
    }
}

impl Read for u32 {
    fn read(member: &Member<'_>) -> Result<Self> {
        member.spelling().parse().or_else(|_| member.wrong("a whole number of 32 bits"))
    }
}

/// `null` says the same as no member.
impl<T: Read> Read for Option<T> {
    fn read(member: &Member<'_>) -> Result<Self> {
        if member.value.is_null() { Ok(None) } else { T::read(member).map(Some) }
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}

impl<T: Read> Read for Vec<T> {
    fn read(member: &Member<'_>) -> Result<Self> {
        member.elements()?.iter().map(T::read).collect()
    }

    fn absent() -> Option<Self> {
        Some(Self::new())
    }
}

/// Whether these bytes are a `google.protobuf.Struct` with a member at least, which is what Envoy hands over in the place of
/// JSON if its configuration says so: entries of field 1, each a name in field 1 and a value in field 2.
fn is_protobuf_struct(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while !rest.is_empty() {
        let Some((mut entry, after)) = field(0x0a, rest) else { return false };
        rest = after;
        for tag in [0x0a, 0x12] {
            let Some((_, after)) = field(tag, entry) else { return false };
            entry = after;
        }
        if !entry.is_empty() {
            return false;
        }
    }
    !bytes.is_empty()
}

/// The content of the field that starts `bytes` with this tag, and what follows it.
fn field(tag: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut rest = bytes.strip_prefix(&[tag])?;
    let mut length = 0;
    for shift in [0, 7, 14, 21, 28] {
        let (byte, after) = rest.split_first()?;
        rest = after;
        length |= usize::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return rest.split_at_checked(length);
        }
    }
    None
}

fn may_hold_secret(path: &str) -> bool {
    path.split(['.', '[']).any(|member| matches!(member, "headers" | "inline"))
        || path.rsplit('.').next() == Some("keys")
}
