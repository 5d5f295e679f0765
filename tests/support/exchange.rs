//! Requests and answers as they arrived, and bodies that arrive as a script says.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Request};
use tokio::sync::watch;

/// Headers or trailers in their order, names in lower case.
pub type Headers = Vec<(String, Vec<u8>)>;

/// An answer as a client got it.
#[derive(Clone, Debug, Default)]
pub struct Answered {
    /// HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: Headers,
    /// The body.
    pub body: Vec<u8>,
}

impl Answered {
    /// The one header with this name, as text.
    ///
    /// # Panics
    ///
    /// If there are two.
    pub fn header(&self, name: &str) -> Option<String> {
        let values = values(&self.headers, name);
        assert!(values.len() < 2, "{name} twice in {:?}", self.headers);
        values.first().map(|value| String::from_utf8_lossy(value).into_owned())
    }

    /// The code in the header, without `MDRM-`: what a client learns about a denial.
    pub fn code(&self) -> Option<u16> {
        self.header("x-mdrm-error-code")?.strip_prefix("MDRM-")?.parse().ok()
    }
}

/// A request as a server got it.
#[derive(Clone, Debug)]
pub struct Received {
    /// The method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// The host.
    pub authority: String,
    /// Headers.
    pub headers: Headers,
    /// The body.
    pub body: Vec<u8>,
    /// Trailers.
    pub trailers: Headers,
}

impl Received {
    /// The values of a header.
    pub fn values(&self, name: &str) -> Vec<&[u8]> {
        values(&self.headers, name)
    }

    /// The first value of a header as text.
    pub fn header(&self, name: &str) -> Option<String> {
        self.values(name).first().map(|value| String::from_utf8_lossy(value).into_owned())
    }

    /// The head of a request alone.
    pub fn of_head(head: &Parts) -> Received {
        let authority = head.uri.authority().map(|authority| authority.to_string());
        let host = head.headers.get("host").map(|host| String::from_utf8_lossy(host.as_bytes()).into_owned());
        Received {
            method: head.method.to_string(),
            path: head.uri.path_and_query().map_or_else(String::new, ToString::to_string),
            authority: authority.or(host).unwrap_or_default(),
            headers: list(&head.headers),
            body: Vec::new(),
            trailers: Vec::new(),
        }
    }

    /// Reads a request to its end. A body that breaks off counts as far as it came.
    pub async fn read(request: Request<Incoming>) -> Received {
        let (head, mut body) = request.into_parts();
        let mut received = Received::of_head(&head);
        while let Some(Ok(frame)) = body.frame().await {
            match frame.into_data() {
                Ok(data) => received.body.extend_from_slice(&data),
                Err(frame) => received.trailers.extend(frame.trailers_ref().map(list).unwrap_or_default()),
            }
        }
        received
    }
}

fn values<'h>(headers: &'h Headers, name: &str) -> Vec<&'h [u8]> {
    headers.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_slice()).collect()
}

/// A header map as a list.
pub fn list(map: &HeaderMap) -> Headers {
    map.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect()
}

/// Something that waits until a test says so.
#[derive(Clone)]
pub struct Gate(watch::Sender<bool>);

impl Gate {
    /// A closed gate.
    pub fn closed() -> Gate {
        Gate(watch::Sender::new(false))
    }

    /// Lets everything through, from now on.
    pub fn open(&self) {
        self.0.send_replace(true);
    }

    /// Waits until the gate is open.
    pub async fn passed(&self) {
        let mut state = self.0.subscribe();
        state.wait_for(|open| *open).await.expect("the gate is held by whoever waits");
    }
}

/// A body that follows a script.
#[derive(Default)]
pub struct Scripted {
    steps: VecDeque<Step>,
    waiting: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    size: SizeHint,
}

/// One step of a body.
pub enum Step {
    /// Some bytes.
    Data(Vec<u8>),
    /// Trailers; the last step.
    Trailers(HeaderMap),
    /// Nothing for a while.
    Pause(Duration),
    /// Nothing until the gate opens.
    Wait(Gate),
    /// The connection breaks.
    Break,
}

impl Scripted {
    /// These steps, without a length told in advance.
    pub fn new(steps: impl IntoIterator<Item = Step>) -> Scripted {
        Scripted { steps: steps.into_iter().collect(), ..Scripted::default() }
    }

    /// These bytes, with their length told in advance.
    pub fn whole(bytes: &[u8]) -> Scripted {
        let steps = if bytes.is_empty() { VecDeque::new() } else { VecDeque::from([Step::Data(bytes.to_vec())]) };
        Scripted { steps, waiting: None, size: SizeHint::with_exact(bytes.len() as u64) }
    }
}

impl Body for Scripted {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        loop {
            if let Some(waiting) = &mut self.waiting {
                if waiting.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
                self.waiting = None;
            }
            match self.steps.pop_front() {
                None => return Poll::Ready(None),
                Some(Step::Data(data)) => {
                    let sent = data.len() as u64;
                    if let Some(left) = self.size.exact() {
                        self.size = SizeHint::with_exact(left.saturating_sub(sent));
                    }
                    return Poll::Ready(Some(Ok(Frame::data(data.into()))));
                }
                Some(Step::Trailers(trailers)) => return Poll::Ready(Some(Ok(Frame::trailers(trailers)))),
                Some(Step::Break) => return Poll::Ready(Some(Err(std::io::ErrorKind::ConnectionReset.into()))),
                Some(Step::Pause(time)) => self.waiting = Some(Box::pin(tokio::time::sleep(time))),
                Some(Step::Wait(gate)) => self.waiting = Some(Box::pin(async move { gate.passed().await })),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.steps.is_empty() && self.waiting.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.size
    }
}
