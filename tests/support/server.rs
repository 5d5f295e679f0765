//! An HTTP server on a free port, of 127.0.0.1 unless told otherwise, for HTTP/1.1 and for HTTP/2 without TLS.

use std::convert::Infallible;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::OnceLock;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::task::{JoinHandle, JoinSet};

use super::exchange::Scripted;

/// The runtime of all servers and HTTP/2 clients of a test process.
pub fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap())
}

/// A running server; it ends, with all its connections, when this is dropped.
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Server {
    /// Starts to serve on a free port.
    pub fn start<H, F>(handler: H) -> Server
    where
        H: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<Scripted>> + Send + 'static,
    {
        Server::start_at((Ipv4Addr::LOCALHOST, 0).into(), handler)
    }

    /// Starts to serve at this address; port 0 is a free one.
    pub fn start_at<H, F>(address: SocketAddr, handler: H) -> Server
    where
        H: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<Scripted>> + Send + 'static,
    {
        let listener = runtime().block_on(TcpListener::bind(address)).unwrap();
        Server { address: listener.local_addr().unwrap(), accepting: runtime().spawn(accept(listener, handler)) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept<H, F>(listener: TcpListener, handler: H)
where
    H: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Scripted>> + Send + 'static,
{
    // Dropped when the task is aborted, and every connection with it.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        stream.set_nodelay(true).unwrap();
        let handler = handler.clone();
        connections.spawn(async move {
            let service = service_fn(|request| {
                let answer = handler(request);
                async move { Ok::<_, Infallible>(answer.await) }
            });
            let mut server = auto::Builder::new(TokioExecutor::new());
            server.http1().max_buf_size(4 << 20).max_headers(1000);
            server.http2().max_header_list_size(4 << 20);
            // An error is a client that went away.
            let _ = server.serve_connection_with_upgrades(TokioIo::new(stream), service).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

/// An address at which nothing listens.
pub fn nobody() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}
