//! The commands in the project's documents, each run as it is printed, beside the demo's Envoy on free ports.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use crate::support::documents::{Block, console_blocks, guides, is_shown, read, root};
use crate::support::table::Request;
use crate::support::{client, wait};

/// The ports of `envoy/envoy.yaml`: of the admin interface, the proxies, the key service and the license server.
const PORTS: [&str; 5] = ["9901", "10000", "10001", "10002", "10003"];
/// The blocks that are not run here, with their reasons.
const NOT_RUN: [(&str, &str); 3] = [
    ("README.md", "`make test` ends with `make demo`, and this is one of its tests"),
    ("envoy/README.md", "PyJWT has to be installed; the test of verify.py installs it and runs the same"),
    ("envoy/guides/rollout.md", "the image is copied to a registry, which is not there"),
];

/// A folder that looks like a clone of the project after `make demo`, whose Envoy runs.
struct Demo {
    folder: tempfile::TempDir,
    /// The ports in the documents, and those that stand for them.
    ports: Vec<(&'static str, u16)>,
    envoy: Child,
}

impl Demo {
    fn start() -> Demo {
        let folder = tempfile::tempdir().unwrap();
        let free: Vec<TcpListener> = PORTS.iter().map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let ports = PORTS.into_iter().zip(free.iter().map(|free| free.local_addr().unwrap().port())).collect();
        drop(free);
        let mut demo = Demo { envoy: Command::new("true").spawn().unwrap(), folder, ports };
        let module = std::env::var_os("MDRM_WASM").expect("MDRM_WASM names the module, as in `make test`");
        let place = |path: &str| demo.folder.path().join(path);
        fs::create_dir_all(place("target/debug")).unwrap();
        for link in ["envoy", "tests"] {
            symlink(root().join(link), place(link)).unwrap();
        }
        symlink(env!("CARGO_BIN_EXE_mdrm"), place("target/debug/mdrm")).unwrap();
        symlink(module, place("target/mdrm_authz.wasm")).unwrap();
        let mut configuration = read("envoy/envoy.yaml");
        for (port, free) in &demo.ports {
            configuration = configuration.replace(&format!("port_value: {port} "), &format!("port_value: {free} "));
        }
        fs::write(place("envoy.yaml"), configuration).unwrap();
        let log = fs::File::create(place("target/demo-envoy.log")).unwrap();
        demo.envoy = Command::new(std::env::var_os("ENVOY").expect("ENVOY names the binary, as in `make test`"))
            .args(["-c", "envoy.yaml", "--disable-hot-restart", "--concurrency", "2", "--log-level", "warning"])
            // As demo.sh has it.
            .args(["--component-log-level", "wasm:info", "--file-flush-interval-msec", "500"])
            .current_dir(demo.folder.path())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let start = Instant::now();
        while !demo.is_ready() {
            let ended = demo.envoy.try_wait().unwrap();
            let log = || fs::read_to_string(demo.folder.path().join("target/demo-envoy.log")).unwrap();
            assert!(ended.is_none() && start.elapsed() < wait::DEADLINE, "Envoy is not ready:\n{}", log());
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        demo
    }

    fn is_ready(&self) -> bool {
        let admin = SocketAddr::from(([127, 0, 0, 1], self.ports[0].1));
        client::exchange(admin, &Request::get("/ready"), &[]).is_ok_and(|answered| answered.status == 200)
    }

    /// Runs the commands of a document, and says what is wrong with them.
    fn try_document(&self, document: &Path, blocks: &[Block]) -> Vec<String> {
        let commands: Vec<_> =
            blocks.iter().flat_map(|block| block.commands.iter().map(move |command| (block.line, command))).collect();
        let results = self.run(blocks);
        assert_eq!(results.len(), commands.len(), "{}: the shell ended early", document.display());
        let mut wrong = Vec::new();
        for ((line, (command, shown)), (output, status)) in commands.into_iter().zip(results) {
            for problem in problems(shown, &output, status) {
                wrong.push(format!("{}, block at line {line}: {command}\n  {problem}\n{output}", document.display()));
            }
        }
        wrong
    }

    /// Runs the commands of a document in one shell; output and exit status of each.
    fn run(&self, blocks: &[Block]) -> Vec<(String, i32)> {
        let mut script = String::new();
        for (command, _) in blocks.iter().flat_map(|block| &block.commands) {
            script += &format!("{{ {command}\n}} 2>&1; printf '\\n@@@ %s\\n' $?\n");
        }
        for (port, free) in &self.ports {
            script = script.replace(&format!("127.0.0.1:{port}"), &format!("127.0.0.1:{free}"));
        }
        let output =
            Command::new("bash").args(["-c", &script]).current_dir(self.folder.path()).stdin(Stdio::null()).output();
        let output = String::from_utf8_lossy(&output.unwrap().stdout).into_owned();
        let mut results = Vec::new();
        let mut rest = &*output;
        while let Some((said, after)) = rest.split_once("\n@@@ ") {
            let (status, after) = after.split_once('\n').unwrap();
            results.push((said.to_owned(), status.parse().unwrap()));
            rest = after;
        }
        results
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.envoy.kill();
        let _ = self.envoy.wait();
    }
}

#[test]
fn every_command_of_the_documents_does_what_they_say() {
    let demo = Demo::start();
    let (mut run, mut not_run, mut wrong) = (0, Vec::new(), Vec::new());
    for document in guides() {
        let (left_out, blocks): (Vec<Block>, Vec<Block>) =
            console_blocks(&read(&document)).into_iter().partition(|block| block.not_run.is_some());
        not_run.extend(left_out.into_iter().map(|block| (document.clone(), block.not_run.unwrap())));
        run += blocks.iter().map(|block| block.commands.len()).sum::<usize>();
        // What people wait for a moment may take a busy machine longer.
        let mut attempts = (0..3).map(|_| demo.try_document(&document, &blocks));
        let first = attempts.next().unwrap();
        wrong.extend(if first.is_empty() { first } else { attempts.find(Vec::is_empty).unwrap_or(first) });
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert!(run > 25, "the documents have lost commands: {run}");
    let expected = NOT_RUN.map(|(document, reason)| (PathBuf::from(document), reason.to_owned()));
    assert_eq!(not_run, expected);
}

/// What is wrong with a command that printed `output`.
fn problems(shown: &[String], output: &str, status: i32) -> Vec<String> {
    let says = |text: &str| shown.iter().any(|line| line.contains(text));
    let mut problems = Vec::new();
    // `mdrm explain` tells by its exit status that a request is denied, which the document shows.
    if status != i32::from(says("DENIED")) {
        problems.push(format!("exit status {status}"));
    }
    if output.contains("x-mdrm-error-code") && !says("MDRM-") {
        problems.push("refused, and the document does not say so".to_owned());
    }
    problems.extend(shown.iter().filter(|line| !is_shown(line, output)).map(|line| format!("not printed: {line}")));
    problems
}

#[test]
fn a_command_that_does_something_else_is_noticed() {
    let shown = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
    assert!(problems(&shown(&["  a … c"]), "b\n  a b c d\n", 0).is_empty());
    assert!(!problems(&shown(&["a … c"]), "a b\nc\n", 0).is_empty(), "in one line");
    assert!(!problems(&[], "x-mdrm-error-code: MDRM-501\n", 0).is_empty(), "refused, and not said");
    assert!(!problems(&[], "", 1).is_empty(), "failed");
    assert!(!problems(&shown(&["DENIED"]), "DENIED", 0).is_empty(), "denied, with success");
}

#[test]
fn every_link_in_the_documents_leads_somewhere() {
    for document in guides() {
        let text = read(&document);
        let folder = document.parent().unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link) {
            if link.starts_with("http") {
                continue;
            }
            let (path, anchor) = link.split_once('#').map_or((link, None), |(path, anchor)| (path, Some(anchor)));
            let target = if path.is_empty() { document.clone() } else { folder.join(path) };
            assert!(root().join(&target).exists(), "{}: {link}", document.display());
            if let Some(anchor) = anchor {
                let headings =
                    read(&target).lines().filter(|line| line.starts_with('#')).map(anchor_of).collect::<Vec<_>>();
                assert!(headings.contains(&anchor.to_owned()), "{}: {link}: {headings:?}", document.display());
            }
        }
    }
}

/// As GitHub makes one of a heading.
fn anchor_of(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    text.chars().filter(|c| c.is_alphanumeric() || "-_ ".contains(*c)).map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn the_players_guide_says_what_the_tool_says_of_every_code() {
    let guide = read("envoy/guides/players.md");
    let output = Command::new(env!("CARGO_BIN_EXE_mdrm")).arg("codes").output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = said.lines().collect();
    for pair in lines.chunks(2) {
        let [first, advice] = pair else { panic!("{pair:?}") };
        let (code, rest) = first.split_once("  HTTP ").unwrap();
        let (status, message) = rest.split_once("  ").unwrap();
        let row = format!("| {code} | {status} | {message} | {} |", advice.trim());
        // In the guide names of members and headers are set apart.
        assert!(guide.replace('`', "").contains(&row.replace('`', "")), "the guide lacks {row}");
    }
}
