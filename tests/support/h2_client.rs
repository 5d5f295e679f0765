//! An HTTP/2 client. It trims no white space and sends trailers; what it cannot express at all, it says.

use std::net::SocketAddr;

use http_body_util::BodyExt;
use hyper::client::conn::http2::{self, SendRequest};
use hyper::header::{HeaderName, HeaderValue};
use hyper::{HeaderMap, Uri};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::exchange::{Answered, Headers, Scripted, Step, list};
use super::server::runtime;
use super::table::{Framing, Request};
use super::wait::DEADLINE;

/// One connection. Requests may share it, from several threads too.
#[derive(Clone)]
pub struct Connection {
    sender: SendRequest<Scripted>,
}

/// A request under way. Its stream is reset when this is dropped.
pub struct Pending(JoinHandle<bool>);

impl Pending {
    /// Whether the head of the answer has come, or none will.
    pub fn is_answered(&self) -> bool {
        self.0.is_finished()
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub enum NoAnswer {
    /// This client cannot write such a request.
    Inexpressible,
    /// The peer reset the stream or the connection.
    Reset(String),
}

impl Connection {
    /// Connects.
    pub fn open(address: SocketAddr) -> Connection {
        runtime().block_on(async {
            let stream = TcpStream::connect(address).await.expect("something listens");
            stream.set_nodelay(true).unwrap();
            let mut builder = http2::Builder::new(TokioExecutor::new());
            builder.max_header_list_size(1 << 20);
            let (sender, connection) = builder.handshake(TokioIo::new(stream)).await.unwrap();
            runtime().spawn(connection);
            Connection { sender }
        })
    }

    /// Sends a request and does not wait for its answer.
    ///
    /// # Panics
    ///
    /// If this client cannot write the request.
    pub fn start(&self, request: &Request) -> Pending {
        let sent = written(request, &[], Scripted::whole(&request.body)).expect("an expressible request");
        let mut sender = self.sender.clone();
        Pending(runtime().spawn(async move { sender.send_request(sent).await.is_ok() }))
    }

    /// Sends a request, with further headers, and reads the answer.
    ///
    /// # Errors
    ///
    /// See [`NoAnswer`].
    pub fn exchange(&self, request: &Request, further: &[(&str, &str)]) -> Result<Answered, NoAnswer> {
        self.exchange_with_trailers(request, further, None).map(|(answered, _)| answered)
    }

    /// The same with trailers behind the body, and the trailers of the answer.
    ///
    /// # Errors
    ///
    /// See [`NoAnswer`].
    pub fn exchange_with_trailers(
        &self,
        request: &Request,
        further: &[(&str, &str)],
        trailers: Option<HeaderMap>,
    ) -> Result<(Answered, Headers), NoAnswer> {
        let body = match (trailers, request.framing) {
            (None, Framing::Length) => Scripted::whole(&request.body),
            (None, Framing::Chunked) => Scripted::new([Step::Data(request.body.clone())]),
            (Some(trailers), _) => Scripted::new([Step::Data(request.body.clone()), Step::Trailers(trailers)]),
        };
        self.exchange_with_body(request, further, body)
    }

    /// The same with another body than the request's.
    ///
    /// # Errors
    ///
    /// See [`NoAnswer`].
    pub fn exchange_with_body(
        &self,
        request: &Request,
        further: &[(&str, &str)],
        body: Scripted,
    ) -> Result<(Answered, Headers), NoAnswer> {
        let sent = written(request, further, body).ok_or(NoAnswer::Inexpressible)?;
        let mut sender = self.sender.clone();
        let exchange = async move {
            sender.ready().await?;
            let (head, mut body) = sender.send_request(sent).await?.into_parts();
            let mut answered =
                Answered { status: head.status.as_u16(), headers: list(&head.headers), body: Vec::new() };
            let mut trailers = Vec::new();
            while let Some(frame) = body.frame().await {
                match frame?.into_data() {
                    Ok(data) => answered.body.extend_from_slice(&data),
                    Err(frame) => trailers.extend(frame.trailers_ref().map(list).unwrap_or_default()),
                }
            }
            Ok((answered, trailers))
        };
        let answer = runtime().block_on(async { tokio::time::timeout(DEADLINE, exchange).await });
        answer.expect("an answer in time").map_err(|error: hyper::Error| NoAnswer::Reset(format!("{error:?}")))
    }
}

/// The request as hyper writes it, if every byte of it survives.
fn written(request: &Request, further: &[(&str, &str)], body: Scripted) -> Option<hyper::Request<Scripted>> {
    let path = std::str::from_utf8(&request.path).ok()?;
    let uri: Uri = format!("http://{}{path}", request.host).parse().ok()?;
    if uri.path_and_query()?.as_str() != path {
        return None;
    }
    let mut builder = hyper::Request::builder().method(request.method.as_str()).uri(uri);
    let headers = builder.headers_mut()?;
    for (name, value) in &request.headers {
        headers.append(HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::from_bytes(value).ok()?);
    }
    for (name, value) in further {
        headers.append(HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::from_str(value).ok()?);
    }
    builder.body(body).ok()
}
