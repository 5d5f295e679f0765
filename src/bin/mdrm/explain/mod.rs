//! `mdrm explain`: what the filter decides about a request, step by step. The core decides; what is shown beside each step
//! is read from the request, the configuration and the key documents.

mod decide;
mod facts;
mod key_service;
mod keys;
mod report;
mod request;
mod show;
mod steps;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, anyhow};
use chrono::DateTime;
use clap::{Args, ValueEnum};
use mdrm_authz::config::Config;
use mdrm_authz::request::RequestHead;
use mdrm_authz::route::{Handling, Matcher, Route, Service};

use decide::decide;
use facts::Facts;
use report::Report;

/// Says what the filter decides about a token or a whole request, step by step. The exit status is 0 if it goes on, 1 if it is
/// denied, 2 if keys are missing to tell.
#[derive(Debug, Args)]
pub(crate) struct Explain {
    #[command(flatten)]
    asked: request::Asked,
    /// Which service the request is for, whatever its path [default: license, unless --path or --request is given].
    #[arg(long, value_enum)]
    service: Option<ServiceName>,
    /// The plugin configuration [default: every default, and a key service].
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    keys: keys::KeyOptions,
    /// When the request came: seconds since the epoch, or 2026-01-31T12:00:00Z [default: now].
    #[arg(long, value_name = "TIME", value_parser = time)]
    at: Option<i64>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
#[value(rename_all = "snake_case")]
enum ServiceName {
    License,
    Cpix,
    SignedCpix,
    Open,
}

impl From<ServiceName> for Service {
    fn from(name: ServiceName) -> Self {
        match name {
            ServiceName::License => Self::License,
            ServiceName::Cpix => Self::Cpix,
            ServiceName::SignedCpix => Self::SignedCpix,
            ServiceName::Open => Self::Open,
        }
    }
}

fn time(text: &str) -> Result<i64, String> {
    let date = || DateTime::parse_from_rfc3339(text).map(|date| date.timestamp());
    text.parse().or_else(|_| date()).map_err(|_| "allowed: seconds since the epoch, or 2026-01-31T12:00:00Z".to_owned())
}

impl Explain {
    /// Decides, and prints how.
    pub(crate) fn run(self) -> Result<ExitCode> {
        let request = self.asked.read()?;
        let now = match self.at {
            Some(at) => at,
            None => i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs())?,
        };
        let config = || self.configuration();
        let shown = config()?;
        let pairs = request.pairs();
        let head = RequestHead::new(&pairs, request.body().is_none());
        let (service, unrouted) = match Handling::of(head, &shown.routes, shown.default_service) {
            Handling::Service(service, _) => (service, None),
            Handling::Preflight => (Service::License, None),
            Handling::Deny(unrouted) => (Service::License, Some(unrouted)),
        };
        let decided_by = config()?;
        let keys = self.keys.read()?;
        let course = decide(decided_by, &request, &keys, now)?;
        let facts = Facts::new(&shown, head, request.body(), service, unrouted, &course.questions, now);
        let report = Report::new(&facts, &course);
        let mut out = anstream::stdout();
        if self.json {
            writeln!(out, "{:#}", report.json())?
        } else {
            write!(out, "{}", report.text())?
        }
        Ok(match report.decision() {
            "passed" | "allowed" => ExitCode::SUCCESS,
            "undecided" => ExitCode::from(2),
            _ => ExitCode::FAILURE,
        })
    }

    /// The configuration, with every path the service that was asked for.
    fn configuration(&self) -> Result<Config> {
        let text = match &self.config {
            Some(file) => std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?,
            None if self.keys.has_master_keys() => {
                br#"{"keys":{"cluster":"key_service"},"trust_tunnel":{"keys":{"cluster":"key_service"}}}"#.into()
            }
            None => br#"{"keys":{"cluster":"key_service"}}"#.into(),
        };
        // As in the VM: `${NAME}` in the value of a header is a variable of the environment.
        let config = Config::from_json(&text, &|name| std::env::var(name).ok());
        let mut config = config.map_err(|refusal| anyhow!("{refusal}"))?;
        let default = (!self.asked.has_path()).then_some(ServiceName::License);
        if let Some(service) = self.service.or(default) {
            let matcher = Matcher::Prefix("/".into());
            // Alone: it matches every path.
            config.routes = vec![Route { matcher, host: None, service: service.into(), drm: None }];
        }
        Ok(config)
    }
}
