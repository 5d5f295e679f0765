//! A Prometheus of its own that asks one Envoy every second, and what it knows.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::client;
use crate::support::table::Request;

/// A running Prometheus. It is killed when this is dropped.
pub struct Prometheus {
    address: SocketAddr,
    process: Child,
    _directory: TempDir,
}

/// A line of a range query: its labels, and values by time.
pub struct Series {
    /// Labels.
    pub labels: Value,
    /// Seconds and value.
    pub points: Vec<(f64, f64)>,
}

impl Prometheus {
    /// Starts one that watches the Envoy with this admin interface, with the project's rules.
    pub fn start(envoy: SocketAddr) -> Result<Prometheus, String> {
        let fetch = Command::new("envoy/prometheus/fetch-prometheus.sh").stderr(Stdio::inherit()).output();
        let fetch = fetch.map_err(|error| error.to_string())?;
        let folder = String::from_utf8(fetch.stdout).map_err(|error| error.to_string())?;
        let rules = fs::canonicalize("envoy/prometheus/rules.yml").map_err(|error| error.to_string())?;
        let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
        let configuration = json!({
            "global": {"scrape_interval": "1s", "evaluation_interval": "5s"},
            "rule_files": [rules],
            "scrape_configs": [{
                "job_name": "envoy",
                "metrics_path": "/stats/prometheus",
                "static_configs": [{"targets": [envoy.to_string()]}],
            }],
        });
        let file = directory.path().join("prometheus.yml");
        fs::write(&file, configuration.to_string()).map_err(|error| error.to_string())?;
        // Free now; the only process that may take it is the one started here.
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let address = free.map_err(|error| error.to_string())?;
        let process = Command::new(Path::new(folder.trim()).join("prometheus"))
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", directory.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("prometheus: {error}"))?;
        let prometheus = Prometheus { address, process, _directory: directory };
        let start = Instant::now();
        while prometheus.get("/-/ready").is_err() {
            if start.elapsed() > Duration::from_secs(60) {
                return Err("Prometheus does not get ready".into());
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(prometheus)
    }

    /// What a query gives every second from `begin` to `end`, in seconds since 1970.
    pub fn range(&self, query: &str, begin: f64, end: f64) -> Result<Vec<Series>, String> {
        let escaped: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let body = self.get(&format!("/api/v1/query_range?query={escaped}&start={begin}&end={end}&step=1"))?;
        let answer: Value = serde_json::from_slice(&body).map_err(|error| error.to_string())?;
        let point = |point: &Value| Some((point[0].as_f64()?, point[1].as_str()?.parse().ok()?));
        let series = |series: &Value| {
            let points = series["values"].as_array()?.iter().filter_map(point).collect();
            Some(Series { labels: series["metric"].clone(), points })
        };
        let all = answer["data"]["result"].as_array().ok_or_else(|| format!("{query}: {answer}"))?;
        Ok(all.iter().filter_map(series).collect())
    }

    fn get(&self, path: &str) -> Result<Vec<u8>, String> {
        let answered = client::exchange(self.address, &Request::get(path), &[]).map_err(|error| error.to_string())?;
        if answered.status == 200 {
            Ok(answered.body)
        } else {
            Err(String::from_utf8_lossy(&answered.body).into_owned())
        }
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
