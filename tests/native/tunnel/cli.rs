//! Bodies that `mdrm mint --tunnel` makes with keys of `mdrm keygen`.

use std::path::Path;
use std::process::{Command, Output};

use mdrm_authz::jose::jwe::UntrustedJwe;
use mdrm_authz::jose::token::UntrustedToken;
use mdrm_authz::tunnel::TunnelRequest;

use super::read;
use crate::support::tunnel::KeyManagement;

fn mdrm(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_mdrm")).current_dir(folder).args(arguments).output().unwrap()
}

fn made(folder: &Path, arguments: &[&str]) -> String {
    let output = mdrm(folder, arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

#[test]
fn a_minted_tunnel_is_opened_with_the_master_key_it_was_minted_with() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    made(folder, &["keygen", "--alg", "ES256", "--kid", "s1", "--iss", "o", "--aud", "a"]);
    std::fs::write(folder.join("request"), b"\xff a license request").unwrap();
    for alg in KeyManagement::ALL {
        let path = made(folder, &["keygen", "--alg", alg.name(), "--kid", alg.name()]);
        let document = serde_json::from_slice(&std::fs::read(folder.join(&path)).unwrap()).unwrap();
        let mint = ["mint", "--key", "s1.private.jwk", "--sub", "c", "--tunnel", "--master-key", &path];
        let open = |more: &[&str]| {
            let jwe = UntrustedJwe::parse(made(folder, &[&mint[..], more].concat()).as_bytes()).unwrap();
            assert_eq!(jwe.kid().as_str(), alg.name());
            TunnelRequest::parse(&jwe.decrypt(&read(&document).unwrap()).unwrap()).unwrap()
        };
        let plain = open(&[]);
        assert_eq!(plain.license_request, b"\x08\x04");
        assert_eq!(plain.content_type, "application/octet-stream");
        assert_eq!(UntrustedToken::parse(&plain.jwt, 8192).unwrap().header().alg.as_deref(), Some("ES256"));
        let chosen = open(&["--license-request", "request", "--content-type", "application/json"]);
        assert_eq!(chosen.license_request, b"\xff a license request");
        assert_eq!(chosen.content_type, "application/json");
    }
}

#[test]
fn a_master_key_is_one_file_for_its_owner_alone_and_is_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let path = made(folder, &["keygen", "--alg", "dir", "--kid", "m1"]);
    assert_eq!(path, "./m1.private.jwk");
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), 1);
    let before = std::fs::read(folder.join(&path)).unwrap();
    #[cfg(unix)]
    {
        let metadata = std::fs::metadata(folder.join(&path)).unwrap();
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o777, 0o600);
    }
    assert!(!mdrm(folder, &["keygen", "--alg", "A256KW", "--kid", "m1"]).status.success());
    assert_eq!(std::fs::read(folder.join(&path)).unwrap(), before);
    assert!(!mdrm(folder, &["keygen", "--alg", "dir", "--kid", "m2", "--iss", "o"]).status.success());
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), 1);
}
