//! Character data and attribute values: line ends, references, and the normalisation of attributes.

use std::borrow::Cow;

use super::reader::Fault;

/// Where a text stands decides what is replaced in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Between tags: line ends and references.
    Content,
    /// An attribute of type CDATA, as all are without a DTD: white space too becomes a space (XML 1.0 section 3.3.3).
    Attribute,
    /// A CDATA section or a processing instruction: line ends alone (XML 1.0 section 2.11).
    Literal,
}

/// What an application reads where `raw` stands.
pub(super) fn decode(raw: &str, place: Place) -> Result<Cow<'_, str>, Fault> {
    let special = |byte| match byte {
        b'\r' => true,
        b'&' => place != Place::Literal,
        b'\t' | b'\n' => place == Place::Attribute,
        _ => false,
    };
    let mut rest = raw;
    let mut decoded = String::new();
    while let Some((plain, found)) = rest.bytes().position(special).and_then(|at| rest.split_at_checked(at)) {
        decoded.push_str(plain);
        if let Some(reference) = found.strip_prefix('&') {
            let (name, after) = reference.split_once(';').ok_or("a reference without an end")?;
            decoded.push(referenced(name)?);
            rest = after;
        } else {
            decoded.push(if place == Place::Attribute { ' ' } else { '\n' });
            let after = found.strip_prefix("\r\n").or_else(|| found.strip_prefix(['\r', '\n', '\t']));
            rest = after.unwrap_or_default();
        }
    }
    if rest.len() == raw.len() {
        return Ok(Cow::Borrowed(raw));
    }
    decoded.push_str(rest);
    Ok(Cow::Owned(decoded))
}

/// The character that `&name;` stands for: a predefined entity or a character reference (XML 1.0 sections 4.1, 4.6).
fn referenced(name: &str) -> Result<char, Fault> {
    let (digits, radix) = match name {
        "lt" => return Ok('<'),
        "gt" => return Ok('>'),
        "amp" => return Ok('&'),
        "apos" => return Ok('\''),
        "quot" => return Ok('"'),
        _ => match (name.strip_prefix("#x"), name.strip_prefix('#')) {
            (Some(digits), _) => (digits, 16),
            (None, Some(digits)) => (digits, 10),
            (None, None) => return Err("an entity other than the five predefined ones"),
        },
    };
    // from_str_radix would take a sign.
    let all_digits = digits.chars().all(|digit| digit.is_digit(radix));
    let number = if all_digits { u32::from_str_radix(digits, radix).ok() } else { None };
    number.and_then(char::from_u32).filter(|char| is_char(*char)).ok_or("a reference to no character of XML")
}

/// `Char` of XML 1.0 section 2.2.
fn is_char(char: char) -> bool {
    matches!(char, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}

/// Whether `text` consists of characters of XML alone.
pub(super) fn is_all_chars(text: &str) -> bool {
    // All but two characters that are none are single bytes, and bytes are many times as fast to look through.
    let control = text.bytes().any(|byte| byte < b' ' && !matches!(byte, b'\t' | b'\n' | b'\r'));
    !control && !text.contains('\u{FFFE}') && !text.contains('\u{FFFF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_and_white_space_depend_on_the_place() {
        let decoded = |place| decode("a\r\nb\rc\nd\te\r\r\n", place).unwrap();
        assert_eq!(decoded(Place::Content), "a\nb\nc\nd\te\n\n");
        assert_eq!(decoded(Place::Literal), "a\nb\nc\nd\te\n\n");
        assert_eq!(decoded(Place::Attribute), "a b c d e  ");
    }

    #[test]
    fn references_are_taken_as_they_are_and_once() {
        let raw = "&#13;&#xA;&#9;&lt;&gt;&amp;&apos;&quot;&#x1F600;&amp;lt;";
        assert_eq!(decode(raw, Place::Attribute).unwrap(), "\r\n\t<>&'\"\u{1F600}&lt;");
        assert_eq!(decode(raw, Place::Content).unwrap(), "\r\n\t<>&'\"\u{1F600}&lt;");
        assert_eq!(decode(raw, Place::Literal).unwrap(), raw);
    }

    #[test]
    fn other_references_are_refused() {
        for raw in [
            "&",
            "&lt",
            "&;",
            "&#;",
            "&#x;",
            "&#+65;",
            "&#-1;",
            "&#x+41;",
            "&#0;",
            "&#xB;",
            "&#xD800;",
            "&#xFFFE;",
            "&#x110000;",
            "&#99999999999;",
            "&nbsp;",
            "&LT;",
            "& lt;",
            "&#X41;",
        ] {
            assert!(decode(raw, Place::Content).is_err(), "{raw}");
            assert!(decode(raw, Place::Attribute).is_err(), "{raw}");
        }
    }

    #[test]
    fn a_text_without_anything_to_replace_is_not_copied() {
        assert!(matches!(decode("plain text", Place::Content), Ok(Cow::Borrowed(_))));
        assert!(matches!(decode("", Place::Attribute), Ok(Cow::Borrowed(_))));
    }

    #[test]
    fn control_characters_and_non_characters_are_not_of_xml() {
        for char in ['\0', '\u{1}', '\u{8}', '\u{B}', '\u{1F}', '\u{FFFE}', '\u{FFFF}'] {
            assert!(!is_all_chars(&format!("a{char}b")), "{char:?}");
        }
        assert!(is_all_chars("\t\n\r \u{7F}\u{85}\u{D7FF}\u{E000}\u{FFFD}\u{10000}\u{10FFFF}"));
    }
}
