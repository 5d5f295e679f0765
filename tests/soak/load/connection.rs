//! A connection of the load: sends bytes that were made before, and looks at no more of an answer than the judge needs.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::support::wait::DEADLINE;

/// An answer, as far as it is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The code in the header, without `MDRM-`.
    pub code: Option<u16>,
    /// `retry-after`.
    pub retry_after: Option<u16>,
    /// Whether the license server answered.
    pub licensed: bool,
}

/// A connection that stays open as long as Envoy lets it.
pub struct Connection {
    address: SocketAddr,
    stream: Option<TcpStream>,
    buffer: Vec<u8>,
}

impl Connection {
    /// Connects when there is something to send.
    pub fn to(address: SocketAddr) -> Connection {
        Connection { address, stream: None, buffer: vec![0; 8 << 10] }
    }

    /// Whether the next request goes out on a connection that served others before.
    pub fn is_used(&self) -> bool {
        self.stream.is_some()
    }

    /// Sends a request and reads its answer. A connection that failed is not used again.
    ///
    /// # Errors
    ///
    /// If there is no answer.
    pub fn exchange(&mut self, request: &[u8]) -> io::Result<Answer> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => open(self.address)?,
        };
        stream.write_all(request)?;
        let mut filled = 0;
        loop {
            let Some(room) = self.buffer.get_mut(filled..).filter(|room| !room.is_empty()) else {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "an answer of more than 8 KiB"));
            };
            let count = stream.read(room)?;
            filled += count;
            if count == 0 {
                let text = self.buffer[..filled].escape_ascii().to_string();
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("the answer ends after {text:?}")));
            }
            let Some(head) = head_of(&self.buffer[..filled]) else { continue };
            let lines = Lines(head);
            if filled >= head.len() + usize::from(lines.number("content-length: ").unwrap_or(0)) {
                if !lines.has("connection: close") {
                    self.stream = Some(stream);
                }
                return Ok(lines.answer());
            }
        }
    }
}

/// Connects.
///
/// # Errors
///
/// If nothing listens.
pub fn open(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    stream.set_write_timeout(Some(DEADLINE))?;
    Ok(stream)
}

fn head_of(bytes: &[u8]) -> Option<&[u8]> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    bytes.get(..end + 4)
}

/// The lines of a head. Envoy writes names in lower case and a blank after the colon.
struct Lines<'a>(&'a [u8]);

impl Lines<'_> {
    fn answer(&self) -> Answer {
        let status = self.0.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
        Answer {
            status: status.unwrap_or(0),
            code: self.number("x-mdrm-error-code: MDRM-"),
            retry_after: self.number("retry-after: "),
            licensed: self.has("x-mdrm-license: "),
        }
    }

    fn value(&self, start: &str) -> Option<&str> {
        let value = self.0.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(start.as_bytes()))?;
        std::str::from_utf8(value).ok().map(str::trim_end)
    }

    fn has(&self, start: &str) -> bool {
        self.value(start).is_some()
    }

    fn number(&self, start: &str) -> Option<u16> {
        self.value(start)?.parse().ok()
    }
}
