//! Strict reading of JSON objects that strangers wrote: token headers, claims, key documents.
//!
//! On top of serde_json's syntax this refuses what two parsers could read differently: repeated member names at the top
//! level, lone surrogates, and nesting that could exhaust a stack. Values stay as they were spelled ([`Value`]), so that
//! a number too large for a double only matters to whoever asks for it.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::denial::JsonFault;

/// Levels of arrays and objects, the outermost object included.
const MAX_DEPTH: usize = 128;

/// The members of one JSON object; no name stands twice.
#[derive(Debug)]
pub struct Object<'a> {
    /// In the order of their names by [`compare`].
    members: Vec<(Cow<'a, str>, Value<'a>)>,
}

/// A member's value, as it was spelled.
#[derive(Debug, Clone, Copy)]
pub struct Value<'a>(&'a RawValue);

impl<'a> Object<'a> {
    /// Reads `bytes` as exactly one JSON object (RFC 8259) in UTF-8 without a byte order mark.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, JsonFault> {
        let text = std::str::from_utf8(bytes).map_err(|_| JsonFault::NotUtf8)?;
        check_depth_and_surrogates(text)?;
        let mut members =
            members(text).map_err(|e| if e.is_data() { JsonFault::NotObject } else { JsonFault::Syntax })?;
        members.sort_unstable_by(|(a, _), (b, _)| compare(a, b));
        let repeated = members.iter().zip(members.iter().skip(1)).any(|((a, _), (b, _))| a == b);
        if repeated { Err(JsonFault::MemberRepeated) } else { Ok(Self { members }) }
    }

    /// The value of the member `name`, compared byte for byte after the escapes of JSON were undone.
    pub fn get(&self, name: &str) -> Option<Value<'a>> {
        let at = self.members.binary_search_by(|(n, _)| compare(n, name)).ok()?;
        self.members.get(at).map(|(_, value)| *value)
    }

    /// Every member, in no order that matters; the escapes of JSON were undone in the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Value<'a>)> {
        self.members.iter().map(|(name, value)| (name.as_ref(), *value))
    }

    /// Whether a member of this name is present, whatever its value.
    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }
}

/// Shorter names first: most names differ in length, and few bytes need be looked at.
fn compare(a: &str, b: &str) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// The members of the JSON object `text` in their order, repeated names included.
///
/// # Errors
/// serde_json's, which prints nothing of the text.
pub fn members(text: &str) -> serde_json::Result<Vec<(Cow<'_, str>, Value<'_>)>> {
    serde_json::from_str(text).map(|Members(members)| members)
}

impl<'a> Value<'a> {
    /// Reads `text` as exactly one JSON value, of any depth.
    ///
    /// # Errors
    /// serde_json's, which prints nothing of the text.
    pub fn parse(text: &'a str) -> serde_json::Result<Self> {
        serde_json::from_str(text).map(Self)
    }

    /// The literal `null`.
    pub fn is_null(self) -> bool {
        self.0.get() == "null"
    }

    /// The string, if it is one.
    pub fn text(self) -> Option<Cow<'a, str>> {
        // Nothing to undo: most strings stand between their quotes as they are.
        let plain = self.0.get().strip_prefix('"')?.strip_suffix('"')?;
        if !plain.contains('\\') {
            return Some(plain.into());
        }
        let Text(text) = serde_json::from_str(self.0.get()).ok()?;
        Some(text)
    }

    /// The string, if it is one of ASCII alone, in memory that is wiped: no other copy of it is made, however it was
    /// spelled.
    pub fn secret_ascii(self) -> Option<Zeroizing<Vec<u8>>> {
        let plain = self.0.get().strip_prefix('"')?.strip_suffix('"')?;
        // An escape is longer than what it stands for, so this never grows, which would leave a copy behind.
        let mut secret = Zeroizing::new(Vec::with_capacity(plain.len()));
        let mut bytes = plain.bytes();
        while let Some(byte) = bytes.next() {
            let unescaped = match byte {
                b'\\' => match bytes.next()? {
                    b'b' => 0x08,
                    b'f' => 0x0C,
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'u' => u8::try_from(hex4(&mut bytes)).ok()?,
                    itself => itself,
                },
                plain => plain,
            };
            secret.push(Some(unescaped).filter(u8::is_ascii)?);
        }
        Some(secret)
    }

    /// The JSON text of the value, byte for byte as it came.
    pub fn spelling(self) -> &'a str {
        self.0.get()
    }

    /// The nearest double, if it is a number; infinite when it is too large for one.
    pub fn number(self) -> Option<f64> {
        let text = self.0.get();
        // Rust would also read "inf" and "nan", which JSON's grammar already refused; this check costs one byte.
        text.starts_with(|c: char| c == '-' || c.is_ascii_digit()).then(|| text.parse().ok()).flatten()
    }

    /// The strings of an array that holds nothing but strings.
    pub fn texts(self) -> Option<Vec<Cow<'a, str>>> {
        let texts: Vec<Text<'a>> = serde_json::from_str(self.0.get()).ok()?;
        Some(texts.into_iter().map(|Text(text)| text).collect())
    }

    /// The elements of an array.
    pub fn elements(self) -> Option<Vec<Self>> {
        let elements: Vec<&'a RawValue> = serde_json::from_str(self.0.get()).ok()?;
        Some(elements.into_iter().map(Self).collect())
    }
}

#[derive(serde::Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

struct Members<'a>(Vec<(Cow<'a, str>, Value<'a>)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((Text(name), value)) = map.next_entry()? {
                    members.push((name, Value(value)));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

/// One pass over a text that need not be JSON yet: serde_json skips unused values without recursion and without looking
/// at their escapes, so both are checked here.
fn check_depth_and_surrogates(text: &str) -> Result<(), JsonFault> {
    let mut depth = 0_usize;
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => check_surrogates(&mut bytes)?,
            b'{' | b'[' if depth == MAX_DEPTH => return Err(JsonFault::TooDeep),
            b'{' | b'[' => depth = depth.saturating_add(1),
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}

/// Consumes the rest of a string; every escaped high surrogate must be followed by an escaped low one.
fn check_surrogates(bytes: &mut impl Iterator<Item = u8>) -> Result<(), JsonFault> {
    let mut high = false;
    while let Some(byte) = bytes.next() {
        let unit = match byte {
            b'\\' if bytes.next() == Some(b'u') => hex4(bytes),
            b'"' if !high => return Ok(()),
            _ => 0,
        };
        match (high, unit) {
            (false, 0xD800..=0xDBFF) => high = true,
            (true, 0xDC00..=0xDFFF) => high = false,
            (true, _) | (false, 0xDC00..=0xDFFF) => return Err(JsonFault::LoneSurrogate),
            (false, _) => {}
        }
    }
    Ok(())
}

/// Four hexadecimal digits; anything else gives some other number, and the parser proper refuses it.
fn hex4(bytes: &mut impl Iterator<Item = u8>) -> u32 {
    bytes.take(4).fold(0, |unit, byte| (unit << 4) | char::from(byte).to_digit(16).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &[u8]) -> Option<JsonFault> {
        Object::parse(text).err()
    }

    #[test]
    fn finds_members_by_name() {
        let object = Object::parse(br#"{"b":1,"a":"x","\u0063":null,"d":["y","z"]}"#).unwrap();
        assert_eq!(object.get("a").and_then(Value::text).as_deref(), Some("x"));
        assert_eq!(object.get("b").and_then(Value::number), Some(1.0));
        assert!(object.get("c").is_some_and(Value::is_null));
        assert_eq!(object.get("d").and_then(Value::texts).map(|t| t.join(",")).as_deref(), Some("y,z"));
        assert!(!object.contains("e"));
    }

    #[test]
    fn refuses_what_is_not_one_object() {
        for text in [&b"[]"[..], b"\"a\"", b"1", b"null", b"true"] {
            assert_eq!(fault(text), Some(JsonFault::NotObject), "{text:?}");
        }
        for text in [
            &b""[..],
            b"{",
            b"{} x",
            b"{}{}",
            b"\xef\xbb\xbf{}",
            b"{\"a\":NaN}",
            b"{/**/}",
            b"{\"a\":01}",
            b"{\"a\":1,}",
        ] {
            assert_eq!(fault(text), Some(JsonFault::Syntax), "{text:?}");
        }
        assert_eq!(fault(b"{\"a\":\"\xff\"}"), Some(JsonFault::NotUtf8));
        assert_eq!(fault(b"{\"a\":\"\n\"}"), Some(JsonFault::Syntax));
    }

    #[test]
    fn refuses_repeated_names_at_the_top_level_alone() {
        assert_eq!(fault(br#"{"a":1,"b":2,"a":1}"#), Some(JsonFault::MemberRepeated));
        assert_eq!(fault(br#"{"alg":1,"\u0061lg":2}"#), Some(JsonFault::MemberRepeated));
        assert_eq!(fault(br#"{"q":{"a":1,"a":2}}"#), None);
    }

    #[test]
    fn bounds_nesting() {
        let nested = |levels: usize| format!("{{\"q\":{}{}}}", "[".repeat(levels), "]".repeat(levels)).into_bytes();
        assert_eq!(fault(&nested(127)), None);
        assert_eq!(fault(&nested(128)), Some(JsonFault::TooDeep));
        assert_eq!(fault(&nested(1_000_000)), Some(JsonFault::TooDeep));
        assert_eq!(fault(br#"{"q":"[[[[\"[[["}"#), None);
    }

    #[test]
    fn refuses_lone_surrogates_everywhere() {
        for text in
            [r#""\ud800""#, r#""\udc00""#, r#""\ud800x""#, r#""\ud800\n""#, r#""\ud800\ud800""#, r#""\udc00\ud800""#]
        {
            assert_eq!(fault(format!("{{\"a\":{text}}}").as_bytes()), Some(JsonFault::LoneSurrogate), "{text}");
            assert_eq!(fault(format!("{{\"a\":[{{{text}:1}}]}}").as_bytes()), Some(JsonFault::LoneSurrogate), "{text}");
        }
        assert_eq!(fault(br#"{"a":"\ud83d\ude00\\ud800"}"#), None);
    }

    #[test]
    fn lists_its_members_as_they_were_spelled() {
        let object = Object::parse(br#"{"b": [ 1.50 , "\u0061"],"\u0061":1E2}"#).unwrap();
        let mut members: Vec<_> = object.iter().map(|(name, value)| (name, value.spelling())).collect();
        members.sort_unstable();
        assert_eq!(members, [("a", "1E2"), ("b", r#"[ 1.50 , "\u0061"]"#)]);
    }

    #[test]
    fn a_secret_is_the_text_however_it_was_spelled_and_ascii_alone() {
        let secret = |text: &str| {
            let secret = Value::parse(text).unwrap().secret_ascii();
            secret.map(|secret| String::from_utf8(secret.to_vec()).unwrap())
        };
        for text in ["\"\"", r#""abc-_""#, r#""\u0061b\u004A\u004a\u007f""#, r#""\b\f\n\r\t\/\\\"""#, r#""\u0000""#] {
            assert_eq!(secret(text).as_deref(), Value::parse(text).unwrap().text().as_deref(), "{text}");
        }
        for text in ["\"é\"", r#""\u0080""#, r#""\u0141""#, r#""\ud83d\ude00""#, "null", "1", "[]"] {
            assert_eq!(secret(text), None, "{text}");
        }
    }

    #[test]
    fn a_number_keeps_its_spelling_until_it_is_asked_for() {
        let object = Object::parse(br#"{"big":1e400,"neg":-0.5,"text":"1"}"#).unwrap();
        assert_eq!(object.get("big").and_then(Value::number), Some(f64::INFINITY));
        assert_eq!(object.get("neg").and_then(Value::number), Some(-0.5));
        assert_eq!(object.get("text").and_then(Value::number), None);
    }
}
