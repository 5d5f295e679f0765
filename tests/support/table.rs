//! The table of requests and decisions. It is checked twice: natively against the core, and through the finished module in a real
//! Envoy. A row is a sentence; rows whose name starts with `attack N` are bad input, numbered so that none gets lost.
//!
//! Times are relative to `now` with some seconds of slack, so that the rows hold in a proxy whose clock runs on.
//!
//! A runner gives each row's request to a filter that has the configuration of its [`Plugin`], answers the filter's key requests with
//! [`keyring::answer`], and compares the outcome with [`Expect`].

mod algorithms;
mod audiences;
mod carriage;
mod claims;
mod compact;
mod decisions;
mod json_text;
mod key_documents;
pub mod keyring;
mod kids;
mod order;
pub mod plugins;
mod preflight;
mod query;
mod request;
mod routes;
mod signatures;
mod stripping;
mod times;
mod weak_keys;

pub use plugins::Plugin;
pub use request::{Framing, Request, Version};

/// One request and what becomes of it.
#[derive(Clone, Debug)]
pub struct Case {
    /// What this row says, as a sentence.
    pub name: String,
    /// The configuration under which it is decided.
    pub plugin: Plugin,
    /// What the client sends.
    pub request: Request,
    /// What comes of it.
    pub expect: Expect,
    /// Whether the request reaches the filter in Envoy at all.
    pub envoy: EnvoyAnswer,
}

/// The decision, and what the upstream gets.
#[derive(Clone, Debug)]
pub struct Expect {
    /// The decision.
    pub outcome: Outcome,
    /// What the upstream receives. Says nothing for a denied request: then it must receive nothing.
    pub upstream: UpstreamSees,
}

/// A decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Authorised by a token.
    Allowed,
    /// Not checked: an open route or a preflight.
    Passed,
    /// Answered with `MDRM-` and this number.
    Denied(u16),
}

/// What must have arrived at the upstream.
#[derive(Clone, Debug, Default)]
pub struct UpstreamSees {
    /// The path with its query, or nothing where it does not matter.
    pub path: Option<Vec<u8>>,
    /// Headers that must be there once, with their values.
    pub present: Vec<(String, Vec<u8>)>,
    /// Headers that must not be there.
    pub absent: Vec<String>,
}

/// What Envoy does before the filter sees a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EnvoyAnswer {
    /// The filter decides.
    Same,
    /// Envoy's codec may refuse with one of these statuses, or with a reset in HTTP/2; if it does not, the filter's answer counts.
    CodecMayRefuse(&'static [u16]),
    /// Envoy gives the filter another request than the one that was sent, so the row is checked natively only. Says what Envoy does.
    Rewrites(&'static str),
}

impl Case {
    /// A row that is complete once it has an outcome: [`Case::allowed`], [`Case::passed`] or [`Case::denied`].
    pub fn new(name: impl Into<String>, plugin: Plugin, request: Request) -> Case {
        Case {
            name: name.into(),
            plugin,
            request,
            expect: Expect { outcome: Outcome::Denied(500), upstream: UpstreamSees::default() },
            envoy: EnvoyAnswer::Same,
        }
    }

    /// Allowed; the upstream gets the path as it was sent, and no `authorization`.
    #[must_use]
    pub fn allowed(mut self) -> Case {
        self.expect.outcome = Outcome::Allowed;
        self.expect.upstream.path = Some(self.request.path.clone());
        self.lacking("authorization")
    }

    /// Passed unchecked; the upstream gets the path as it was sent.
    #[must_use]
    pub fn passed(mut self) -> Case {
        self.expect.outcome = Outcome::Passed;
        self.expect.upstream.path = Some(self.request.path.clone());
        self
    }

    /// Denied with this code.
    #[must_use]
    pub fn denied(mut self, code: u16) -> Case {
        self.expect.outcome = Outcome::Denied(code);
        self
    }

    /// The upstream gets this path instead.
    #[must_use]
    pub fn at(mut self, path: &str) -> Case {
        self.expect.upstream.path = Some(path.as_bytes().to_vec());
        self
    }

    /// The path that the upstream gets is not said.
    #[must_use]
    pub fn at_any_path(mut self) -> Case {
        self.expect.upstream.path = None;
        self
    }

    /// The upstream gets this header once with this value.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl AsRef<[u8]>) -> Case {
        self.expect.upstream.absent.retain(|absent| absent != name);
        self.expect.upstream.present.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    /// The upstream gets no such header.
    #[must_use]
    pub fn lacking(mut self, name: &str) -> Case {
        self.expect.upstream.absent.push(name.to_owned());
        self
    }

    /// Envoy gives the filter another request than this one.
    #[must_use]
    pub fn rewritten_by_envoy(mut self, how: &'static str) -> Case {
        self.envoy = EnvoyAnswer::Rewrites(how);
        self
    }

    /// Envoy's codec may answer with one of these statuses first.
    #[must_use]
    pub fn or_codec(mut self, statuses: &'static [u16]) -> Case {
        self.envoy = EnvoyAnswer::CodecMayRefuse(statuses);
        self
    }
}

/// Every row. `now` is the time in seconds at which the requests are about to be decided.
pub fn table(now: i64) -> Vec<Case> {
    let mut table = Vec::new();
    table.extend(decisions::cases(now));
    table.extend(order::cases(now));
    table.extend(routes::cases(now));
    table.extend(preflight::cases(now));
    table.extend(carriage::cases(now));
    table.extend(query::cases(now));
    table.extend(stripping::cases(now));
    table.extend(compact::cases(now));
    table.extend(json_text::cases(now));
    table.extend(algorithms::cases(now));
    table.extend(kids::cases(now));
    table.extend(signatures::cases(now));
    table.extend(claims::cases(now));
    table.extend(times::cases(now));
    table.extend(audiences::cases(now));
    table.extend(key_documents::cases(now));
    let mut names = std::collections::HashSet::new();
    for case in &table {
        assert!(names.insert(case.name.clone()), "two rows are named {:?}", case.name);
    }
    table
}
