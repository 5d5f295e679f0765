//! What a client sends, as data: bytes where HTTP has bytes.

use std::fmt;

/// A request. Headers are written as given and in this order; names as a client would spell them.
#[derive(Clone)]
pub struct Request {
    /// The method, as spelled.
    pub method: String,
    /// The request target in origin form: path and query.
    pub path: Vec<u8>,
    /// The host and `:authority`.
    pub host: String,
    /// Headers besides host and framing.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body.
    pub body: Vec<u8>,
    /// How HTTP/1.1 says where the body ends.
    pub framing: Framing,
    /// The versions of HTTP in which this request makes sense.
    pub version: Version,
}

/// How HTTP/1.1 says where the body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// `content-length` if there is a body or the method usually has one, else nothing.
    Length,
    /// `transfer-encoding: chunked`.
    Chunked,
}

/// The versions of HTTP in which a request makes sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// Both.
    Any,
    /// HTTP/1.1 only.
    Http1,
    /// HTTP/2 only.
    Http2,
}

impl Request {
    /// A request without a body.
    pub fn new(method: &str, path: impl AsRef<[u8]>) -> Request {
        Request {
            method: method.to_owned(),
            path: path.as_ref().to_vec(),
            host: "license.example.com".to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
            framing: Framing::Length,
            version: Version::Any,
        }
    }

    /// A GET.
    pub fn get(path: impl AsRef<[u8]>) -> Request {
        Request::new("GET", path)
    }

    /// A POST with a small body, as players send it.
    pub fn post(path: impl AsRef<[u8]>) -> Request {
        Request::new("POST", path).header("Content-Type", "application/octet-stream").body("challenge")
    }

    /// One more header.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Request {
        self.headers.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    /// This value in the header `Authorization`.
    #[must_use]
    pub fn token(self, value: impl AsRef<[u8]>) -> Request {
        self.header("Authorization", value)
    }

    /// A `content-type` in place of the one so far.
    #[must_use]
    pub fn content_type(mut self, value: impl AsRef<[u8]>) -> Request {
        self.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("content-type"));
        self.header("Content-Type", value)
    }

    /// The body.
    #[must_use]
    pub fn body(mut self, body: impl AsRef<[u8]>) -> Request {
        self.body = body.as_ref().to_vec();
        self
    }

    /// The body in chunks, without its length.
    #[must_use]
    pub fn chunked(mut self) -> Request {
        self.framing = Framing::Chunked;
        self
    }

    /// The host.
    #[must_use]
    pub fn host(mut self, host: &str) -> Request {
        self.host = host.to_owned();
        self
    }

    /// Sent in this version of HTTP only.
    #[must_use]
    pub fn version(mut self, version: Version) -> Request {
        self.version = version;
        self
    }

    /// Whether a body follows the headers. A chunked one may be empty; that is only known after the headers.
    pub fn has_body(&self) -> bool {
        !self.body.is_empty() || self.framing == Framing::Chunked
    }

    /// The header map that a host hands to the filter, were it not to trim any value: pseudo-headers first, names in lower case.
    pub fn as_a_filter_sees_it(&self) -> Vec<(String, Vec<u8>)> {
        let mut map = vec![
            (":authority".to_owned(), self.host.clone().into_bytes()),
            (":path".to_owned(), self.path.clone()),
            (":method".to_owned(), self.method.clone().into_bytes()),
            (":scheme".to_owned(), b"http".to_vec()),
        ];
        map.extend(self.headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone())));
        map.extend(self.framing_header());
        map
    }

    /// The header that frames the body in HTTP/1.1, unless the row writes one of its own.
    pub fn framing_header(&self) -> Option<(String, Vec<u8>)> {
        let own = |(name, _): &(String, Vec<u8>)| name.eq_ignore_ascii_case("content-length");
        match self.framing {
            Framing::Chunked => Some(("transfer-encoding".to_owned(), b"chunked".to_vec())),
            Framing::Length if self.headers.iter().any(own) => None,
            Framing::Length if self.body.is_empty() && self.method != "POST" => None,
            Framing::Length => Some(("content-length".to_owned(), self.body.len().to_string().into_bytes())),
        }
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cut = |bytes: &[u8]| {
            let text = bytes.escape_ascii().to_string();
            if text.len() > 120 { format!("{}… ({} bytes)", &text[..120], bytes.len()) } else { text }
        };
        write!(out, "{} {} host {}", self.method, cut(&self.path), self.host)?;
        for (name, value) in &self.headers {
            write!(out, "; {name}: {}", cut(value))?;
        }
        write!(out, "; {} bytes of body, {:?}, {:?}", self.body.len(), self.framing, self.version)
    }
}
