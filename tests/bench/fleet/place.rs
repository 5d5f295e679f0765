//! Where and when a run took place.

use std::fs;
use std::process::Command;

/// Day and time (UTC), processor and system, in one line.
pub fn line() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let cores = cpu.lines().filter(|line| line.starts_with("processor")).count();
    let name = name.map_or("unknown processor", |(_, name)| name.trim());
    let date = output("date", &["-u", "+%Y-%m-%d %H:%M UTC"]);
    format!("{date}, {name} ({cores} cores), {}", output("uname", &["-srm"]))
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.unwrap_or_else(|error| format!("({program}: {error})"))
}
