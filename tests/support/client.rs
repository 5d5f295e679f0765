//! An HTTP/1.1 client that sends exactly the bytes it is given, right or wrong, and reads the answer strictly.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use super::exchange::{Answered, Headers};
use super::table::{Framing, Request};
use super::wait::DEADLINE;

/// One connection.
pub struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    /// Connects.
    ///
    /// # Panics
    ///
    /// If nothing listens.
    pub fn open(address: SocketAddr) -> Connection {
        Connection::try_open(address).expect("something listens")
    }

    /// Connects, if something listens.
    ///
    /// # Errors
    ///
    /// If nothing does.
    pub fn try_open(address: SocketAddr) -> io::Result<Connection> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(DEADLINE))?;
        stream.set_write_timeout(Some(DEADLINE))?;
        stream.set_nodelay(true)?;
        Ok(Connection { stream: BufReader::new(stream) })
    }

    /// Waits no longer than this for bytes of the peer.
    pub fn set_patience(&mut self, limit: Duration) {
        self.stream.get_ref().set_read_timeout(Some(limit)).unwrap();
    }

    /// Sends these bytes at once.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// Sends these bytes in packets of one byte each.
    pub fn send_byte_by_byte(&mut self, bytes: &[u8]) -> io::Result<()> {
        bytes.iter().try_for_each(|byte| self.send(&[*byte]))
    }

    /// Reads one answer to a request with this method. Interim answers (1xx) but 101 are skipped.
    pub fn answer(&mut self, method: &str) -> io::Result<Answered> {
        loop {
            let answered = self.one_answer(method)?;
            if !(100..200).contains(&answered.status) || answered.status == 101 {
                return Ok(answered);
            }
        }
    }

    /// Reads one answer, which may be an interim one (1xx).
    pub fn one_answer(&mut self, method: &str) -> io::Result<Answered> {
        let line = self.line()?;
        let status = std::str::from_utf8(&line).ok().and_then(|line| line.split(' ').nth(1)?.parse().ok());
        let status = status.ok_or_else(|| broken(&format!("status line {:?}", line.escape_ascii().to_string())))?;
        let headers = self.headers()?;
        let get = |name: &str| headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        let text = |value: Vec<u8>| String::from_utf8_lossy(&value).into_owned();
        let body = if method == "HEAD" || (100..200).contains(&status) || status == 204 || status == 304 {
            Vec::new()
        } else if get("transfer-encoding").is_some() {
            self.chunks()?
        } else if let Some(length) = get("content-length") {
            let mut body = vec![0; text(length).parse().map_err(|_| broken("content-length"))?];
            self.stream.read_exact(&mut body)?;
            body
        } else {
            let mut body = Vec::new();
            self.stream.read_to_end(&mut body)?;
            body
        };
        Ok(Answered { status, headers, body })
    }

    fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let size = String::from_utf8(self.line()?).map_err(|_| broken("chunk size"))?;
            let size = usize::from_str_radix(&size, 16).map_err(|_| broken("chunk size"))?;
            if size == 0 {
                self.headers()?; // the trailers
                return Ok(body);
            }
            let start = body.len();
            body.resize(start + size, 0);
            self.stream.read_exact(&mut body[start..])?;
            self.line()?;
        }
    }

    fn headers(&mut self) -> io::Result<Headers> {
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok(headers);
            }
            let colon = line.iter().position(|byte| *byte == b':').ok_or_else(|| broken("header without a colon"))?;
            let name = String::from_utf8_lossy(&line[..colon]).to_ascii_lowercase();
            headers.push((name, line[colon + 1..].trim_ascii().to_vec()));
        }
    }

    fn line(&mut self) -> io::Result<Vec<u8>> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line)?;
        line.strip_suffix(b"\r\n").map(<[u8]>::to_vec).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    /// Whether the peer has closed its side, and sent nothing before that.
    pub fn is_closed(&mut self) -> bool {
        matches!(self.stream.fill_buf(), Ok([]) | Err(_))
    }

    /// Goes away in the middle, whatever is under way.
    pub fn abort(self) {
        // A peer that went first is no failure.
        let _ = self.stream.get_ref().shutdown(Shutdown::Both);
    }
}

fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// The bytes of a request in HTTP/1.1, with further headers at its end.
pub fn bytes_of(request: &Request, further: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut line = |parts: &[&[u8]]| {
        bytes.extend(parts.concat());
        bytes.extend(b"\r\n");
    };
    line(&[request.method.as_bytes(), b" ", &request.path, b" HTTP/1.1"]);
    line(&[b"Host: ", request.host.as_bytes()]);
    for (name, value) in &request.headers {
        line(&[name.as_bytes(), b": ", value]);
    }
    for (name, value) in further {
        line(&[name.as_bytes(), b": ", value.as_bytes()]);
    }
    if let Some((name, value)) = request.framing_header() {
        line(&[name.as_bytes(), b": ", &value]);
    }
    line(&[]);
    match request.framing {
        Framing::Length => bytes.extend(&request.body),
        Framing::Chunked => {
            if !request.body.is_empty() {
                bytes.extend(format!("{:x}\r\n", request.body.len()).into_bytes());
                bytes.extend(&request.body);
                bytes.extend(b"\r\n");
            }
            bytes.extend(b"0\r\n\r\n");
        }
    }
    bytes
}

/// The bytes of a request up to the end of its headers.
pub fn head_of(request: &Request, further: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = bytes_of(request, further);
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").expect("an end of the headers");
    bytes.truncate(end + 4);
    bytes
}

/// A chunk of a chunked body; an empty one ends it, but for its trailers.
pub fn chunk(bytes: &[u8]) -> Vec<u8> {
    let size = format!("{:x}\r\n", bytes.len());
    let end: &[u8] = if bytes.is_empty() { b"" } else { b"\r\n" };
    [size.as_bytes(), bytes, end].concat()
}

/// Sends a request on a connection of its own and reads the answer.
///
/// # Errors
///
/// If nothing listens, or the peer closes the connection without an answer, or answers something that is not HTTP.
pub fn exchange(address: SocketAddr, request: &Request, further: &[(&str, &str)]) -> io::Result<Answered> {
    let mut connection = Connection::try_open(address)?;
    let mut all = vec![("Connection", "close")];
    all.extend(further);
    // A peer that refuses early closes while this is still writing; what it said is read below.
    let sent = connection.send(&bytes_of(request, &all));
    connection.answer(&request.method).map_err(|error| sent.err().unwrap_or(error))
}
