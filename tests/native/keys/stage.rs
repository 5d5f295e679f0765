//! A resolver, a clock that the test turns, and the answers that the test gives in place of the key service.

use std::time::Duration;

use mdrm_authz::clock::Now;
use mdrm_authz::config::Config;
use mdrm_authz::denial::{Denial, KeyRefusal};
use mdrm_authz::jose::jwk::{Key, Ring};
use mdrm_authz::jose::token::Kid;
use mdrm_authz::keys::answer::Answer;
use mdrm_authz::keys::{Consultation, FetchId, KeyRequest, Progress, Resolution, Resolver, SharedView, WaiterId, Wake};
use serde_json::{Value, json};

use crate::support::signer::Document;
use crate::support::table::keyring::keyring;

/// The moment at which every stage starts.
pub const START: i64 = 1_764_000_000;

/// The key service says that it has no such key.
pub const UNKNOWN: Seen = Seen::Refused(Denial::AccessKey(KeyRefusal::Unknown));
/// The document cannot be used.
pub const UNUSABLE: Seen = Seen::Refused(Denial::AccessKey(KeyRefusal::Unusable));
/// The key is disabled.
pub const DISABLED: Seen = Seen::Refused(Denial::AccessKey(KeyRefusal::Disabled));
/// The key is deleted.
pub const DELETED: Seen = Seen::Refused(Denial::AccessKey(KeyRefusal::Deleted));
/// The key's own `exp` has passed.
pub const EXPIRED: Seen = Seen::Refused(Denial::AccessKey(KeyRefusal::Expired));
/// As many requests wait as may.
pub const CROWDED: Seen = Seen::Refused(Denial::TooManyWaiting { retry_after: 1 });

/// No answer of the key service; the client is told to come back after so many seconds.
pub fn unavailable(retry_after: u32) -> Seen {
    Seen::Refused(Denial::KeyServiceUnavailable { retry_after })
}

/// The key whose document names this owner.
pub fn key_of(owner: &str) -> Seen {
    Seen::Key(owner.to_owned())
}

/// What a request learns about its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// A key; by its owner a test tells one version of a document from another.
    Key(String),
    /// None.
    Refused(Denial),
    /// Not yet.
    Wait,
}

/// A worker's keys.
pub struct Stage {
    pub resolver: Resolver,
    pub now: Now,
}

impl Stage {
    /// One key a request, with these members of `keys` besides.
    pub fn one_key(members: &Value) -> Stage {
        Stage::new(json!({"cluster": "keys"}), members)
    }

    /// A JWK Set, with these members of `keys` besides.
    pub fn set(members: &Value) -> Stage {
        Stage::new(json!({"cluster": "keys", "path": "/jwks.json"}), members)
    }

    /// `keys` with these members and these besides.
    pub fn new(keys: Value, members: &Value) -> Stage {
        let keys = members.as_object().unwrap().iter().fold(keys, |keys, (name, value)| keys.with(name, value.clone()));
        let config = Config::from_json(json!({"keys": keys}).to_string().as_bytes(), &|_| None).unwrap();
        let now = Now { unix: START, monotonic: Duration::from_secs(1000) };
        Stage { resolver: Resolver::new(Ring::Access, config.keys, None, None), now }
    }

    /// Lets so many seconds go by.
    pub fn pass(&mut self, seconds: u64) {
        self.pass_millis(seconds * 1000);
    }

    /// Lets so many milliseconds go by.
    pub fn pass_millis(&mut self, millis: u64) {
        self.now.monotonic += Duration::from_millis(millis);
        // Whole seconds since the start, so that many short steps add up.
        let seconds = self.now.monotonic.as_secs() - 1000;
        self.now.unix = START + i64::try_from(seconds).unwrap();
    }

    /// What `waiter` learns about the key of this name.
    pub fn ask(&mut self, kid: &str, waiter: u32) -> Seen {
        match self.resolver.resolve(&Kid::new(kid).unwrap(), WaiterId(waiter), self.now) {
            Resolution::Key(Key::Access(key)) => Seen::Key(key.owner.to_string()),
            Resolution::Key(other) => panic!("a key of another kind: {other:?}"),
            Resolution::Refused(denial) => Seen::Refused(denial),
            Resolution::Wait => Seen::Wait,
        }
    }

    /// The requests that are to be sent now.
    pub fn sent(&mut self) -> Vec<KeyRequest> {
        let sent: Vec<KeyRequest> = std::iter::from_fn(|| self.next_request()).collect();
        assert!(!self.resolver.has_requests(self.now));
        sent
    }

    /// The next request to send, of a worker that has nobody to share with.
    pub fn next_request(&mut self) -> Option<KeyRequest> {
        loop {
            let request = self.resolver.next_request(self.now)?;
            match self.resolver.consult(request.id, SharedView::default(), self.now) {
                Consultation::Ask { .. } => return Some(request),
                // Nobody else has an answer; but nobody may want one any more.
                Consultation::Later | Consultation::Answered => {}
            }
        }
    }

    /// The one request that is to be sent now.
    pub fn only_request(&mut self) -> FetchId {
        let sent = self.sent();
        assert_eq!(sent.len(), 1, "{sent:?}");
        sent[0].id
    }

    /// Answers a request, and if it is sent again because it ended early, the second one alike; returns who is named.
    pub fn answer(&mut self, id: FetchId, reply: &Reply) -> Vec<u32> {
        let mut woken = self.answer_once(id, reply);
        if reply.ends_early()
            && let Some(again) = self.next_request()
        {
            assert_eq!(again.id, id, "another request is sent");
            woken.extend(self.answer_once(id, reply));
        }
        woken
    }

    /// Answers a request; returns who is named.
    pub fn answer_once(&mut self, id: FetchId, reply: &Reply) -> Vec<u32> {
        let cache_control: Vec<&[u8]> = reply.cache_control.iter().map(String::as_bytes).collect();
        let answer = reply.status.map(|status| Answer {
            status,
            cache_control: &cache_control,
            age: reply.age.as_deref().map(str::as_bytes),
            etag: reply.etag.as_deref().map(str::as_bytes),
            body: reply.body.as_deref(),
        });
        self.resolver.on_answer(id, answer, SharedView::default(), self.now);
        self.woken()
    }

    /// Who looks up its key again by now. Nobody may be turned away.
    pub fn woken(&mut self) -> Vec<u32> {
        let (woken, turned_away) = self.poll();
        assert_eq!(turned_away, [0; 0]);
        woken
    }

    /// Who looks up its key again by now, and who is turned away.
    pub fn poll(&mut self) -> (Vec<u32>, Vec<u32>) {
        let (mut woken, mut turned_away) = (Vec::new(), Vec::new());
        while let Some(progress) = self.resolver.poll(self.now) {
            match progress {
                Progress::Woken(WaiterId(waiter), Wake::LookUp) => woken.push(waiter),
                Progress::Woken(WaiterId(waiter), Wake::TurnedAway) => turned_away.push(waiter),
                Progress::Expired => {}
            }
        }
        (woken, turned_away)
    }

    /// A whole round: a request must wait, the key service is asked once and says this, the request learns its fate.
    pub fn fetch(&mut self, kid: &str, reply: &Reply) -> Seen {
        const WAITER: u32 = 4_000_000;
        assert_eq!(self.ask(kid, WAITER), Seen::Wait, "{kid} is not asked for");
        let id = self.only_request();
        assert_eq!(self.answer(id, reply), [WAITER]);
        self.ask(kid, WAITER)
    }

    /// Whether the key service is asked when a request comes with this kid. The request goes away again.
    pub fn would_fetch(&mut self, kid: &str) -> bool {
        const PASSER_BY: u32 = 4_000_001;
        let seen = self.ask(kid, PASSER_BY);
        self.resolver.forget(WaiterId(PASSER_BY));
        // A key that is still fresh may be asked for ahead; then nobody waits.
        assert!(seen != Seen::Wait || self.resolver.needs_tick(), "{kid}: {seen:?}");
        seen == Seen::Wait
    }
}

/// What the key service says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    status: Option<u16>,
    cache_control: Vec<String>,
    age: Option<String>,
    etag: Option<String>,
    body: Option<Vec<u8>>,
}

impl Reply {
    /// Nothing: a time-out, a reset, no such cluster.
    pub fn silence() -> Reply {
        Reply { status: None, cache_control: Vec::new(), age: None, etag: None, body: None }
    }

    /// Whether this may be a kept connection that was closed.
    fn ends_early(&self) -> bool {
        self.status.is_none_or(|status| status == 503)
    }

    /// A status with an empty body.
    pub fn status(status: u16) -> Reply {
        Reply { status: Some(status), body: Some(Vec::new()), ..Reply::silence() }
    }

    /// 200 with this body.
    pub fn body(body: impl AsRef<[u8]>) -> Reply {
        Reply { body: Some(body.as_ref().to_vec()), ..Reply::status(200) }
    }

    /// 200 with this document.
    pub fn json(document: &Value) -> Reply {
        Reply::body(document.to_string())
    }

    /// 200 with a JWK Set of these documents.
    pub fn set(documents: &[Value]) -> Reply {
        Reply::json(&json!({"keys": documents}))
    }

    /// 200 with a body that is larger than allowed, so that the host does not hand it over.
    pub fn too_large() -> Reply {
        Reply { body: None, ..Reply::status(200) }
    }

    /// With another status.
    #[must_use]
    pub fn with_status(self, status: u16) -> Reply {
        Reply { status: Some(status), ..self }
    }

    /// With one more `cache-control`.
    #[must_use]
    pub fn cache(mut self, value: &str) -> Reply {
        self.cache_control.push(value.to_owned());
        self
    }

    /// With this entity tag.
    #[must_use]
    pub fn etag(self, value: &str) -> Reply {
        Reply { etag: Some(value.to_owned()), ..self }
    }

    /// With this `age`.
    #[must_use]
    pub fn age(self, value: &str) -> Reply {
        Reply { age: Some(value.to_owned()), ..self }
    }
}

/// The right document of a key with this name and this owner.
pub fn document(kid: &str, owner: &str) -> Value {
    keyring().main().under_kid(kid).jwk().with("iss", json!(owner))
}

/// 200 with the right document of a key with this name and this owner.
pub fn key(kid: &str, owner: &str) -> Reply {
    Reply::json(&document(kid, owner))
}
