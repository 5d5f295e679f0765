//! Trust Tunnel requests: the body is decrypted, and what was inside is decided like any license request.

use super::{Authorizer, Edits, Next, Request, Stage, deny};
use crate::carriage::HEADER;
use crate::clock::Now;
use crate::config::TunnelMode;
use crate::denial::Denial;
use crate::jose::jwe::UntrustedJwe;
use crate::keys::Resolution;
use crate::request::{RequestHead, trim};
use crate::tunnel::TunnelRequest;

/// The plain license request that was inside.
#[derive(Debug)]
pub(super) struct Opened {
    body: Vec<u8>,
    content_type: &'static str,
}

/// Whether the media type of a request is a Trust Tunnel's: `application/jose`, any case, parameters ignored.
pub fn is_tunnel(request: RequestHead<'_>) -> bool {
    request.values("content-type").any(|value| {
        let essence = value.split(|b| matches!(b, b';' | b',')).next().unwrap_or_default();
        trim(essence).eq_ignore_ascii_case(b"application/jose")
    })
}

impl Authorizer {
    /// Rows 1 and 3 of the table of decisions, as far as the head tells.
    pub(super) fn on_tunnel(&self, request: Request) -> Next {
        if self.config.tunnel.mode == TunnelMode::Off {
            return deny(Denial::TunnelMode { tunnel: true });
        }
        if self.config.tunnel.keys.is_none() {
            return deny(Denial::TunnelNotConfigured);
        }
        match request.body.check(request.protects) {
            Err(denial) => deny(denial),
            Ok(()) => request.wait(Stage::TunnelBody),
        }
    }

    pub(super) fn on_tunnel_body(&mut self, request: Request, body: &[u8], now: Now) -> Next {
        match UntrustedJwe::parse(body) {
            Err(denial) => deny(denial),
            Ok(jwe) => self.on_master_key(request, Box::new(jwe), now),
        }
    }

    pub(super) fn on_master_key(&mut self, mut request: Request, jwe: Box<UntrustedJwe>, now: Now) -> Next {
        let key = match self.keys.master(jwe.kid(), request.waiter, now) {
            None => return deny(Denial::TunnelNotConfigured),
            Some(Resolution::Wait) => return request.wait(Stage::MasterKey(jwe)),
            Some(Resolution::Refused(denial)) => return deny(denial),
            Some(Resolution::Key(key)) => key,
        };
        let opened = jwe.decrypt(&key).and_then(|plaintext| TunnelRequest::parse(&plaintext));
        match opened {
            Err(denial) => deny(denial),
            Ok(TunnelRequest { license_request, jwt, content_type }) => {
                request.opened = Some(Opened { body: license_request, content_type });
                self.on_token(&jwt, request, now)
            }
        }
    }
}

impl Opened {
    /// Of the license request, in bytes.
    pub(super) fn len(&self) -> usize {
        self.body.len()
    }

    /// Makes the request an ordinary license request. `token`: the one that was inside, if it is to go on.
    pub(super) fn apply(self, token: Option<&str>, edits: &mut Edits) {
        edits.remove.extend(["content-encoding", "content-md5", "digest", "content-digest", "repr-digest"]);
        edits.set("content-type", self.content_type);
        edits.set("content-length", self.body.len().to_string());
        if let Some(token) = token {
            edits.set(HEADER, token);
        }
        edits.body = Some(self.body);
    }
}
