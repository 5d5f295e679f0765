//! The same requests to two listeners of one Envoy: the finished module on one, Envoy's own `jwt_authn` on the other, with the
//! same keys, audiences and clock skew. The module must decide as the contract does, and wherever the two filters differ, the
//! rule of the contract that makes the difference must be listed in `beside.md`.
//!
//! How many requests is `BESIDE_TOKENS` (4 000), which ones `BESIDE_SEED` (1).

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Lines, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::core::Headers;
use super::support::client;
use super::support::envoy::{Envoy, Listener, Setup};
use super::support::exchange::Answered;
use super::support::key_service::{Answer, KeyService};
use super::support::table::Request;
use super::support::upstream::Upstream;
use super::{Counts, SHOWN, answers, headers, number, packages, rules, script};

const DEFAULT_COUNT: u64 = 4_000;
/// From so many on, every row of `beside.md` must have been needed.
const COMPLETE_COUNT: u64 = 100_000;
const WORLDS_PER_ENVOY: u64 = 25;
const REQUESTS_PER_WORLD: u64 = 400;
const LISTED: &str = include_str!("beside.md");
const SENDERS: usize = 3;
const TYPES: &str = "type.googleapis.com/envoy.extensions.filters.http";

/// What became of all requests.
#[derive(Default)]
struct Tally {
    /// Decisions of the module that are the contract's.
    agreed: Counts,
    /// By the rules of `explained.md`.
    explained: Counts,
    /// What both filters said of a token.
    beside: Counts,
    /// Where one let a token pass and the other did not: decision, rule, and answer of `jwt_authn`.
    differing: Counts,
    /// Not a matter of a filter: what no HTTP/1.1 message can hold, and what Envoy refuses before any filter.
    inexpressible: u64,
    refused_by_envoy: u64,
    differences: Vec<String>,
}

/// What both listeners answered, within one second.
struct Answers {
    second: i64,
    /// How often the request was sent until then and the module let it pass.
    passed: usize,
    module: Answered,
    jwt_authn: Answered,
}

/// The script, and what it says.
struct Generator {
    process: Child,
    questions: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Generator {
    fn start(packages: &Path, seed: u64, worlds: u64) -> Generator {
        let mut process = script("beside.py", packages, [seed, worlds]).stdin(Stdio::piped()).spawn().unwrap();
        let questions = process.stdin.take().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Generator { process, questions, lines }
    }

    fn read(&mut self, count: u64) -> Vec<Value> {
        let line = |_| serde_json::from_str(&self.lines.next().expect("the generator goes on").unwrap()).unwrap();
        (0..count).map(line).collect()
    }

    fn tell(&mut self, value: &Value) {
        writeln!(self.questions, "{value}").unwrap();
    }
}

#[test]
fn the_module_decides_as_the_contract_does_and_differs_from_jwt_authn_only_by_rules_of_the_contract() {
    let (count, seed) = (number("BESIDE_TOKENS", DEFAULT_COUNT), number("BESIDE_SEED", 1));
    let packages = packages();
    let mut tally = Tally::default();
    let mut worlds_left = count.div_ceil(REQUESTS_PER_WORLD);
    for envoy in 0.. {
        let count = worlds_left.min(WORLDS_PER_ENVOY);
        if count == 0 {
            break;
        }
        worlds_left -= count;
        let mut generator = Generator::start(&packages, seed * 1_000_000 + envoy, count);
        let worlds = generator.read(count);
        run(&mut generator, &worlds, &mut tally);
        drop(generator.questions);
        assert!(generator.process.wait().unwrap().success(), "the generator failed");
    }
    tally.print();
    tally.check(count);
}

/// Sends the requests of some worlds to an Envoy of their own.
fn run(generator: &mut Generator, worlds: &[Value], tally: &mut Tally) {
    let upstream = Upstream::start();
    let key_services: Vec<KeyService> = worlds.iter().map(key_service).collect();
    let mut setup = Setup::new(upstream.address());
    setup.log_level = "warning".to_owned();
    for (index, world) in worlds.iter().enumerate() {
        setup = setup.cluster(&format!("keys-{index}"), key_services[index].address());
        setup = setup.listener(Listener::new(&format!("module-{index}"), &world["config"]));
        setup.raw_listeners.push(jwt_authn_listener(&format!("jwt_authn-{index}"), &world["jwt_authn"]));
    }
    let envoy = Envoy::start(setup);
    let mut let_pass = 0;
    for (index, world) in worlds.iter().enumerate() {
        generator.tell(&json!(REQUESTS_PER_WORLD));
        let requests = generator.read(REQUESTS_PER_WORLD);
        let module = envoy.address(&format!("module-{index}"));
        let jwt_authn = envoy.address(&format!("jwt_authn-{index}"));
        let answered = send_all(&requests, module, jwt_authn);
        generator.tell(&answered.iter().map(|answers| answers.as_ref().map(|answers| answers.second)).collect());
        for ((request, answers), decision) in requests.iter().zip(&answered).zip(generator.read(REQUESTS_PER_WORLD)) {
            match answers {
                None => tally.inexpressible += 1,
                Some(answers) => {
                    let_pass += answers.passed;
                    let shown = || format!("{request}\n{decision}\n{}", world["config"]);
                    tally.judge(request, answers, &decision, &shown);
                }
            }
        }
    }
    assert_eq!(upstream.count(), let_pass, "what the module refused reached the upstream");
    envoy.assert_healthy();
}

fn key_service(world: &Value) -> KeyService {
    let service = KeyService::start();
    for (path, (status, body)) in answers(&world["answers"]) {
        service.set(&path, Answer::new(status, body));
    }
    service
}

/// Those whose tokens both filters judge.
const SERVICES: [&str; 2] = ["license", "cpix"];
/// How the header `Authorization` holds a token: `jwt_authn` refuses a request if any one of several places has none.
const FORMS: [(&str, &str); 2] = [("plain", ""), ("bearer", "Bearer ")];

/// A listener with `jwt_authn` in front of an answer. The header `x-provider` chooses the audiences, and where the token stands.
fn jwt_authn_listener(name: &str, world: &Value) -> Value {
    let provider = |service: &str, prefix: &str| {
        json!({
            "audiences": world[service],
            "local_jwks": {"inline_string": world["jwks"]},
            "clock_skew_seconds": world["skew"],
            "from_headers": [{"name": "Authorization", "value_prefix": prefix}],
            "from_params": ["Authorization"],
        })
    };
    let (mut providers, mut rules) = (serde_json::Map::new(), Vec::new());
    for (service, (form, prefix)) in SERVICES.into_iter().flat_map(|service| FORMS.map(|form| (service, form))) {
        let name = format!("{service} {form}");
        providers.insert(name.clone(), provider(service, prefix));
        rules.push(json!({
            "match": {"prefix": "/", "headers": [{"name": "x-provider", "string_match": {"exact": name}}]},
            "requires": {"provider_name": name},
        }));
    }
    let jwt_authn = json!({
        "@type": format!("{TYPES}.jwt_authn.v3.JwtAuthentication"),
        "providers": providers,
        "rules": rules,
    });
    let manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "beside",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [
            {"match": {"prefix": ""}, "direct_response": {"status": 200}},
        ]}]},
        "http_filters": [
            {"name": "jwt_authn", "typed_config": jwt_authn},
            {"name": "router", "typed_config": {"@type": format!("{TYPES}.router.v3.Router")}},
        ],
    });
    json!({
        "name": name,
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    })
}

/// Sends every request that HTTP/1.1 can hold to both.
fn send_all(requests: &[Value], module: SocketAddr, jwt_authn: SocketAddr) -> Vec<Option<Answers>> {
    let chunk = requests.len().div_ceil(SENDERS);
    thread::scope(|scope| {
        let send = |some| scope.spawn(move || send_some(some, module, jwt_authn));
        let senders: Vec<_> = requests.chunks(chunk).map(send).collect();
        senders.into_iter().flat_map(|sender| sender.join().unwrap()).collect()
    })
}

fn send_some(requests: &[Value], module: SocketAddr, jwt_authn: SocketAddr) -> Vec<Option<Answers>> {
    let send = |value: &Value| {
        let request = request(&headers(value), value["body"].as_str().unwrap())?;
        let further = [("x-provider", value["provider"].as_str().unwrap())];
        let exchange = |address| client::exchange(address, &request, &further).unwrap();
        // Both see the same second: what they say of a token may change with the next one.
        let mut passed = 0;
        loop {
            let (second, module, jwt_authn) = (now(), exchange(module), exchange(jwt_authn));
            passed += usize::from(module.status == 200);
            if now() == second {
                return Some(Answers { second, passed, module, jwt_authn });
            }
        }
    };
    requests.iter().map(send).collect()
}

fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

/// The request with these headers and this kind of body; none if a value has what ends a line.
fn request(headers: &Headers, body: &str) -> Option<Request> {
    if headers.iter().any(|(_, value)| value.iter().any(|byte| b"\r\n\0".contains(byte))) {
        return None;
    }
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let mut request = Request::new("", "");
    for (name, value) in headers {
        match &name[..] {
            b":method" => request.method = text(value),
            b":path" => request.path = value.clone(),
            b":authority" => request.host = text(value),
            _ => request = request.header(&text(name), value),
        }
    }
    Some(match body {
        "none" => request,
        "empty" => request.chunked(),
        _ => request.body("x"),
    })
}

impl Tally {
    fn judge(&mut self, request: &Value, answers: &Answers, decision: &Value, shown: &dyn Fn() -> String) {
        let Answers { module, jwt_authn, .. } = answers;
        if module.status == 400 && module.code().is_none() {
            assert_eq!(jwt_authn.status, 400, "{}", shown());
            self.refused_by_envoy += 1;
            return;
        }
        let expected = decision["expected"].as_str().unwrap();
        let mut rule = decision["rule"].as_str().unwrap_or_default().to_owned();
        let decided = match module.code() {
            Some(code) => format!("MDRM-{code}"),
            None if module.status == 200 && expected == "pass" => expected.to_owned(),
            None => if module.status == 200 { "ok" } else { "neither" }.to_owned(),
        };
        if decided == expected {
            self.agreed.add(&decided);
        } else if let Some(rules) = rules(&decision["explained"], &decided) {
            rule = rules.join(" ");
            self.explained.add(&rule);
        } else {
            return self.differ(format!("module: {decided}, contract: {expected}"), shown);
        }
        let (service, _) = request["provider"].as_str().unwrap().split_once(' ').unwrap();
        if !SERVICES.contains(&service) {
            return;
        }
        let said = said(jwt_authn);
        let both = match (decided == "ok", said == "ok") {
            (true, true) => "both let it pass",
            (false, false) => "both refuse it",
            (true, false) => "jwt_authn alone refuses it",
            (false, true) => "the module alone refuses it",
        };
        self.beside.add(both);
        if (decided == "ok") != (said == "ok") {
            let rule = if decided == "ok" { decision["leniency"].as_str().unwrap_or_default() } else { &rule };
            let row = format!("| {decided} | `{rule}` |");
            if !LISTED.contains(&row) {
                self.differ(format!("{row} {said}"), shown);
            }
            self.differing.add(&row);
        }
    }

    fn differ(&mut self, what: String, shown: &dyn Fn() -> String) {
        let told = self.differences.iter().filter(|told| told.starts_with(&what)).count();
        self.differences.push(if told < 2 { format!("{what}\n{}", shown()) } else { what });
    }

    fn print(&self) {
        for (decision, times) in &self.agreed.0 {
            println!("{decision:8} {times:8}");
        }
        println!(
            "agreed: {}, explained: {:?}, differences: {}, inexpressible: {}, refused by Envoy: {}",
            self.agreed.total(),
            self.explained.0,
            self.differences.len(),
            self.inexpressible,
            self.refused_by_envoy,
        );
        for (both, times) in &self.beside.0 {
            println!("{both}: {times}");
        }
        for (row, times) in &self.differing.0 {
            println!("{row} {times} |");
        }
    }

    fn check(&self, count: u64) {
        let shown: Vec<&str> = self.differences.iter().map(String::as_str).take(SHOWN).collect();
        assert!(shown.is_empty(), "{} differences\n{}", self.differences.len(), shown.join("\n\n"));
        let decided = self.agreed.total() + self.explained.total();
        assert!(decided + self.inexpressible + self.refused_by_envoy >= count, "{decided} of {count} requests");
        assert!(decided > count / 10 * 9 && self.beside.total() > count / 10 * 8, "too few reach a filter: {decided}");
        for both in ["both let it pass", "both refuse it", "the module alone refuses it"] {
            assert!(self.beside.0.get(both).is_some_and(|times| *times > count / 100), "{both}: {:?}", self.beside.0);
        }
        if count >= COMPLETE_COUNT {
            let listed = LISTED.lines().filter(|line| line.starts_with("| MDRM-") || line.starts_with("| ok"));
            let in_vain: BTreeSet<&str> =
                listed.filter(|line| !self.differing.0.keys().any(|row| line.starts_with(row))).collect();
            assert!(in_vain.is_empty(), "rows that explain nothing:\n{in_vain:#?}");
        }
    }
}

/// `ok`, or why `jwt_authn` refuses.
fn said(answered: &Answered) -> String {
    match answered.status {
        200 => "ok".to_owned(),
        401 | 403 => String::from_utf8_lossy(&answered.body).into_owned(),
        _ => format!("{answered:?}"),
    }
}
