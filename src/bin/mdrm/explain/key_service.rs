//! A key service that is asked over plain HTTP/1.1, with what the configuration says of it: one GET, one connection.

use std::io::{Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use mdrm_authz::config::KeySource;
use zeroize::Zeroizing;

/// No answer of a key service is longer and of use.
const MAX_BYTES: u64 = 2 << 20;

/// Where the key service of a cluster is.
#[derive(Debug, Clone)]
pub(super) struct KeyService {
    /// Any cluster if absent.
    pub(super) cluster: Option<String>,
    address: String,
}

/// An answer of a key service.
pub(super) struct Fetched {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, Vec<u8>)>,
    /// May hold a private key.
    pub(super) body: Zeroizing<Vec<u8>>,
}

impl KeyService {
    /// Reads `[CLUSTER=]http://HOST[:PORT]`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let allowed = "allowed: http://HOST:PORT, or CLUSTER=http://HOST:PORT";
        let (cluster, url) = match text.split_once("=http") {
            Some((cluster, rest)) => (Some(cluster.to_owned()), format!("http{rest}")),
            None => (None, text.to_owned()),
        };
        if url.starts_with("https://") {
            return Err("TLS is not spoken here: fetch the documents with curl, and name them with --keys".to_owned());
        }
        let address = url.strip_prefix("http://").map(|address| address.trim_end_matches('/')).ok_or(allowed)?;
        if address.is_empty() || address.contains('/') {
            return Err(allowed.to_owned());
        }
        let has_port = address.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let address = if has_port { address.to_owned() } else { format!("{address}:80") };
        Ok(Self { cluster, address })
    }

    /// Asks for `path` as the filter does.
    pub(super) fn get(&self, source: &KeySource, path: &str) -> Result<Fetched> {
        let address = self.address.to_socket_addrs().context("no such host")?.next().context("no such host")?;
        let mut stream = TcpStream::connect_timeout(&address, source.timeout).context("no connection")?;
        stream.set_read_timeout(Some(source.timeout))?;
        stream.set_write_timeout(Some(source.timeout))?;
        let mut request = Zeroizing::new(format!("GET {path} HTTP/1.1\r\nhost: {}\r\n", source.authority));
        for (name, value) in &source.headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str("connection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).context("the connection broke")?;
        let mut answer = Zeroizing::new(Vec::new());
        stream.take(MAX_BYTES).read_to_end(&mut answer).with_context(|| no_whole_answer(source.timeout))?;
        Fetched::parse(&answer)
    }
}

fn no_whole_answer(timeout: Duration) -> String {
    format!("no whole answer within {timeout:?}")
}

impl Fetched {
    /// Reads an answer (RFC 9112) that ends with its connection.
    fn parse(answer: &[u8]) -> Result<Self> {
        let head_end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").context("not an HTTP/1.1 answer")?;
        let (head, body) = answer.split_at_checked(head_end).context("not an HTTP/1.1 answer")?;
        let body = body.get(4..).unwrap_or_default();
        let mut lines = head.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
        let status_line = std::str::from_utf8(lines.next().unwrap_or_default()).context("not an HTTP/1.1 answer")?;
        let status = status_line.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1)?.parse().ok());
        let headers: Vec<(String, Vec<u8>)> = lines
            .filter_map(|line| {
                let colon = line.iter().position(|byte| *byte == b':')?;
                let (name, value) = line.split_at_checked(colon)?;
                let name = String::from_utf8_lossy(name).to_ascii_lowercase();
                Some((name, value.get(1..)?.trim_ascii().to_vec()))
            })
            .collect();
        let first = |name: &str| headers.iter().find(|(other, _)| other == name).map(|(_, value)| &**value);
        let body = if first("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case(b"chunked")) {
            unchunked(body).context("the answer broke off")?
        } else {
            if let Some(length) = first("content-length")
                && std::str::from_utf8(length).ok().and_then(|length| length.parse().ok()) != Some(body.len())
            {
                bail!("the answer broke off");
            }
            Zeroizing::new(body.to_vec())
        };
        Ok(Self { status: status.context("not an HTTP/1.1 answer")?, headers, body })
    }
}

/// The content of a chunked body (RFC 9112 section 7.1); none if its end is missing.
fn unchunked(mut rest: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut content = Zeroizing::new(Vec::new());
    loop {
        let end = rest.windows(2).position(|bytes| bytes == b"\r\n")?;
        let size = std::str::from_utf8(rest.get(..end)?).ok()?.split(';').next()?.trim();
        let size = usize::from_str_radix(size, 16).ok()?;
        rest = rest.get(end.checked_add(2)?..)?;
        if size == 0 {
            return Some(content);
        }
        let (chunk, after) = rest.split_at_checked(size)?;
        content.extend_from_slice(chunk);
        rest = after.get(2..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_plain_http() {
        let parsed = |text| KeyService::parse(text).map(|service| (service.cluster, service.address));
        assert_eq!(parsed("http://127.0.0.1:10001/"), Ok((None, "127.0.0.1:10001".to_owned())));
        assert_eq!(parsed("keys=http://h"), Ok((Some("keys".to_owned()), "h:80".to_owned())));
        for bad in ["", "h", "http://", "http://h/keys", "keys=https://h", "ftp://h"] {
            assert!(parsed(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_answer_is_whole_or_none() {
        let parsed = |text: &str| Fetched::parse(text.as_bytes()).ok().map(|fetched| (fetched.status, fetched.body));
        let whole = |status, body: &str| Some((status, Zeroizing::new(body.as_bytes().to_vec())));
        assert_eq!(parsed("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"), whole(200, "{}"));
        assert_eq!(parsed("HTTP/1.1 404 Not Found\r\n\r\n"), whole(404, ""));
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(parsed(&format!("{chunked}1\r\n{{\r\n1;x=y\r\n}}\r\n0\r\n\r\n")), whole(200, "{}"));
        for broken in [
            "",
            "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n{}",
            "HTTP/2 200\r\n\r\n",
            &format!("{chunked}5\r\n{{}}"),
            &format!("{chunked}2\r\n{{}}\r\n"),
        ] {
            assert_eq!(parsed(broken), None, "{broken:?}");
        }
    }
}
