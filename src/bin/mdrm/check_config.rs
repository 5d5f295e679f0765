//! `mdrm check-config`.

use std::path::PathBuf;

use anyhow::{Context as _, Result, anyhow};
use clap::Args;
use mdrm_authz::config::Config;
use mdrm_authz::route::{DefaultService, Host, Service};

use crate::effective::effective;

/// Says what the filter would say of a plugin configuration, and what it would do with it: every member, defaults included.
#[derive(Debug, Args)]
pub(crate) struct CheckConfig {
    /// The plugin configuration, JSON: the `value` of Envoy's `configuration`, or Istio's `pluginConfig`.
    file: PathBuf,
}

impl CheckConfig {
    /// Prints the effective configuration, and notes on what Envoy must be told besides.
    pub(crate) fn run(self) -> Result<()> {
        let text = std::fs::read(&self.file).with_context(|| format!("cannot read {}", self.file.display()))?;
        // As in the VM: `${NAME}` in the value of a header is a variable of the environment.
        let config =
            Config::from_json(&text, &|name| std::env::var(name).ok()).map_err(|refusal| anyhow!("{refusal}"))?;
        println!("{:#}", effective(&config));
        for note in notes(&config) {
            eprintln!("note: {note}");
        }
        Ok(())
    }
}

/// What the plugin configuration cannot say and Envoy must know.
fn notes(config: &Config) -> Vec<String> {
    let mut notes = Vec::new();
    let signed = config.routes.iter().any(|route| route.service == Service::SignedCpix);
    if config.tunnel.keys.is_some() || config.bind_content || signed {
        notes.push(
            "bodies are held: Envoy's plugin configuration needs allow_on_headers_stop_iteration: true (Envoy 1.35 or later), \
             else such requests end after body_timeout with MDRM-517 or MDRM-910"
                .to_owned(),
        );
        notes.push(format!(
            "the listener's per_connection_buffer_limit_bytes must be at least {} (max_body_bytes and 64 KiB), else Envoy \
             answers 413",
            config.max_body_bytes.saturating_add(65_536)
        ));
    }
    let mut hosts = config.routes.iter().filter_map(|route| route.host.as_ref()).peekable();
    if hosts.peek().is_some() {
        let port = if hosts.any(Host::names_port) {
            ""
        } else {
            "ignore_port_in_host_matching: true (route configuration) and "
        };
        notes.push(format!(
            "routes name hosts: Envoy needs {port}strip_trailing_host_dot: true (HTTP connection manager), else its virtual \
             hosts choose another upstream than the routes here"
        ));
    }
    if config.tunnel.keys.is_none() {
        notes.push("no trust_tunnel.keys: every Trust Tunnel request is MDRM-518 or MDRM-520".to_owned());
    }
    if config.keys.inline.is_some() && config.keys.source.is_some() {
        notes.push("keys.inline shadows the key service, revocations included".to_owned());
    }
    if config.default_service == DefaultService::License {
        notes.push("what no route names is a license request; default_service: deny is stricter".to_owned());
    }
    if config.report_only {
        notes.push("report_only: nothing is denied".to_owned());
    }
    notes
}
