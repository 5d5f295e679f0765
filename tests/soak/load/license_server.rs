//! The license server of a soak: judges what arrives, and remembers counts alone.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use hyper::body::Incoming;
use hyper::{Request, Response};

use crate::support::exchange::{Received, Scripted};
use crate::support::server::Server;
use crate::support::session;
use crate::support::signer::{SigningKey, from_base64url};
use crate::support::table::keyring;
use crate::support::tunnel::LICENSE_REQUEST;

/// The header in which a request says what it is.
pub const MARK: &str = "x-soak";

/// What the license server may expect of a request; the value of [`MARK`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// It must not arrive.
    Never,
    /// It may arrive, without its token.
    Authorised,
    /// The same with a session token.
    Session,
    /// The same, out of a Trust Tunnel.
    Tunnel,
    /// It may arrive as it is.
    Open,
}

impl Mark {
    const ALL: [(Mark, &str); 5] = [
        (Mark::Never, "never"),
        (Mark::Authorised, "authorised"),
        (Mark::Session, "session"),
        (Mark::Tunnel, "tunnel"),
        (Mark::Open, "open"),
    ];

    /// As it stands in the header.
    pub fn text(self) -> &'static str {
        Mark::ALL.iter().find(|(mark, _)| *mark == self).unwrap().1
    }
}

/// A server that is ended when this is dropped.
pub struct LicenseServer {
    server: Server,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    arrived: AtomicU64,
    wrong: AtomicU64,
    stories: Mutex<Vec<String>>,
}

impl LicenseServer {
    /// Starts on a free port.
    pub fn start() -> LicenseServer {
        let state = Arc::new(State::default());
        let shared = state.clone();
        let server = Server::start(move |request| answer(request, shared.clone()));
        LicenseServer { server, state }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address
    }

    /// How many requests arrived so far.
    pub fn arrived(&self) -> u64 {
        self.state.arrived.load(Ordering::SeqCst)
    }

    /// How many of them must not have arrived, or not like this, and the first of them.
    pub fn wrong(&self) -> (u64, Vec<String>) {
        (self.state.wrong.load(Ordering::SeqCst), self.state.stories.lock().unwrap().clone())
    }
}

async fn answer(request: Request<Incoming>, state: Arc<State>) -> Response<Scripted> {
    let received = Received::read(request).await;
    let number = state.arrived.fetch_add(1, Ordering::SeqCst);
    // A signature in 16 is enough: to verify all would take more of this machine than Envoy does.
    if let Err(problem) = judge(&received, number.is_multiple_of(16)) {
        state.wrong.fetch_add(1, Ordering::SeqCst);
        let mut stories = state.stories.lock().unwrap();
        if stories.len() < 20 {
            stories.push(format!("{problem}: {received:?}"));
        }
    }
    Response::builder().header("x-mdrm-license", "yes").body(Scripted::whole(b"license")).unwrap()
}

fn judge(received: &Received, verify: bool) -> Result<(), String> {
    let text = received.header(MARK).unwrap_or_default();
    let mark = Mark::ALL.iter().find(|(_, name)| *name == text).map_or(Mark::Never, |(mark, _)| *mark);
    if mark == Mark::Never {
        return Err("it must not arrive".into());
    }
    if mark == Mark::Open {
        return Ok(());
    }
    if received.header("authorization").is_some() || received.path.contains("Authorization") {
        return Err("its token arrived".into());
    }
    if mark == Mark::Tunnel && received.body != LICENSE_REQUEST {
        return Err("the body is not the one in the tunnel".into());
    }
    match (received.header("x-mdrm-session"), mark) {
        (None, Mark::Authorised) => Ok(()),
        (Some(token), Mark::Session | Mark::Tunnel)
            if !verify || is_session(&token, keyring::session_key(SESSION_KID)) =>
        {
            Ok(())
        }
        (session, _) => Err(format!("the session token is {session:?}")),
    }
}

/// The session key of the configuration.
pub const SESSION_KID: &str = "s-eddsa";

fn is_session(token: &str, key: &SigningKey) -> bool {
    let Some((message, signature)) = token.rsplit_once('.') else { return false };
    let payload = message.split('.').nth(1).map(from_base64url).unwrap_or_default();
    let claims: serde_json::Value = serde_json::from_slice(&payload).unwrap_or_default();
    claims["aud"] == session::AUDIENCE && key.verifies(message.as_bytes(), &from_base64url(signature))
}
