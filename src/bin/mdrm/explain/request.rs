//! The request that is explained: read from a file as it went over the wire, or made around a token.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use mdrm_authz::request::trim;

/// What a client sent.
#[derive(Debug, Args)]
pub(super) struct Asked {
    /// The token: the value of the Authorization header, with or without Bearer. `-` reads it from standard input.
    #[arg(required_unless_present_any = ["request", "path", "body"])]
    token: Option<String>,
    /// File with a whole HTTP/1.1 request: request line, headers, an empty line, the body (not chunked). `-` reads it from
    /// standard input.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["token", "path", "host", "headers", "body"])]
    request: Option<PathBuf>,
    /// Path and query of the request. The routes of the configuration then say which service it is.
    #[arg(long)]
    path: Option<String>,
    /// Host of the request, which a route may name.
    #[arg(long, default_value = "localhost")]
    host: String,
    /// Another header of the request; may be given several times.
    #[arg(long = "header", value_name = "NAME: VALUE")]
    headers: Vec<String>,
    /// File with the body of the request: a Trust Tunnel, a CPIX document.
    #[arg(long, value_name = "FILE")]
    body: Option<PathBuf>,
}

/// A request as the host hands it to the filter: pseudo-headers, names in lower case, values without the blanks around.
#[derive(Debug, PartialEq)]
pub(super) struct Request {
    headers: Vec<(Vec<u8>, Vec<u8>)>,
    /// None if the headers end the request.
    body: Option<Vec<u8>>,
}

impl Asked {
    /// Whether the configuration's routes decide what the request is.
    pub(super) fn has_path(&self) -> bool {
        self.path.is_some() || self.request.is_some()
    }

    /// Reads what the options name.
    pub(super) fn read(&self) -> Result<Request> {
        if let Some(file) = &self.request {
            return Request::parse(&read(file)?).with_context(|| format!("{} is no HTTP/1.1 request", file.display()));
        }
        let token = match self.token.as_deref() {
            Some("-") => Some(String::from_utf8(read(Path::new("-"))?).context("the token is not UTF-8")?),
            token => token.map(str::to_owned),
        };
        let body = self.body.as_deref().map(read).transpose()?;
        let mut headers = Vec::new();
        if let Some(token) = token {
            headers.push(header(b"authorization", token.trim().as_bytes()));
        }
        for line in &self.headers {
            headers.push(parse_header(line.as_bytes()).with_context(|| format!("{line:?} is no header"))?);
        }
        let path = self.path.as_deref().unwrap_or("/").as_bytes();
        Ok(Request::new(b"POST", path, self.host.as_bytes(), headers, body))
    }
}

impl Request {
    fn new(
        method: &[u8],
        path: &[u8],
        host: &[u8],
        mut headers: Vec<(Vec<u8>, Vec<u8>)>,
        body: Option<Vec<u8>>,
    ) -> Self {
        let mut all = vec![header(b":authority", host), header(b":path", path), header(b":method", method)];
        all.push(header(b":scheme", b"http"));
        all.append(&mut headers);
        let framed = |name: &[u8]| all.iter().any(|(other, _)| other == name);
        if let Some(body) = &body
            && !framed(b"content-length")
            && !framed(b"transfer-encoding")
        {
            all.push(header(b"content-length", body.len().to_string().as_bytes()));
        }
        Self { headers: all, body }
    }

    /// Reads a request as RFC 9112 frames it; a line may end without a carriage return.
    fn parse(bytes: &[u8]) -> Result<Self> {
        let mut rest = bytes;
        let line = take_line(&mut rest).context("there is no request line")?;
        let (method, target, version) = request_line(line).context("the request line is METHOD PATH HTTP/1.1")?;
        if !version.starts_with(b"HTTP/1.") {
            bail!("the request line is METHOD PATH HTTP/1.1");
        }
        let mut headers = Vec::new();
        let mut host = Vec::new();
        loop {
            let line = take_line(&mut rest).context("an empty line must end the headers")?;
            if line.is_empty() {
                break;
            }
            let (name, value) = parse_header(line).context("a header is NAME: VALUE")?;
            if name == b"host" && host.is_empty() { host = value } else { headers.push((name, value)) }
        }
        // As Envoy does: an absolute target (RFC 9112 section 3.2.2) names the host, whatever the header says.
        let (target, host) = absolute(target).map_or((target, &*host), |(host, path)| (path, host));
        // A chunked body may be empty; only what follows the headers tells.
        let chunked = headers.iter().any(|(name, _)| name == b"transfer-encoding");
        let body = (chunked || !rest.is_empty()).then(|| rest.to_vec());
        Ok(Self::new(method, target, host, headers, body))
    }

    /// Names and values in the order of the wire.
    pub(super) fn pairs(&self) -> Vec<(&[u8], &[u8])> {
        self.headers.iter().map(|(name, value)| (&**name, &**value)).collect()
    }

    /// The body; none if there is none.
    pub(super) fn body(&self) -> Option<&[u8]> {
        self.body.as_deref()
    }
}

fn request_line(line: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let first = line.iter().position(|byte| *byte == b' ')?;
    let last = line.iter().rposition(|byte| *byte == b' ')?;
    Some((line.get(..first)?, line.get(first.checked_add(1)?..last)?, line.get(last.checked_add(1)?..)?))
}

/// Host and path of `http://host/path`.
fn absolute(target: &[u8]) -> Option<(&[u8], &[u8])> {
    let scheme = |name: &str| target.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name.as_bytes()));
    let rest = target.get(["https://", "http://"].into_iter().find(|name| scheme(name))?.len()..)?;
    match rest.iter().position(|byte| matches!(byte, b'/' | b'?')).and_then(|end| rest.split_at_checked(end)) {
        Some((host, path)) if path.starts_with(b"/") => Some((host, path)),
        Some(_) => None,
        None => Some((rest, b"/")),
    }
}

fn parse_header(line: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let colon = line.iter().position(|byte| *byte == b':').filter(|at| *at > 0)?;
    let (name, value) = line.split_at_checked(colon)?;
    Some(header(name, value.get(1..)?))
}

fn header(name: &[u8], value: &[u8]) -> (Vec<u8>, Vec<u8>) {
    (name.to_ascii_lowercase(), trim(value).to_vec())
}

fn take_line<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let end = rest.iter().position(|byte| *byte == b'\n')?;
    let (line, after) = rest.split_at_checked(end)?;
    *rest = after.get(1..)?;
    Some(line.strip_suffix(b"\r").unwrap_or(line))
}

fn read(file: &Path) -> Result<Vec<u8>> {
    if file == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut std::io::stdin(), &mut bytes).context("cannot read standard input")?;
        return Ok(bytes);
    }
    std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_as_it_went_over_the_wire() {
        let wire = b"POST /a b?c HTTP/1.1\r\nHost: h:1\r\nX-A:  b \nx-a: c\r\n\r\nbody\r\n";
        let expected: [(&str, &str); 7] = [
            (":authority", "h:1"),
            (":path", "/a b?c"),
            (":method", "POST"),
            (":scheme", "http"),
            ("x-a", "b"),
            ("x-a", "c"),
            ("content-length", "6"),
        ];
        let request = Request::parse(wire).unwrap();
        assert_eq!(request.pairs(), expected.map(|(name, value)| (name.as_bytes(), value.as_bytes())));
        assert_eq!(request.body(), Some(&b"body\r\n"[..]));
        assert_eq!(Request::parse(b"GET / HTTP/1.1\n\n").unwrap().body(), None);
        let absolute = Request::parse(b"GET HTTP://h:1/a?b HTTP/1.1\nHost: other\n\n").unwrap();
        assert_eq!(absolute.pairs().get(..2), Some(&[(&b":authority"[..], &b"h:1"[..]), (b":path", b"/a?b")][..]));
        assert_eq!(Request::parse(b"GET / HTTP/1.1\nTransfer-Encoding: chunked\n\n").unwrap().body(), Some(&b""[..]));
    }

    #[test]
    fn what_is_no_request_is_refused() {
        for wire in
            ["", "GET /", "GET / HTTP/2\n\n", "GET / HTTP/1.1\nHost: h\n", "GET / HTTP/1.1\nhost\n\n", "GET\n\n"]
        {
            assert!(Request::parse(wire.as_bytes()).is_err(), "{wire:?}");
        }
    }
}
