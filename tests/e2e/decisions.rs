//! The table of requests and decisions through the module in Envoy, over HTTP/1.1 and over HTTP/2. All rows that fail are reported at once.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::metrics::assert_counted;
use crate::now;
use crate::reply::{ensure, is_denial, shown};
use crate::support::envoy::{Envoy, Listener, Setup};
use crate::support::exchange::{Answered, Received};
use crate::support::key_service::KeyService;
use crate::support::signer::Document;
use crate::support::table::{Arrived, Case, EnvoyAnswer, Outcome, Plugin, Version, table};
use crate::support::upstream::{LICENSE_BODY, Upstream};
use crate::support::{client, h2_client};

#[test]
fn every_row_of_the_table_is_decided_alike_over_both_versions_of_http() {
    let (upstream, keys) = (Upstream::start(), KeyService::of_the_table());
    let setup = Setup::new(upstream.address()).cluster("keys", keys.address());
    let envoy = serving(setup, |plugin| plugin);

    let mut run = Run::default();
    run.every_row_over_http1(&envoy, &upstream);
    let connections: RefCell<HashMap<SocketAddr, h2_client::Connection>> = RefCell::default();
    run.every_row("HTTP/2", &envoy, &upstream, |address, case, id| {
        if case.request.version == Version::Http1 {
            return None;
        }
        let mut connections = connections.borrow_mut();
        let connection = connections.entry(address).or_insert_with(|| h2_client::Connection::open(address));
        match connection.exchange(&case.request, &[("x-case", id)]) {
            Err(h2_client::NoAnswer::Inexpressible) => None,
            Err(h2_client::NoAnswer::Reset(error)) => {
                connections.remove(&address); // what was refused may have cost the connection
                Some(Err(error))
            }
            Ok(answered) => Some(Ok(answered)),
        }
    });

    run.assert_right(3000);
    assert_eq!(upstream.count(), 0, "requests that belong to no row reached the upstream");
    envoy.assert_healthy();
    only_known_callouts(&keys);
    no_token_in_any_log(&envoy, &run);
    every_code_is_in_the_access_log(&envoy, &run);
    assert_counted(&envoy, "denied", &run.decided);
}

/// An Envoy with a listener for each plugin of the table, whose configuration is changed by `adjust`.
fn serving(setup: Setup, adjust: impl Fn(Value) -> Value) -> Envoy {
    let listener = |plugin: Plugin| Listener::new(&plugin.name(), &adjust(plugin.configuration()));
    Envoy::start(Plugin::ALL.into_iter().map(listener).fold(setup, Setup::listener))
}

#[test]
fn report_only_lets_every_row_pass_and_tells_the_upstream() {
    let (upstream, keys) = (Upstream::start(), KeyService::of_the_table());
    let setup = Setup::new(upstream.address()).cluster("keys", keys.address());
    let envoy = serving(setup, |plugin| plugin.with("report_only", json!(true)));
    let mut run = Run { report_only: true, ..Run::default() };
    run.every_row_over_http1(&envoy, &upstream);
    run.assert_right(1500);
    envoy.assert_healthy();
    assert_counted(&envoy, "would_deny", &run.decided);
}

#[test]
fn every_row_is_decided_alike_without_the_hosts_verification() {
    let envoy = without("verify_signature");
    assert_eq!(envoy.stat("wasmcustom.mdrm_authz.verify.host"), Some(0));
    assert!(envoy.stat("wasmcustom.mdrm_authz.verify.in_vm") > Some(300));
}

#[test]
fn every_row_is_decided_alike_without_remembered_tokens() {
    let envoy = without("remembered_tokens");
    assert_eq!(envoy.stat("wasmcustom.mdrm_authz.tokens.hit"), Some(0));
    assert!(envoy.stat("wasmcustom.mdrm_authz.verify.host") > Some(300));
}

/// Sends every row to a module that lacks something.
fn without(what: &str) -> Envoy {
    let (upstream, keys) = (Upstream::start(), KeyService::of_the_table());
    let setup = Setup::new(upstream.address()).cluster("keys", keys.address()).without(what);
    let envoy = serving(setup, |plugin| plugin);
    let mut run = Run::default();
    run.every_row_over_http1(&envoy, &upstream);
    run.assert_right(1500);
    envoy.assert_healthy();
    assert_eq!(upstream.count(), 0, "requests that belong to no row reached the upstream");
    assert_counted(&envoy, "denied", &run.decided);
    envoy
}

/// What came of the rows so far.
#[derive(Default)]
struct Run {
    /// The rows as they are where `report_only` is set.
    report_only: bool,
    requests: usize,
    failures: Vec<String>,
    /// Of the requests that reached the filter, what it decides about them without `report_only`.
    decided: Vec<Outcome>,
    /// Signatures that were sent, with the row's name.
    secrets: Vec<(String, String)>,
    /// What was sent in places where this filter expects no token: what stands there may stand in a log.
    elsewhere: Vec<String>,
}

impl Run {
    fn every_row_over_http1(&mut self, envoy: &Envoy, upstream: &Upstream) {
        self.every_row("HTTP/1.1", envoy, upstream, |address, case, id| {
            let send =
                || client::exchange(address, &case.request, &[("x-case", id)]).map_err(|error| error.to_string());
            (case.request.version != Version::Http2).then(send)
        });
    }

    /// No row failed, and there were more than so many requests.
    fn assert_right(&self, too_few: usize) {
        let failures = &self.failures;
        assert!(failures.is_empty(), "{} of {} rows failed:\n{}", failures.len(), self.requests, failures.join("\n"));
        assert!(self.requests > too_few, "{} requests are too few", self.requests);
        println!("{} requests of the table", self.requests);
    }

    /// Runs every row that `send` can send.
    fn every_row(
        &mut self,
        version: &str,
        envoy: &Envoy,
        upstream: &Upstream,
        send: impl Fn(SocketAddr, &Case, &str) -> Option<Result<Answered, String>>,
    ) {
        for plugin in Plugin::ALL {
            let address = envoy.address(&plugin.name());
            let mut rows = FreshRows { report_only: self.report_only, ..FreshRows::default() };
            for row in 0.. {
                let Some((outcome, case)) = rows.get(row) else { break };
                if case.plugin != plugin || matches!(case.envoy, EnvoyAnswer::Rewrites(_)) {
                    continue;
                }
                let id = row.to_string();
                let Some(answered) = send(address, case, &id) else { continue };
                self.requests += 1;
                match judge(case, answered, &upstream.take(&id)) {
                    Ok(By::Envoy) => {}
                    Ok(By::Filter) => self.decided.push(outcome),
                    Err(problem) => {
                        let name = format!("{} [{plugin:?}, {version}]", case.name);
                        self.failures.push(format!("{name}\n    {problem}\n    {:?}", case.request));
                    }
                }
                self.remember(case);
            }
        }
    }

    fn remember(&mut self, case: &Case) {
        let path = String::from_utf8_lossy(&case.request.path);
        let (path, query) = path.split_once('?').unwrap_or((&path, ""));
        let (expected, other): (Vec<&str>, Vec<&str>) =
            query.split('&').partition(|pair| pair.starts_with("Authorization="));
        let headers = case.request.headers.iter();
        let headers = headers.filter(|(name, _)| name.eq_ignore_ascii_case("authorization"));
        let mut tokens: Vec<String> = headers.map(|(_, value)| String::from_utf8_lossy(value).into_owned()).collect();
        tokens.extend(expected.into_iter().map(str::to_owned));
        if case.expect.outcome == Outcome::Passed || forwards_token(case.plugin) {
            self.elsewhere.extend(tokens);
        } else {
            let signatures = tokens.iter().filter_map(|token| signature(token));
            self.secrets.extend(signatures.map(|signature| (case.name.clone(), signature)));
        }
        let odd = std::iter::once(path).chain(other).filter(|text| text.len() > 100);
        self.elsewhere.extend(odd.map(str::to_owned));
    }
}

/// Whether the token reaches the upstream, and with it the access log.
fn forwards_token(plugin: Plugin) -> bool {
    plugin.configuration()["upstream"]["forward_token"] == true
}

/// The end of a token, which only its holder knows.
fn signature(token: &str) -> Option<String> {
    let (_, last) = token.rsplit_once("%2E").or(token.rsplit_once("%2e")).or(token.rsplit_once('.'))?;
    let last = last.trim_matches(|letter: char| !letter.is_ascii_alphanumeric());
    (last.len() >= 60 && last.is_ascii()).then(|| last[last.len() - 60..].to_owned())
}

/// The table, made anew every few seconds, so that no token gets older than its row says.
#[derive(Default)]
struct FreshRows {
    report_only: bool,
    made: Option<Instant>,
    rows: Vec<(Outcome, Case)>,
}

impl FreshRows {
    /// A row, and its outcome without `report_only`.
    fn get(&mut self, row: usize) -> Option<(Outcome, &Case)> {
        if self.made.is_none_or(|made| made.elapsed() > Duration::from_secs(4)) {
            let rows = table(now()).into_iter();
            let as_asked = |row: Case| if self.report_only { row.report_only() } else { row };
            self.rows = rows.map(|row| (row.expect.outcome, as_asked(row))).collect();
            self.made = Some(Instant::now());
        }
        self.rows.get(row).map(|(outcome, case)| (*outcome, case))
    }
}

/// Who answered a request, or let it pass.
enum By {
    Envoy,
    Filter,
}

fn judge(case: &Case, answered: Result<Answered, String>, received: &[Received]) -> Result<By, String> {
    let answered = match (&case.envoy, answered) {
        (EnvoyAnswer::CodecMayRefuse(_), Err(_)) if received.is_empty() => return Ok(By::Envoy),
        (EnvoyAnswer::CodecMayRefuse(statuses), Ok(answered))
            if statuses.contains(&answered.status) && answered.code().is_none() && received.is_empty() =>
        {
            // The upstream's codec may refuse as well what goes on with `report_only`.
            let by_upstream = answered.header("x-envoy-upstream-service-time").is_some();
            return Ok(if by_upstream { By::Filter } else { By::Envoy });
        }
        (_, Err(error)) => return Err(format!("no answer: {error}")),
        (_, Ok(answered)) => answered,
    };
    if let Outcome::Denied(code) = case.expect.outcome {
        ensure(received.is_empty(), || "the upstream received it".into())?;
        return is_denial(code, None, &answered).map(|()| By::Filter);
    }
    let untouched = answered.status == 200 && answered.body == LICENSE_BODY && answered.code().is_none();
    ensure(untouched, || shown(&answered))?;
    let [received] = received else { return Err(format!("the upstream received {}", received.len())) };
    ensure(received.method == case.request.method, || format!("the method is {}", received.method))?;
    let arrived = Arrived { path: received.path.as_bytes(), headers: &received.headers, body: &received.body };
    case.expect.upstream.check(arrived, &case.request.body, now()).map(|()| By::Filter)
}

/// Each refusal has its code in the details of the response and in the filter state, and nothing else has one.
fn every_code_is_in_the_access_log(envoy: &Envoy, run: &Run) {
    let log = envoy.await_access_log(run.requests);
    let mut codes: BTreeMap<String, usize> = BTreeMap::new();
    for line in log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
        let details = line["details"].as_str().filter(|details| details.starts_with("MDRM-"));
        assert_eq!(line["code"].as_str(), details, "{line}");
        details.into_iter().for_each(|code| *codes.entry(code.to_owned()).or_default() += 1);
    }
    let mut expected: BTreeMap<String, usize> = BTreeMap::new();
    for outcome in &run.decided {
        if let Outcome::Denied(code) = outcome {
            *expected.entry(format!("MDRM-{code}")).or_default() += 1;
        }
    }
    assert_eq!(codes, expected);
}

/// Attacks 25 and 26: the key service is asked for keys and sets, each kid percent-encoded, and for nothing else.
fn only_known_callouts(keys: &KeyService) {
    for request in keys.received() {
        let kinds = ["/keys/", "/session-keys/", "/master-keys/"];
        let kid = kinds.iter().find_map(|kind| request.path.strip_prefix(kind)).unwrap_or_default();
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte);
        let one_key = !kid.is_empty() && kid.bytes().all(plain) && kid.bytes().any(|byte| byte != b'.');
        let set = ["/jwks.json", "/owned.json"].contains(&request.path.as_str());
        assert!(one_key || set, "an odd callout: {request:?}");
        assert_eq!(request.method, "GET", "{request:?}");
        assert!(request.header("authorization").is_none() && request.body.is_empty(), "{request:?}");
    }
}

/// Attack 67: neither Envoy's log nor its access log holds a token, denied or not, unless the filter let it pass. The access log has the codes.
fn no_token_in_any_log(envoy: &Envoy, run: &Run) {
    let (log, access_log) = (envoy.log(), envoy.await_access_log(run.requests));
    assert!(run.secrets.len() > 1000, "{} signatures are too few", run.secrets.len());
    let leaked = |place: &str| {
        let held = |(_, signature): &&(String, String)| {
            place.contains(signature) && !run.elsewhere.iter().any(|text| text.contains(signature))
        };
        run.secrets.iter().filter(held).map(|(name, _)| name.clone()).collect::<HashSet<String>>()
    };
    let leaks = leaked(&log);
    assert!(leaks.is_empty(), "Envoy's log holds the tokens of {leaks:#?}");
    let leaks = leaked(&access_log);
    assert!(leaks.is_empty(), "the access log holds the tokens of {leaks:#?}");
    let details = access_log.lines().filter(|line| line.contains("\"details\":\"MDRM-")).count();
    assert!(details > 2000, "the access log gives the codes of {details} requests only");
    let odd = log.bytes().find(|byte| byte.is_ascii_control() && *byte != b'\n');
    assert!(odd.is_none(), "a control character in the log: {odd:?}");
}
