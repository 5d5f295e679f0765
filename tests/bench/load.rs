//! Closed-loop load over a few connections that stay open.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::case::{Expected, Request};
use crate::support::wait::DEADLINE;

/// Connections to one listener. Each has at most one request under way.
pub struct Clients {
    connections: Vec<Connection>,
}

impl Clients {
    /// Connects so many times.
    pub fn connect(address: SocketAddr, count: usize) -> io::Result<Clients> {
        let connections = (0..count).map(|_| Connection::open(address)).collect::<Result<_, _>>()?;
        Ok(Clients { connections })
    }

    /// Sends all requests, each on the next connection that is free, and gives the time that each took.
    ///
    /// # Errors
    ///
    /// If one is not answered as expected.
    pub fn send(&mut self, requests: &[Request], expected: Expected) -> Result<Vec<Duration>, String> {
        let next = AtomicUsize::new(0);
        let next = &next;
        thread::scope(|scope| {
            let client = |connection| scope.spawn(move || client(connection, requests, next, expected));
            let clients: Vec<_> = self.connections.iter_mut().map(client).collect();
            let mut latencies = Vec::with_capacity(requests.len());
            for client in clients {
                latencies.extend(client.join().expect("clients do not panic")?);
            }
            Ok(latencies)
        })
    }
}

fn client(
    connection: &mut Connection,
    requests: &[Request],
    next: &AtomicUsize,
    expected: Expected,
) -> Result<Vec<Duration>, String> {
    let mut latencies = Vec::with_capacity(requests.len());
    while let Some(request) = requests.get(next.fetch_add(1, Ordering::Relaxed)) {
        let start = Instant::now();
        let head = connection.exchange(request).map_err(|error| format!("no answer: {error}"))?;
        latencies.push(start.elapsed());
        let status = head.get("HTTP/1.1 ".len()..).unwrap_or_default();
        if !status.starts_with(expected.status) || !head.contains(expected.text) {
            return Err(format!("expected {} {}, got\n{head}", expected.status, expected.text));
        }
    }
    Ok(latencies)
}

struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    fn open(address: SocketAddr) -> io::Result<Connection> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(DEADLINE))?;
        Ok(Connection { stream, buffer: vec![0; 16 << 10] })
    }

    /// Sends a request, reads the whole answer and gives its head.
    fn exchange(&mut self, request: &[u8]) -> io::Result<&str> {
        self.stream.write_all(request)?;
        let mut filled = 0;
        loop {
            let count = self.stream.read(&mut self.buffer[filled..])?;
            filled += count;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let Some(head) = head_size(&self.buffer[..filled]) else { continue };
            if filled >= head + body_size(&self.buffer[..head])? {
                let head = &self.buffer[..head];
                return str::from_utf8(head).map_err(|_| broken("the head is not text"));
            }
        }
    }
}

fn head_size(answer: &[u8]) -> Option<usize> {
    answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").map(|at| at + 4)
}

/// Envoy writes `content-length` to whatever it answers by itself.
fn body_size(head: &[u8]) -> io::Result<usize> {
    const NAME: &[u8] = b"\r\ncontent-length: ";
    let at = head.windows(NAME.len()).position(|bytes| bytes == NAME);
    let digits = at.map(|at| head[at + NAME.len()..].iter().take_while(|byte| byte.is_ascii_digit()));
    let size = digits.map(|digits| digits.fold(0, |size, digit| size * 10 + usize::from(digit - b'0')));
    size.ok_or_else(|| broken("no content-length"))
}

fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
