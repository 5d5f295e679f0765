//! Requests of one worker that all wait for keys, and single events among them: what one event costs must not depend on how
//! many others wait.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mdrm_authz::authorizer::{Authorizer, Platform};
use mdrm_authz::clock::Now;
use mdrm_authz::config::Config;
use mdrm_authz::keys::answer::Answer;
use mdrm_authz::keys::{Consultation, KeyRequest, SharedView, WaiterId};
use mdrm_authz::request::RequestHead;
use mdrm_authz::requests::Requests;

/// The requests, each with an unsigned token of a kid of its own, and the callouts that were sent for them.
pub struct Crowd {
    requests: Requests,
    now: Now,
    callouts: Vec<KeyRequest>,
    next: u32,
}

impl Crowd {
    /// So many requests wait, each for another key.
    ///
    /// # Panics
    ///
    /// If the configuration is refused.
    pub fn of(waiting: u32) -> Crowd {
        let config = br#"{"keys": {"cluster": "keys", "max_waiting": 100000, "timeout": "60s"}}"#;
        let config = Config::from_json(config, &|_| None).expect("a configuration");
        let now = Now { unix: 1_764_000_000, monotonic: Duration::from_secs(1000) };
        let requests =
            Requests::new(Authorizer::new(config, Platform { remember_tokens: true, ..Platform::default() }));
        let mut crowd = Crowd { requests, now, callouts: Vec::new(), next: 0 };
        for _ in 0..waiting {
            crowd.arrives();
        }
        assert_eq!(crowd.waiting(), waiting as usize);
        crowd
    }

    /// How many requests are held.
    pub fn waiting(&self) -> usize {
        self.requests.held()
    }

    /// One more request arrives and waits. Gives its number.
    pub fn arrives(&mut self) -> WaiterId {
        let id = WaiterId(self.next);
        let token = token(self.next);
        self.next += 1;
        let pairs: [(&[u8], &[u8]); 4] = [
            (b":method", b"POST"),
            (b":path", b"/"),
            (b":authority", b"license"),
            (b"authorization", token.as_bytes()),
        ];
        let (_, outcome) = self.requests.on_head(RequestHead::new(&pairs, false), id, self.now);
        assert!(outcome.is_none(), "{outcome:?}");
        self.send();
        assert_eq!(self.requests.poll_one(id, self.now), None);
        id
    }

    /// The request that arrived last.
    pub fn last(&self) -> WaiterId {
        WaiterId(self.next - 1)
    }

    /// A client goes away.
    pub fn leaves(&mut self, id: WaiterId) {
        self.requests.forget(id);
        // If its key was asked for, nobody waits for the answer any more.
        self.callouts.pop_if(|request| request.path.ends_with(&kid(id.0)));
    }

    /// A piece of a body arrives.
    pub fn piece(&mut self, id: WaiterId) {
        assert_eq!(self.requests.on_body(id, 1000, false), None);
    }

    /// The key service does not know the key that was asked for last, and the request that waited for it is denied.
    pub fn answered(&mut self) {
        let request = self.callouts.pop().expect("a callout is under way");
        let answer = Answer { status: 404, cache_control: &[], age: None, etag: None, body: Some(b"") };
        let store = self.requests.authorizer().keys().of(request.id).expect("its store");
        store.on_answer(request.id, Some(answer), SharedView::default(), self.now);
        let polled = self.requests.poll(self.now);
        assert!(matches!(polled, Some(Some(_))), "{polled:?}");
        assert_eq!(self.requests.poll(self.now), None);
        self.send();
    }

    /// The timer rings, and nothing is due.
    pub fn ticks(&mut self) {
        self.requests.on_tick();
        self.send();
        assert_eq!(self.requests.poll(self.now), None);
    }

    /// So much time passes, after which all keys that were not asked for are given up.
    pub fn pass(&mut self, time: Duration) {
        self.now.monotonic += time;
    }

    /// One piece of work that the time has made due; false if there is none.
    pub fn polled(&mut self) -> bool {
        self.requests.poll(self.now).is_some()
    }

    fn send(&mut self) {
        while let Some(request) = self.requests.authorizer().keys().next_request(self.now) {
            let store = self.requests.authorizer().keys().of(request.id).expect("its store");
            if let Consultation::Ask { .. } = store.consult(request.id, SharedView::default(), self.now) {
                self.callouts.push(request);
            }
        }
    }
}

fn kid(number: u32) -> String {
    format!("5f0c6a1e-7d1b-4c58-9a53-{number:012}")
}

fn token(number: u32) -> String {
    let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let header = format!(r#"{{"alg":"ES256","kid":"{}"}}"#, kid(number));
    format!("{}.{}.{}", encode(&header), encode(r#"{"iss":"company1","sub":"content-1"}"#), encode("no signature"))
}
