//! The token is taken off a request, and nothing else.

use mdrm_authz::carriage::Carriage;
use mdrm_authz::denial::Denial;
use mdrm_authz::request::RequestHead;
use proptest::prelude::*;

use super::cases;

/// What was read from a request, apart from it.
struct Read {
    token: Result<String, Denial>,
    /// With and without the token.
    edit: Option<(Vec<u8>, Vec<u8>)>,
}

fn read(target: &[u8]) -> Read {
    read_head(&[(b":method", b"POST"), (b":path", target)])
}

fn read_head(headers: &[(&[u8], &[u8])]) -> Read {
    let Carriage { token, removal } = Carriage::read(RequestHead::new(headers, false));
    let edit = removal.path.map(|edit| (edit.with_token.to_vec(), edit.without_token));
    Read { token: token.map(Into::into), edit }
}

/// The target that goes on to the upstream.
fn without_token(target: &[u8]) -> Vec<u8> {
    read(target).edit.map_or_else(|| target.to_vec(), |(_, without_token)| without_token)
}

/// A pair that is not the token's: any bytes that a request line or HTTP/2 can hold, but `&` and `#`.
fn pair() -> impl Strategy<Value = Vec<u8>> {
    let odd = prop::sample::select(vec![
        "",
        "=",
        "a=1",
        "authorization=t.t.t",
        "Authorization2=t.t.t",
        "xAuthorization=t",
        "%",
        "%4",
        "%zz=1",
        "a=Authorization=1",
        "?",
        "?Authorization=t",
        "/../",
        "+",
        "Authorization%00=x",
        "%2541uthorization=t",
        "a;Authorization=t",
    ]);
    let any = prop::collection::vec(any::<u8>().prop_filter("no separator", |b| !b"&#".contains(b)), 0..12)
        .prop_filter("not the token", |pair| name(pair) != b"Authorization");
    prop_oneof![odd.prop_map(|pair| pair.as_bytes().to_vec()), any]
}

/// The name of a pair, its escapes undone where they are whole.
fn name(pair: &[u8]) -> Vec<u8> {
    let name = pair.split(|b| *b == b'=').next().unwrap();
    let mut decoded = Vec::new();
    let mut at = 0;
    while at < name.len() {
        let digits = name.get(at + 1..at + 3).and_then(|digits| std::str::from_utf8(digits).ok());
        let byte =
            digits.filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit())).and_then(|d| u8::from_str_radix(d, 16).ok());
        match byte {
            Some(byte) if name[at] == b'%' => {
                decoded.push(byte);
                at += 3;
            }
            _ => {
                decoded.push(name[at]);
                at += 1;
            }
        }
    }
    decoded
}

/// One of the spellings of the parameter's name that decode to it.
fn spelled_name() -> impl Strategy<Value = String> {
    prop::collection::vec(0..3_u8, 13).prop_map(|spellings| {
        let letters = "Authorization".bytes().zip(spellings);
        letters
            .map(|(letter, spelling)| match spelling {
                0 => format!("%{letter:02x}"),
                1 => format!("%{letter:02X}"),
                _ => char::from(letter).to_string(),
            })
            .collect()
    })
}

/// The parameter's name, as it is or in another spelling.
fn any_name() -> impl Strategy<Value = String> {
    prop_oneof![Just("Authorization".to_owned()), spelled_name()]
}

fn target(pairs: &[Vec<u8>]) -> Vec<u8> {
    if pairs.is_empty() { b"/a/b".to_vec() } else { [b"/a/b?", &pairs.join(&b'&')[..]].concat() }
}

proptest! {
    #![proptest_config(cases(4_000))]

    #[test]
    fn a_query_without_the_parameter_stays_as_it_is(pairs in prop::collection::vec(pair(), 0..6)) {
        let target = target(&pairs);
        let carriage = read(&target);
        prop_assert_eq!(carriage.edit, None, "{}", target.escape_ascii());
        prop_assert!(carriage.token.is_err());
    }

    #[test]
    fn taking_the_token_off_keeps_every_other_byte_in_order(
        pairs in prop::collection::vec(pair(), 0..6),
        at in any::<prop::sample::Index>(),
        token in "[A-Za-z0-9_.-]{1,20}",
    ) {
        let mut with_token = pairs.clone();
        with_token.insert(at.index(pairs.len() + 1), format!("Authorization={token}").into_bytes());
        let target_with_token = target(&with_token);
        let carriage = read(&target_with_token);
        let expected = if token.eq_ignore_ascii_case("bearer") { read(b"/").token } else { Ok(token) };
        prop_assert_eq!(&carriage.token, &expected);
        prop_assert_eq!(carriage.edit, Some((target_with_token, target(&pairs))));
    }

    #[test]
    fn several_parameters_are_refused_and_none_stays(
        pairs in prop::collection::vec(pair(), 0..4),
        mine in prop::collection::vec((any_name(), "[A-Za-z0-9_.%-]{0,20}", any::<prop::sample::Index>()), 2..4),
    ) {
        let mut all = pairs.clone();
        for (name, value, at) in &mine {
            all.insert(at.index(all.len() + 1), format!("{name}={value}").into_bytes());
        }
        let carriage = read(&target(&all));
        prop_assert!(carriage.token.is_err());
        prop_assert_eq!(carriage.edit.unwrap().1, target(&pairs));
    }

    #[test]
    fn whatever_the_target_is_no_parameter_stays_behind(
        start in "[/a?&#%]{0,4}", name in spelled_name(), rest in prop::collection::vec(any::<u8>(), 0..30),
    ) {
        for target in [rest.clone(), [start.as_bytes(), b"?", name.as_bytes(), b"=", &rest].concat()] {
            let edited = without_token(&target);
            let again = read(&edited);
            prop_assert_eq!(again.edit, None, "{}", target.escape_ascii());
            prop_assert_eq!(without_token(&edited), edited.clone());
            let path = |target: &[u8]| target.split(|b| b"?#".contains(b)).next().unwrap().to_vec();
            prop_assert_eq!(path(&edited), path(&target));
            let fragment = |target: &[u8]| target.iter().position(|b| *b == b'#').map(|at| target[at..].to_vec());
            prop_assert_eq!(fragment(&edited), fragment(&target));
        }
    }

    #[test]
    fn a_token_is_the_value_decoded_once(token in "[!-~]{1,30}") {
        prop_assume!(!token.eq_ignore_ascii_case("bearer"));
        let escaped: String = token.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let carriage = read(format!("/?Authorization={escaped}").as_bytes());
        prop_assert_eq!(carriage.token, Ok(token.clone()));
        let headers: [(&[u8], &[u8]); 2] = [(b":path", b"/"), (b"authorization", token.as_bytes())];
        prop_assert_eq!(read_head(&headers).token, Ok(token));
    }
}
