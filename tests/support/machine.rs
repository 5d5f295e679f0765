//! Where and when something was measured, in words for a report.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// Day and time (UTC).
pub fn date() -> String {
    output("date", &["-u", "+%Y-%m-%d %H:%M UTC"])
}

/// System and release.
pub fn kernel() -> String {
    output("uname", &["-srm"])
}

/// Release and build of the Envoy that `ENVOY` names.
pub fn envoy() -> String {
    version(&output(&env::var("ENVOY").unwrap_or_default(), &["--version"]))
}

/// Size in bytes of the module that `MDRM_WASM` names.
pub fn module() -> u64 {
    env::var_os("MDRM_WASM").and_then(|path| fs::metadata(path).ok()).map_or(0, |file| file.len())
}

/// What made that module: compiler, and optimiser if there was one. Empty for a module that nothing is known of.
pub fn module_tools() -> String {
    let tools = env::var_os("MDRM_WASM").map(|path| PathBuf::from(path).with_extension("tools"));
    let text = tools.and_then(|path| fs::read_to_string(path).ok()).unwrap_or_default();
    text.lines().map(|line| format!(", {line}")).collect()
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.unwrap_or_else(|error| format!("({program}: {error})"))
}

/// From `… version: COMMIT/1.40.0/Clean/RELEASE/BoringSSL` what follows the commit.
fn version(text: &str) -> String {
    text.rsplit_once("version: ").and_then(|(_, version)| version.split_once('/')).map_or(text, |(_, rest)| rest).into()
}

/// The processor's name and its cores.
pub fn cpu() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let cores = text.lines().filter(|line| line.starts_with("processor")).count();
    format!("{} ({cores} cores)", name.map_or("unknown processor", |(_, name)| name.trim()))
}
