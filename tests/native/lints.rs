//! What the lints rest on.

#[test]
fn the_calls_that_clippy_forbids_by_name_are_those_of_the_sdk_in_use() {
    let version_in = |text: &str, before: &str| {
        let (_, behind) = text.split_once(before).unwrap_or_else(|| panic!("no {before:?}"));
        behind
            .split(|letter: char| !letter.is_ascii_digit() && letter != '.')
            .next()
            .unwrap()
            .trim_end_matches('.')
            .to_owned()
    };
    let lock = version_in(include_str!("../../Cargo.lock"), "name = \"proxy-wasm\"\nversion = \"");
    let listed = version_in(include_str!("../../clippy.toml"), "proxy-wasm ");
    assert_eq!(lock, listed, "clippy.toml lists the calls of another version: look for new ones that panic");
}
