//! What people read: the text of every code, kept in files beside this one. `UPDATE_EXPLAINED=1` writes them anew.

use std::path::{Path, PathBuf};
use std::process::Command;

use mdrm_authz::denial::Code;
use serde_json::{Value, json};

use super::explain;
use crate::support::documents;

/// 2026-01-01T12:00:00Z: the requests come then.
const NOW: i64 = 1_767_268_800;
const MOVIE: &str = r#"<CPIX xmlns="urn:dashif:org:cpix" contentId="movie-1"/>"#;

/// The demo's configuration in a file, and its keys.
struct Demo {
    folder: tempfile::TempDir,
}

impl Demo {
    fn new() -> Demo {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("plugin.json"), documents::demo_plugin().to_string()).unwrap();
        let mut enforcing = documents::demo_plugin();
        enforcing["trust_tunnel"]["mode"] = json!("enforcing");
        std::fs::write(folder.path().join("enforcing.json"), enforcing.to_string()).unwrap();
        Demo { folder }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn mdrm(&self, arguments: &[&str]) -> String {
        let output = Command::new(env!("CARGO_BIN_EXE_mdrm")).args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// A token of the demo's key `kid`, of a length that does not change.
    fn token(&self, kid: &str, options: &[&str]) -> String {
        let key = private(kid);
        let times = [format!("iat={}", NOW - 30), format!("exp={}", NOW + 3570)];
        let fixed = ["mint", "--key", &key, "--sub", "movie-1", "--claim", "jti=one-request"];
        let times = ["--claim", &times[0], "--claim", &times[1]];
        self.mdrm(&[&fixed[..], &times, options].concat())
    }

    /// The text about a request to `path` with this token and body.
    fn explained(
        &self,
        path: &str,
        token: Option<&str>,
        body: Option<&str>,
        options: &[&str],
    ) -> (String, Option<i32>) {
        let (plugin, keys, now) = (self.file("plugin.json"), documents::root().join("envoy/keys"), NOW.to_string());
        let (plugin, keys) = (plugin.to_str().unwrap(), keys.to_str().unwrap());
        let master = private("demo-master");
        let mut all = vec!["--path", path, "--at", &now];
        if !options.contains(&"--config") {
            all.extend(["--config", plugin]);
        }
        if !options.contains(&"--key-service") {
            // Not the folder: it also holds a master key that the demo's key service does not know.
            all.extend(["--keys", keys, "--session-keys", keys, "--master-keys", &master]);
        }
        all.extend(options);
        let file = self.file("body");
        if let Some(body) = body {
            std::fs::write(&file, body).unwrap();
            all.extend(["--body", file.to_str().unwrap()]);
        }
        all.extend(token);
        let output = explain(all, b"");
        assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        (String::from_utf8(output.stdout).unwrap(), output.status.code())
    }

    /// The text about a license request with this token.
    fn license(&self, kid: &str, mint: &[&str]) -> (String, Option<i32>) {
        self.explained("/license/widevine", Some(&self.token(kid, mint)), None, &[])
    }

    /// The text about a Trust Tunnel request.
    fn tunnel(&self, body: &str) -> (String, Option<i32>) {
        self.explained("/license/widevine", None, Some(body), &["--header", "content-type: application/jose"])
    }

    fn tunnel_body(&self, master: &str, mint: &[&str]) -> String {
        let master = private(master);
        self.token("demo-es256", &[&["--tunnel", "--master-key", &master], mint].concat())
    }

    /// The text about a CPIX request with a token.
    fn cpix(&self, document: &str) -> (String, Option<i32>) {
        self.explained("/cpix", Some(&self.token("demo-cpix", &[])), Some(document), &[])
    }

    /// The text about a signed CPIX request.
    fn signed(&self, kid: &str, document: &str) -> (String, Option<i32>) {
        self.explained(&format!("/cpix/signed?kid={kid}&sub=movie-1&iss=demo-operator"), None, Some(document), &[])
    }

    fn signed_document(&self) -> String {
        std::fs::write(self.file("movie.xml"), MOVIE).unwrap();
        self.mdrm(&["sign-cpix", "--key", &private("demo-cpix"), self.file("movie.xml").to_str().unwrap()])
    }

    fn of_code(&self, code: Code) -> (String, Option<i32>) {
        match code {
            Code::Mdrm500 => {
                let token = self.token("demo-es256", &[]);
                // Nothing listens on port 1.
                self.explained("/license", Some(&token), None, &["--key-service", "http://127.0.0.1:1"])
            }
            Code::Mdrm501 => self.explained("/license", None, None, &[]),
            Code::Mdrm502 => {
                self.explained("/license", Some("eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJtb3ZpZS0xIn0"), None, &[])
            }
            Code::Mdrm503 => self.license("demo-es256", &["--aud", "urn:example:other"]),
            Code::Mdrm504 => self.license("demo-unregistered", &[]),
            Code::Mdrm505 => self.license("demo-es256", &["--iss", "someone-else"]),
            Code::Mdrm506 => self.license("demo-no-session", &[]),
            Code::Mdrm507 => self.license("demo-broken-session", &[]),
            Code::Mdrm508 => self.license("demo-es256", &["--claim", &format!("iat={}", NOW - 600)]),
            Code::Mdrm509 => self.license("demo-es256", &["--no-claim", "iat"]),
            Code::Mdrm510 => self.license("demo-es256", &["--claim", &format!("iat={}", NOW + 60)]),
            Code::Mdrm511 => self.license("demo-es256", &["--claim", &format!("nbf={}", NOW + 90_000)]),
            Code::Mdrm512 => self.license("demo-deleted", &[]),
            Code::Mdrm513 => self.license("demo-expired", &[]),
            Code::Mdrm514 => self.explained("/cpix/signed?kid=demo-cpix&sub=movie-1", None, Some(MOVIE), &[]),
            Code::Mdrm517 => self.tunnel("not encrypted"),
            Code::Mdrm518 => self.tunnel(&self.tunnel_body("demo-unregistered-master", &[])),
            Code::Mdrm519 => {
                let (body, tag) = self
                    .tunnel_body("demo-master", &[])
                    .rsplit_once('.')
                    .map(|(a, b)| (a.to_owned(), b.len()))
                    .unwrap();
                self.tunnel(&format!("{body}.{}", "A".repeat(tag)))
            }
            Code::Mdrm520 => {
                let token = self.token("demo-es256", &[]);
                self.explained(
                    "/license",
                    Some(&token),
                    None,
                    &["--config", self.file("enforcing.json").to_str().unwrap()],
                )
            }
            Code::Mdrm521 => self.tunnel(&self.tunnel_body("demo-master", &["--claim", "drm_protocol=REST"])),
            Code::Mdrm903 => self.cpix(r#"<CPIX xmlns="urn:dashif:org:cpix"/>"#),
            Code::Mdrm904 => self.cpix(r#"<CPIX xmlns="urn:dashif:org:cpix" contentId="movie-1" id="movie-2"/>"#),
            Code::Mdrm905 => self.cpix(&MOVIE.replace("movie-1", "movie-2")),
            Code::Mdrm910 => self.cpix("challenge"),
            Code::Mdrm914 => self.signed("demo-cpix", MOVIE),
            Code::Mdrm915 => self.signed("demo-cpix", &self.signed_document().replace("URI=\"\"", "URI=\"#part\"")),
            Code::Mdrm916 => self.signed("demo-cpix", &self.signed_document().replace("movie-1", "movie-2")),
            Code::Mdrm917 => self.signed("demo-eddsa", &self.signed_document()),
            Code::Mdrm918 => self.signed("demo-cpix", &self.signed_document().replace("ecdsa-sha256", "ecdsa-sha1")),
        }
    }
}

fn private(kid: &str) -> String {
    documents::root().join(format!("envoy/keys/{kid}.private.jwk")).to_str().unwrap().to_owned()
}

/// Compares with the file, or writes it.
fn is_kept(name: &str, text: &str) -> Result<(), String> {
    let file = documents::root().join(Path::new("tests/native/explain")).join(format!("{name}.txt"));
    if std::env::var_os("UPDATE_EXPLAINED").is_some() {
        std::fs::write(&file, text).unwrap();
    }
    let kept = std::fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    if kept == text { Ok(()) } else { Err(format!("{name}.txt says:\n{kept}\nand now:\n{text}")) }
}

#[test]
fn says_of_every_code_what_is_kept() {
    let demo = Demo::new();
    let mut wrong = Vec::new();
    for code in Code::ALL {
        let (text, status) = demo.of_code(*code);
        assert_eq!(status, Some(1), "{code}: {text}");
        assert!(text.contains(&format!("DENIED {} {code} {}", code.status(), code.message())), "{code}: {text}");
        assert!(text.is_ascii() || text.chars().all(|c| c.is_ascii() || "✓✗·…".contains(c)), "{code}: {text}");
        wrong.extend(is_kept(code.name(), &text).err());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn says_of_what_goes_on_what_is_kept() {
    let demo = Demo::new();
    let cases = [
        ("allowed", demo.license("demo-es256", &[]), 0),
        ("allowed-tunnel", demo.tunnel(&demo.tunnel_body("demo-master", &[])), 0),
        ("allowed-signed-cpix", demo.signed("demo-cpix", &demo.signed_document()), 0),
        ("passed", demo.explained("/healthz", None, None, &[]), 0),
    ];
    let mut wrong = Vec::new();
    for (name, (text, status), expected) in cases {
        assert_eq!(status, Some(expected), "{name}: {text}");
        wrong.extend(is_kept(name, &text).err());
    }
    let undecided = explain(["--at", &NOW.to_string(), &demo.token("demo-es256", &[])], b"");
    assert_eq!(undecided.status.code(), Some(2));
    wrong.extend(is_kept("undecided", &String::from_utf8(undecided.stdout).unwrap()).err());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_token_alone_is_a_license_request() {
    let demo = Demo::new();
    let keys = documents::root().join("envoy/keys");
    let (keys, now, token) = (keys.to_str().unwrap(), NOW.to_string(), demo.token("demo-es256", &[]));
    let with = |options: &[&str]| {
        explain([&["--keys", keys, "--at", &now][..], options].concat(), format!("Bearer {token}\n").as_bytes())
    };
    assert_eq!(with(&["-"]).status.code(), Some(0));
    let as_cpix = with(&["--service", "cpix", "--json", "-"]);
    let report: Value = serde_json::from_slice(&as_cpix.stdout).unwrap();
    assert_eq!((&report["service"], &report["code"]), (&json!("cpix"), &json!("MDRM-503")));
    assert_eq!(with(&["--at", "2026-01-01T12:10:00Z", "-"]).status.code(), Some(2), "an option may be given once");
}

#[test]
fn report_only_is_said_and_is_no_success() {
    let demo = Demo::new();
    let mut plugin = documents::demo_plugin();
    plugin["report_only"] = json!(true);
    std::fs::write(demo.file("report.json"), plugin.to_string()).unwrap();
    let (text, status) =
        demo.explained("/license", Some("rubbish"), None, &["--config", demo.file("report.json").to_str().unwrap()]);
    assert_eq!(status, Some(1));
    assert!(text.contains("MDRM-502") && text.contains("report_only is set"), "{text}");
}

#[test]
fn colours_are_for_terminals_alone() {
    let command = |variable: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_mdrm")).args(["explain", "rubbish"]).env(variable, "1").output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    };
    assert!(!command("UNSET").contains('\u{1b}'));
    assert!(command("CLICOLOR_FORCE").contains("\u{1b}["));
    assert!(!command("NO_COLOR").contains('\u{1b}'));
}

#[test]
fn a_strangers_text_moves_no_cursor() {
    let demo = Demo::new();
    let token = demo.token("demo-es256", &["--claim", "sub=\u{1b}[31mred\u{202e}", "--header", "typ=\u{9b}2J"]);
    let (text, _) = demo.explained("/license/\u{1b}[2J", Some(&token), None, &[]);
    assert!(!text.contains(['\u{1b}', '\u{202e}', '\u{9b}']), "{text}");
    assert!(text.contains("\\u{1b}[31mred\\u{202e}"), "{text}");
}

#[test]
fn codes_are_explained_by_name() {
    let codes = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_mdrm")).arg("codes").args(arguments).output().unwrap();
        (String::from_utf8(output.stdout).unwrap(), output.status.success())
    };
    let (all, _) = codes(&[]);
    assert_eq!(all.lines().count(), 2 * Code::ALL.len());
    let (some, succeeded) = codes(&["508", "MDRM-905"]);
    assert!(succeeded && all.contains(some.lines().next().unwrap()) && some.contains("MDRM-905"), "{some}");
    assert!(!codes(&["515"]).1);
}

#[test]
fn shells_and_the_manual_know_every_command() {
    let output = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_mdrm")).args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = output(&["completions", shell]);
        for known in ["explain", "check-config", "sign-cpix", "--key-service", "--at"] {
            let known = if shell == "fish" { known.trim_start_matches("--") } else { known };
            assert!(script.contains(known), "{shell} does not know {known}");
        }
    }
    let manual = output(&["man"]);
    for known in [".TH mdrm 1", "mdrm\\-explain", "\\-\\-key\\-service", "check\\-config"] {
        assert!(manual.contains(known), "the manual lacks {known}");
    }
}
