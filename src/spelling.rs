//! Names of headers as servers behind the proxy may read them.
//!
//! CGI and its descendants make `HTTP_X_A` of `X-A`, `X_A` and, some of them, of `X.A`: what is no letter and no digit becomes
//! one character. Two names that differ in nothing else are one name here.

/// `name` in lower case, with `-` for every byte that is no letter and no digit.
pub(crate) fn fold(name: &str) -> String {
    name.bytes().map(|byte| char::from(folded(byte))).collect()
}

/// Whether `name` folds to `ours`, which is folded.
pub(crate) fn is_spelling_of(name: &[u8], ours: &str) -> bool {
    name.len() == ours.len() && name.iter().zip(ours.bytes()).all(|(byte, ours)| folded(*byte) == ours)
}

fn folded(byte: u8) -> u8 {
    if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() } else { b'-' }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_no_letter_and_no_digit_is_a_hyphen() {
        assert_eq!(fold("X.Mdrm_Session!2"), "x-mdrm-session-2");
        for byte in 0..=u8::MAX {
            let name = [b'x', byte, b'a'];
            let text: String = name.iter().map(|byte| char::from(*byte)).collect();
            assert_eq!(is_spelling_of(&name, "x-a"), !byte.is_ascii_alphanumeric(), "{text:?}");
        }
        assert!(!is_spelling_of(b"x-a", "x-ab") && !is_spelling_of(b"x-ab", "x-a"));
    }
}
