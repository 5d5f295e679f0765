//! Where keys are asked for: cluster, authority, path template, extra headers.

use std::fmt;
use std::time::Duration;

use super::raw::Headers;
use super::{Result, refuse};
use crate::jose::token::Kid;
use crate::spelling::fold;
use crate::upstream::is_token;

/// A key service and how to ask it.
#[derive(Clone, PartialEq, Eq)]
pub struct KeySource {
    /// Envoy's name of the cluster.
    pub cluster: Box<str>,
    /// `:authority` of the callout.
    pub authority: Box<str>,
    /// What to ask for.
    pub path: KeyPath,
    /// Extra headers, names in lower case. Values may be secrets.
    pub headers: Box<[(Box<str>, Box<str>)]>,
    /// How long Envoy waits for the whole answer.
    pub timeout: Duration,
}

impl fmt::Debug for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<_> = self.headers.iter().map(|(name, _)| (name, "<redacted>")).collect();
        f.debug_struct("KeySource")
            .field("cluster", &self.cluster)
            .field("authority", &self.authority)
            .field("path", &self.path)
            .field("headers", &headers)
            .field("timeout", &self.timeout)
            .finish()
    }
}

/// The path of a callout; whether it holds `{kid}` decides the mode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyPath {
    /// One key a request: what stands before and after `{kid}`.
    OneKey(Box<str>, Box<str>),
    /// A JWK Set.
    Set(Box<str>),
}

impl KeyPath {
    /// The path that asks for `kid`; every byte of it but RFC 3986's unreserved characters is percent-encoded, so that
    /// no name can reach another path.
    pub fn for_kid(&self, kid: &Kid) -> String {
        match self {
            Self::Set(path) => path.to_string(),
            Self::OneKey(before, after) => {
                let mut path = String::with_capacity(before.len().saturating_add(after.len()).saturating_add(64));
                path.push_str(before);
                for byte in kid.as_str().bytes() {
                    if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
                        path.push(char::from(byte));
                    } else {
                        const HEX: [char; 16] =
                            ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
                        path.push('%');
                        path.extend(HEX.get(usize::from(byte >> 4)));
                        path.extend(HEX.get(usize::from(byte & 15)));
                    }
                }
                path.push_str(after);
                path
            }
        }
    }
}

/// The members that describe a source, as they were written.
pub(super) struct Raw {
    pub(super) cluster: String,
    pub(super) authority: Option<String>,
    pub(super) path: String,
    pub(super) headers: Headers,
}

impl KeySource {
    /// `member` is the path of the members in the configuration.
    pub(super) fn new(
        member: &str,
        raw: Raw,
        timeout: Duration,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self> {
        if raw.cluster.is_empty() {
            return refuse(format!("{member}.cluster"), "found an empty string, allowed: the name of an Envoy cluster");
        }
        // Istio names clusters `outbound|443||keys.example.com`.
        let host = raw.cluster.rsplit('|').next().unwrap_or_default();
        let authority = raw.authority.unwrap_or_else(|| host.to_owned());
        if authority.is_empty() || !authority.bytes().all(|b| b.is_ascii_graphic()) {
            return refuse(
                format!("{member}.authority"),
                format!("found {authority:?}, allowed: a host name and port"),
            );
        }
        let mut headers: Vec<(Box<str>, Box<str>)> = Vec::new();
        for (name, value) in raw.headers.0 {
            let at = format!("{member}.headers.{}", name.escape_debug());
            let name = name.to_ascii_lowercase();
            if !is_header_name(&name) || headers.iter().any(|(other, _)| fold(other) == fold(&name)) {
                return refuse(at, "allowed: each header name once, and not one that HTTP itself sets");
            }
            let value = expand(&at, &value, environment)?;
            if !value.bytes().all(|b| b == b'\t' || (0x20..=0x7e).contains(&b)) {
                return refuse(at, "found <redacted>, allowed: printable ASCII");
            }
            headers.push((name.into(), value.into()));
        }
        Ok(Self {
            cluster: raw.cluster.into(),
            authority: authority.into(),
            path: key_path(member, &raw.path)?,
            headers: headers.into(),
            timeout,
        })
    }
}

fn key_path(member: &str, path: &str) -> Result<KeyPath> {
    let visible = path.bytes().all(|b| b.is_ascii_graphic() && b != b'#');
    let mut pieces = path.split("{kid}");
    let (before, after, more) = (pieces.next().unwrap_or_default(), pieces.next(), pieces.next());
    let braces = [before, after.unwrap_or_default()].concat().contains(['{', '}']);
    if !path.starts_with('/') || !visible || braces || more.is_some() {
        let allowed = "allowed: a path in printable ASCII that starts with / and holds {kid} at most once";
        return refuse(format!("{member}.path"), format!("found {path:?}, {allowed}"));
    }
    Ok(match after {
        Some(after) => KeyPath::OneKey(before.into(), after.into()),
        None => KeyPath::Set(path.into()),
    })
}

/// RFC 9110 section 5.1, less what belongs to the callout itself.
fn is_header_name(name: &str) -> bool {
    let reserved = ["host", "connection", "content-length", "transfer-encoding", "te", "upgrade", "if-none-match"]
        .contains(&&*fold(name));
    is_token(name) && !reserved
}

/// POSIX.1-2017 section 8.1.
fn is_variable_name(name: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    name.bytes().all(word) && name.starts_with(|c: char| !c.is_ascii_digit())
}

/// Replaces `${NAME}` by the variable of that name and `$${` by a literal `${`.
fn expand(at: &str, value: &str, environment: &dyn Fn(&str) -> Option<String>) -> Result<String> {
    let mut expanded = String::with_capacity(value.len());
    let mut rest = value;
    while let Some((before, after)) = rest.split_once("${") {
        if let Some(before) = before.strip_suffix('$') {
            expanded.push_str(before);
            expanded.push_str("${");
            rest = after;
            continue;
        }
        expanded.push_str(before);
        let Some((name, after)) = after.split_once('}') else {
            return refuse(at, "found ${ without }, allowed: ${NAME}, or $${ for a literal ${");
        };
        if !is_variable_name(name) {
            // Not printed: it may be a part of the value itself.
            return refuse(at, "found <redacted>, allowed: ${NAME} with a name of letters, digits and _");
        }
        let Some(variable) = environment(name) else {
            return refuse(at, format!("the environment variable {name:?} of the VM is not set"));
        };
        expanded.push_str(&variable);
        rest = after;
    }
    expanded.push_str(rest);
    Ok(expanded)
}
