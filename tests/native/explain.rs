//! `mdrm explain`: decides as the filter does, and says of every code what was looked at.

mod agreement;
mod text;

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

/// Runs `mdrm explain` with this standard input.
fn explain<I: AsRef<std::ffi::OsStr>>(options: impl IntoIterator<Item = I>, input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_mdrm"))
        .arg("explain")
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A process that needs no input may have ended already.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}
