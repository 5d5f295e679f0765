//! Where and when a run took place.

use std::env;
use std::fs;
use std::process::Command;

use crate::proxy::CONNECTIONS;
use crate::run::Size;
use crate::suites;

/// What somebody who compares two reports must know.
pub struct Machine {
    /// Day and time (UTC).
    pub date: String,
    /// The processor's name.
    pub cpu: String,
    /// System and release.
    pub kernel: String,
    /// Envoy's release and build.
    pub envoy: String,
    /// Size of the module under test in bytes.
    pub module: u64,
    /// Size of the run.
    pub size: Size,
}

impl Machine {
    /// This one, now.
    pub fn of_this_run(size: Size) -> Machine {
        let envoy = env::var("ENVOY").unwrap_or_default();
        Machine {
            date: output("date", &["-u", "+%Y-%m-%d %H:%M UTC"]),
            cpu: cpu(),
            kernel: output("uname", &["-srm"]),
            envoy: version(&output(&envoy, &["--version"])),
            module: suites::module().ok().and_then(|path| fs::metadata(path).ok()).map_or(0, |file| file.len()),
            size,
        }
    }

    /// In one line, for the picture.
    pub fn line(&self) -> String {
        format!("{} · Envoy {} · {} · {}", self.date, self.envoy, self.cpu, self.kernel)
    }

    /// In a list, for the report.
    pub fn list(&self) -> String {
        format!(
            "- {date}, {cpu}, {kernel}\n\
             - Envoy {envoy}, one worker; Envoy on one core, load and key service on another; {CONNECTIONS} connections (HTTP/1.1, closed loop)\n\
             - module: {module} kB\n\
             - {turns} turns of {requests} requests for each lane in each case\n",
            date = self.date,
            cpu = self.cpu,
            kernel = self.kernel,
            envoy = self.envoy,
            module = self.module.div_ceil(1000),
            turns = self.size.turns,
            requests = self.size.requests,
        )
    }
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

fn cpu() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let cores = text.lines().filter(|line| line.starts_with("processor")).count();
    format!("{} ({cores} cores)", name.map_or("unknown processor", |(_, name)| name.trim()))
}
