//! Where and when a run took place.

use crate::proxy::CONNECTIONS;
use crate::run::Size;
use crate::support::machine;

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
    /// What made it, each with a comma before it.
    pub tools: String,
    /// Size of the run.
    pub size: Size,
}

impl Machine {
    /// This one, now.
    pub fn of_this_run(size: Size) -> Machine {
        Machine {
            date: machine::date(),
            cpu: machine::cpu(),
            kernel: machine::kernel(),
            envoy: machine::envoy(),
            module: machine::module(),
            tools: machine::module_tools(),
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
             - module: {module} kB{tools}\n\
             - {turns} turns of {requests} requests for each lane in each case\n",
            date = self.date,
            cpu = self.cpu,
            kernel = self.kernel,
            envoy = self.envoy,
            module = self.module.div_ceil(1000),
            tools = self.tools,
            turns = self.size.turns,
            requests = self.size.requests,
        )
    }
}
