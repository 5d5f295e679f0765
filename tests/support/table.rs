//! The table of requests and decisions. It is checked three times: natively against the core, by `mdrm explain`, and through the
//! finished module in a real Envoy. A row is a sentence; rows whose name starts with `attack N` are bad input, numbered so that none gets lost.
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
mod cpix_content;
mod cpix_documents;
mod cpix_unsigned;
mod decisions;
mod hosts;
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
mod sessions;
mod signatures;
mod stripping;
mod times;
mod tunnels;
mod weak_keys;

use super::session;
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
    /// The body, if it is not the one that was sent.
    pub body: Option<Vec<u8>>,
    /// The session token: the header that it stands in, what stands before it, and what it says.
    pub session: Option<(&'static str, &'static str, session::Expected)>,
}

/// What has arrived at the upstream.
#[derive(Clone, Copy, Debug)]
pub struct Arrived<'a> {
    /// The path with its query.
    pub path: &'a [u8],
    /// Headers, names in lower case. Blanks around values do not count, as HTTP/1.1 does not deliver them.
    pub headers: &'a [(String, Vec<u8>)],
    /// The body.
    pub body: &'a [u8],
}

impl UpstreamSees {
    /// Compares what must have arrived with what has; `sent` is the body that the client sent.
    ///
    /// # Errors
    ///
    /// What is wrong.
    pub fn check(&self, arrived: Arrived<'_>, sent: &[u8], now: i64) -> Result<(), String> {
        let Arrived { path, headers, body } = arrived;
        let values = |name: &str| -> Vec<&[u8]> {
            headers.iter().filter(|(n, _)| n == name).map(|(_, value)| value.trim_ascii()).collect()
        };
        if let Some(expected) = &self.path
            && path != expected
        {
            return Err(format!("the path is {}, not {}", cut(&[path]), cut(&[expected])));
        }
        for name in &self.absent {
            let values = values(name);
            if !values.is_empty() {
                return Err(format!("{name} reached the upstream: {}", cut(&values)));
            }
        }
        for (name, value) in &self.present {
            let (values, value) = (values(name), value.trim_ascii());
            if values != [value] {
                return Err(format!("{name} is {}, not {}", cut(&values), cut(&[value])));
            }
        }
        let expected = self.body.as_deref().unwrap_or(sent);
        if body != expected {
            return Err(format!("the body is {}, not {}", cut(&[body]), cut(&[expected])));
        }
        let lengths = values("content-length");
        if !lengths.is_empty() && lengths != [body.len().to_string().as_bytes()] {
            return Err(format!("content-length is {}, and there are {} bytes", cut(&lengths), body.len()));
        }
        let Some((header, before, expected)) = &self.session else { return Ok(()) };
        let values = values(header);
        let [value] = values[..] else { return Err(format!("{header} is {}", cut(&values))) };
        let token = value.strip_prefix(before.as_bytes()).ok_or_else(|| format!("{header} is {}", cut(&[value])))?;
        let token = std::str::from_utf8(token).map_err(|error| error.to_string())?;
        let key = keyring::session_key(&expected.kid);
        expected.check(token, key, now).map_err(|problem| format!("the session token: {problem}"))
    }
}

/// Values, cut, for people to read.
fn cut(values: &[&[u8]]) -> String {
    let texts: Vec<String> =
        values.iter().map(|value| value.escape_ascii().to_string().chars().take(100).collect()).collect();
    format!("{texts:?}")
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

    /// The same request where `report_only` is set: it goes on. One that would be denied goes as it came, but for headers
    /// that only the filter may write, and with a header that says so; one that is allowed keeps its token besides.
    #[must_use]
    pub fn report_only(mut self) -> Case {
        let upstream = &mut self.expect.upstream;
        if let Outcome::Denied(code) = self.expect.outcome {
            *upstream = UpstreamSees::default();
            upstream.present.push(("x-mdrm-would-deny".to_owned(), format!("MDRM-{code}").into_bytes()));
            upstream.absent.push("x-mdrm-session".to_owned());
            for (name, value) in &self.request.headers {
                let once =
                    self.request.headers.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name)).count() == 1;
                if once && name.eq_ignore_ascii_case("authorization") {
                    upstream.present.push((name.to_ascii_lowercase(), value.clone()));
                }
            }
            self.expect.outcome = Outcome::Passed;
        } else {
            upstream.absent.push("x-mdrm-would-deny".to_owned());
            let writes_it = self.plugin.configuration()["session"]["header"] == "Authorization";
            if self.expect.outcome == Outcome::Allowed && !writes_it {
                upstream.absent.retain(|name| name != "authorization");
            }
        }
        if self.expect.outcome != Outcome::Passed || upstream.path.is_none() {
            upstream.path = Some(self.request.path.clone());
        }
        self
    }

    /// The upstream gets this body instead.
    #[must_use]
    pub fn with_body(mut self, body: impl AsRef<[u8]>) -> Case {
        self.expect.upstream.body = Some(body.as_ref().to_vec());
        self
    }

    /// The upstream gets a session token in this header.
    #[must_use]
    pub fn with_session(mut self, header: &'static str, before: &'static str, expected: session::Expected) -> Case {
        self.expect.upstream.absent.retain(|absent| absent != header);
        self.expect.upstream.session = Some((header, before, expected));
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
    table.extend(hosts::cases(now));
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
    table.extend(sessions::cases(now));
    table.extend(tunnels::cases(now));
    table.extend(cpix_documents::cases(now));
    let mut names = std::collections::HashSet::new();
    for case in &table {
        assert!(names.insert(case.name.clone()), "two rows are named {:?}", case.name);
    }
    table
}
