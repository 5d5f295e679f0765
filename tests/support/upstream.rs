//! The license server behind the proxy: answers every request alike and remembers what arrived.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use hyper::body::Incoming;
use hyper::{Request, Response, StatusCode};

use super::exchange::{Received, Scripted};
use super::server::Server;

/// The body of every answer.
pub const LICENSE_BODY: &[u8] = b"the license";

/// An upstream that is ended when this is dropped.
pub struct Upstream {
    server: Server,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Upstream {
    /// Starts an upstream on a free port. Requests for an upgrade get a 101.
    pub fn start() -> Upstream {
        Upstream::start_at((Ipv4Addr::LOCALHOST, 0).into())
    }

    /// The same at this address; port 0 is a free one.
    pub fn start_at(address: SocketAddr) -> Upstream {
        let received = Arc::new(Mutex::new(Vec::new()));
        let record = received.clone();
        let server = Server::start_at(address, move |request| answer(request, record.clone()));
        Upstream { server, received }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address
    }

    /// Everything that arrived so far.
    pub fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// How many requests arrived so far.
    pub fn count(&self) -> usize {
        self.received.lock().unwrap().len()
    }

    /// Takes out what arrived with this value in the header `x-case`.
    pub fn take(&self, case: &str) -> Vec<Received> {
        let of_case = |request: &mut Received| request.header("x-case").as_deref() == Some(case);
        self.received.lock().unwrap().extract_if(.., of_case).collect()
    }
}

async fn answer(request: Request<Incoming>, record: Arc<Mutex<Vec<Received>>>) -> Response<Scripted> {
    let response = Response::builder()
        .header("x-mdrm-license", "of the upstream")
        .header("content-type", "application/octet-stream");
    if let Some(protocol) = request.headers().get("upgrade").cloned() {
        let (head, _) = request.into_parts();
        record.lock().unwrap().push(Received::of_head(&head));
        let response = response.status(StatusCode::SWITCHING_PROTOCOLS).header("connection", "upgrade");
        return response.header("upgrade", protocol).body(Scripted::default()).unwrap();
    }
    let received = Received::read(request).await;
    record.lock().unwrap().push(received);
    response.status(StatusCode::OK).body(Scripted::whole(LICENSE_BODY)).unwrap()
}
