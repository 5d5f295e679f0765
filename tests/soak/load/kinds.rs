//! The traffic: kinds of requests, how often each comes, and what must become of it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use super::clock::Clock;
use super::expect::{Expect, Times};
use super::license_server::{Mark, SESSION_KID};
use super::rotation::Rotation;
use crate::support::key_service::{Answer, KeyService};
use crate::support::session;
use crate::support::signer::{Alg, CPIX, Document, SigningKey};
use crate::support::table::keyring::{keyring, master_key};
use crate::support::table::{Case, Outcome, Plugin, Request, table};
use crate::support::token::Token;
use crate::support::tunnel::{KeyManagement, MEDIA_TYPE, Part, Tunnel};

/// A listener, each with a configuration of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Tokens alone; its configuration never changes.
    Steady,
    /// All parts in use; its configuration is replaced while requests come.
    Pushed,
    /// Trust Tunnel requests alone.
    Enforcing,
}

impl Lane {
    /// All of them, in the order of their numbers.
    pub const ALL: [Lane; 3] = [Lane::Steady, Lane::Pushed, Lane::Enforcing];

    /// The listener's name.
    pub fn name(self) -> String {
        format!("{self:?}")
    }

    /// Its plugin configuration, the `version`th.
    pub fn plugin(self, version: usize) -> Value {
        let mut plugin = Plugin::Reference.configuration();
        // Fresh for so short a time that every key has to be served stale in an outage.
        plugin["keys"] = json!({"cluster": "keys", "timeout": "1s", "max_age": "5s", "negative_max_age": "1s"});
        // For a run on a host that verifies nothing.
        plugin["allow_slow_algorithms"] = json!(true);
        if self == Lane::Steady {
            return plugin;
        }
        let keys = json!({"cluster": "keys"});
        let mode = if self == Lane::Enforcing { "enforcing" } else { "permissive" };
        // A member that changes no decision: no answer is fresh for so long.
        plugin["keys"]["max_age_limit"] = json!(format!("{}s", 3600 + version));
        let session =
            json!({"keys": keys, "issuer": session::ISSUER, "audience": session::AUDIENCE, "kid": SESSION_KID});
        plugin
            .with("session", session)
            .with("trust_tunnel", json!({"mode": mode, "keys": keys}))
            .with("services", json!({"cpix": {"bind_content": true}}))
    }
}

/// What requests are made from.
pub struct World {
    /// Envoy's clock.
    pub clock: Clock,
    /// Keys that change.
    pub rotation: Rotation,
    /// Many keys, a few of which are the same under other names.
    wide: Vec<SigningKey>,
    /// Signed documents need no token.
    documents: Vec<Case>,
    /// How many tokens were made.
    serial: AtomicUsize,
    /// Whose turn it is among the many keys, those that change, and the documents.
    turns: [AtomicUsize; 3],
}

impl World {
    /// So many keys besides those of the table. All are registered with the service.
    pub fn new(clock: Clock, service: &KeyService, keys: usize) -> World {
        let of = |alg| SigningKey::generate("wide", alg);
        let materials = [of(Alg::HS256), of(Alg::ES256), of(Alg::HS256), of(Alg::EdDSA)];
        let wide: Vec<SigningKey> =
            (0..keys).map(|number| materials[number % materials.len()].under_kid(&format!("wide-{number}"))).collect();
        for key in &wide {
            service.set_for(key.kid(), Answer::document(&key.jwk()).header("cache-control", "max-age=600"));
        }
        let of_documents = |case: &Case| case.name.starts_with("signed: ") && case.plugin == Plugin::Reference;
        let documents = table(clock.now()).into_iter().filter(of_documents).collect();
        let rotation = Rotation::new(service);
        World { clock, rotation, wide, documents, serial: AtomicUsize::new(0), turns: Default::default() }
    }

    /// A token of this key like no other.
    fn token(&self, key: &SigningKey) -> Token {
        let number = self.serial.fetch_add(1, Ordering::Relaxed);
        Token::new(key).claim("jti", json!(format!("soak-{number:012}")))
    }

    /// A license request with a new token of this key.
    fn license(&self, key: &SigningKey) -> Draft {
        self.signed(self.token(key))
    }

    /// A license request with this token, whose times are the usual ones.
    fn signed(&self, token: Token) -> Draft {
        let now = self.clock.now();
        Draft::new(Request::get("/widevine").token(token.compact(now)), Expect::allowed(times(now, 90)))
    }

    /// A CPIX request with this document.
    fn cpix(&self, document: &str) -> Draft {
        let now = self.clock.now();
        let token = self.token(keyring().main()).audience(CPIX).compact(now);
        let request = Request::post("/cpix").content_type("application/xml").token(token).body(document);
        Draft::new(request, Expect::allowed(times(now, 1800))).marked(Mark::Session)
    }

    /// A Trust Tunnel request.
    fn tunnel(&self, alg: KeyManagement) -> Draft {
        let now = self.clock.now();
        let body = Tunnel::new(master_key(alg), self.token(keyring().main()).compact(now)).body();
        Draft::new(tunnel_with(body), Expect::allowed(times(now, 90))).marked(Mark::Tunnel)
    }

    fn turn<'a, T>(&self, which: usize, of: &'a [T]) -> &'a T {
        &of[self.turns[which].fetch_add(1, Ordering::Relaxed) % of.len()]
    }
}

fn times(iat: i64, max_age: i64) -> Times {
    Times { iat, nbf: None, exp: Some(iat + 3600), max_age }
}

fn tunnel_with(body: impl AsRef<[u8]>) -> Request {
    Request::post("/widevine").content_type(MEDIA_TYPE).body(body)
}

/// A request and what must become of it.
pub struct Draft {
    /// The request.
    pub request: Request,
    /// What the license server may expect of it.
    pub mark: Mark,
    /// The decision.
    pub expect: Expect,
    /// The changing key that it depends on, if any.
    pub rotation: Option<usize>,
}

impl Draft {
    fn new(request: Request, expect: Expect) -> Draft {
        Draft { request, mark: Mark::Authorised, expect, rotation: None }
    }

    fn denied(code: u16, request: Request) -> Draft {
        Draft::new(request, Expect::denied(code))
    }

    fn marked(mut self, mark: Mark) -> Draft {
        self.mark = mark;
        self
    }

    /// Denied with this code whatever the time.
    fn but(mut self, code: u16) -> Draft {
        self.expect = Expect::denied(code);
        self
    }

    /// Denied with this code if its times are right.
    fn then(mut self, code: u16) -> Draft {
        self.expect.then = Some(code);
        self
    }

    /// With other times.
    fn timed(mut self, change: impl FnMut(&mut Times)) -> Draft {
        self.expect.times.iter_mut().for_each(change);
        self
    }
}

/// A kind of request.
pub struct Kind {
    /// What it is.
    pub name: &'static str,
    /// How many of the requests are of this kind, beside the weights of the others.
    pub weight: usize,
    /// Where it goes.
    pub lane: Lane,
    /// How long one is sent again and again by a client; zero: each is new.
    pub reuse: Duration,
    /// Whether its keys are held by every worker, so that it must not notice an outage of the key service.
    pub held: bool,
    /// Makes one.
    pub make: Box<dyn Fn(&World) -> Draft + Send + Sync>,
}

impl Kind {
    /// Makes one; a new kind that a client will send for a while.
    fn repeated(
        weight: usize,
        lane: Lane,
        name: &'static str,
        make: impl Fn(&World) -> Draft + Send + Sync + 'static,
    ) -> Kind {
        let held = lane == Lane::Steady;
        Kind { name, weight, lane, reuse: Duration::from_secs(20), held, make: Box::new(make) }
    }

    fn new(
        weight: usize,
        lane: Lane,
        name: &'static str,
        make: impl Fn(&World) -> Draft + Send + Sync + 'static,
    ) -> Kind {
        Kind { reuse: Duration::ZERO, ..Kind::repeated(weight, lane, name, make) }
    }

    /// With keys that a worker may not hold yet.
    fn not_held(self) -> Kind {
        Kind { held: false, ..self }
    }
}

/// Every kind.
pub fn kinds() -> Vec<Kind> {
    let mut kinds = allowed();
    kinds.extend(denied());
    kinds.extend(with_all_parts());
    kinds.extend(bodies());
    kinds
}

fn of(alg: Alg) -> &'static SigningKey {
    keyring().of_alg(alg)
}

fn allowed() -> Vec<Kind> {
    use Lane::Steady;
    let mut kinds = vec![
        Kind::new(300, Steady, "HS256, new", |world| world.license(of(Alg::HS256))),
        Kind::new(15, Steady, "ES256, new", |world| world.license(of(Alg::ES256))),
        Kind::new(10, Steady, "EdDSA, new", |world| world.license(of(Alg::EdDSA))),
        Kind::new(3, Steady, "RS256, new", |world| world.license(of(Alg::RS256))),
        Kind::new(120, Steady, "one of many keys", |world| world.license(world.turn(0, &world.wide))).not_held(),
        Kind { reuse: Duration::from_secs(3), ..Kind::repeated(40, Steady, "a key that changes", rotating) },
        Kind::repeated(30, Steady, "in the query", |world| {
            let now = world.clock.now();
            let token = world.token(of(Alg::ES256)).compact(now);
            let request = Request::get(format!("/widevine?asset=1&Authorization={token}"));
            Draft::new(request, Expect::allowed(times(now, 90)))
        }),
        Kind::repeated(10, Steady, "an open route", |_| {
            Draft::new(Request::get("/healthz"), Expect::default()).marked(Mark::Open)
        }),
        Kind::repeated(10, Steady, "a preflight", |_| {
            let request = Request::new("OPTIONS", "/widevine").header("Origin", "https://player.example.com");
            let request = request.header("Access-Control-Request-Method", "POST");
            Draft::new(request, Expect::default()).marked(Mark::Open)
        }),
    ];
    kinds.extend(Alg::ALL.map(|alg| Kind::repeated(12, Steady, "any algorithm", move |world| world.license(of(alg)))));
    kinds
}

fn rotating(world: &World) -> Draft {
    let number = world.turns[1].fetch_add(1, Ordering::Relaxed);
    Draft { rotation: Some(number), ..world.license(world.rotation.key(number)) }
}

fn denied() -> Vec<Kind> {
    use Lane::Steady;
    let kid = |kid: &'static str, code| move |world: &World| world.license(&keyring().main().under_kid(kid)).but(code);
    vec![
        Kind::repeated(5, Steady, "500", kid("fails-503", 500)),
        Kind::repeated(20, Steady, "501", |_| Draft::denied(501, Request::get("/widevine"))),
        Kind::repeated(15, Steady, "502", |_| Draft::denied(502, Request::get("/widevine").token("a.b.c.d"))),
        Kind::repeated(10, Steady, "503", |world| world.signed(world.token(keyring().main()).audience(CPIX)).then(503)),
        Kind::repeated(10, Steady, "504", kid("nobody", 504)),
        // So many that every worker remembers as many of them as it ever will before the warm-up of a long run is over.
        Kind::new(40, Steady, "504, a new name", |world| {
            let number = world.serial.fetch_add(1, Ordering::Relaxed);
            world.license(&keyring().main().under_kid(&format!("nobody-{number}"))).but(504)
        })
        .not_held(),
        Kind::new(15, Steady, "505", |world| {
            world.signed(world.token(keyring().main()).signed_by(keyring().stranger())).but(505)
        }),
        Kind::repeated(5, Steady, "505, alg none", |world| {
            world.signed(world.token(keyring().main()).header("alg", json!("none"))).but(505)
        }),
        Kind::repeated(10, Steady, "508", |world| {
            world.signed(world.token(keyring().main()).aged(7200)).timed(|times| times.iat -= 7200)
        }),
        Kind::repeated(8, Steady, "509", |world| world.signed(world.token(keyring().main()).without("iat")).but(509)),
        Kind::repeated(8, Steady, "510", |world| {
            world.signed(world.token(keyring().main()).aged(-86400)).timed(|times| times.iat += 86400)
        }),
        Kind::repeated(8, Steady, "511", |world| {
            let token = world.token(keyring().main()).claim_from_now("nbf", 86400);
            world.signed(token).timed(|times| times.nbf = Some(times.iat + 86400))
        }),
        Kind::repeated(5, Steady, "512", kid("deleted", 512)),
        Kind::repeated(5, Steady, "512, gone", kid("gone", 512)),
        Kind::repeated(8, Steady, "513", kid("disabled", 513)),
        Kind::repeated(8, Steady, "521", |world| {
            world.signed(world.token(keyring().main()).claim("drm_protocol", json!("Trust Tunnel"))).then(521)
        }),
    ]
}

fn with_all_parts() -> Vec<Kind> {
    use Lane::{Enforcing, Pushed};
    let session = |kid: &'static str, code: Option<u16>| {
        move |world: &World| {
            let mut draft = world.license(&keyring().main().under_kid(kid)).marked(Mark::Session);
            draft.expect.then = code;
            draft
        }
    };
    vec![
        Kind::repeated(60, Pushed, "a session token", session("k-ES256", None)),
        Kind::new(4, Pushed, "a session token, new", session("k-ES256", None)),
        Kind::repeated(5, Pushed, "506", session("for-no-session", Some(506))),
        Kind::repeated(5, Pushed, "507", session("for-mismatch", Some(507))),
        Kind::repeated(20, Pushed, "a tunnel, A256KW", |world| world.tunnel(KeyManagement::A256KW)),
        Kind::repeated(15, Pushed, "a tunnel, dir", |world| world.tunnel(KeyManagement::Dir)),
        Kind::repeated(5, Pushed, "517", |_| Draft::denied(517, tunnel_with("a.b.c"))),
        Kind::repeated(5, Pushed, "518", |world| {
            let master = master_key(KeyManagement::A256KW).under_kid("m-disabled");
            let token = world.token(keyring().main()).compact(world.clock.now());
            Draft::denied(518, tunnel_with(Tunnel::new(&master, token).body()))
        }),
        Kind::repeated(8, Pushed, "519", |world| {
            let token = world.token(keyring().main()).compact(world.clock.now());
            let sealed = Tunnel::new(master_key(KeyManagement::Dir), token).seal();
            Draft::denied(519, tunnel_with(sealed.flip(Part::Tag, 0).body()))
        }),
        Kind::repeated(8, Enforcing, "a tunnel alone", |world| world.tunnel(KeyManagement::A256KW)),
        // So many that this configuration, too, remembers as many tokens as it ever will before the warm-up of a long run is over.
        Kind::new(20, Enforcing, "a tunnel alone, new", |world| world.tunnel(KeyManagement::A256KW)),
        Kind::repeated(8, Enforcing, "520", |world| world.license(keyring().main()).but(520)),
    ]
}

fn bodies() -> Vec<Kind> {
    use Lane::Pushed;
    let document = |members: &str| format!("<CPIX xmlns=\"urn:dashif:org:cpix\"{members}><ContentKeyList/></CPIX>");
    let named = " contentId=\"content-1\"";
    let [right, other, none] = [named, " contentId=\"content-2\"", ""].map(document);
    let two = document(&format!("{named} id=\"content-2\""));
    vec![
        Kind::repeated(20, Pushed, "a document that is bound", move |world| world.cpix(&right)),
        Kind::repeated(4, Pushed, "903", move |world| world.cpix(&none).then(903)),
        Kind::repeated(4, Pushed, "904", move |world| world.cpix(&two).then(904)),
        Kind::repeated(4, Pushed, "905", move |world| world.cpix(&other).then(905)),
        Kind::repeated(4, Pushed, "910", |world| world.cpix("<CPIX").then(910)),
        // In turn every row of the table: 500, 503, 504, 505, 512, 513, 514, 903, 905, 910 and 914 to 918.
        Kind::new(25, Pushed, "signed documents", |world| {
            let case = world.turn(2, &world.documents);
            let code = match case.expect.outcome {
                Outcome::Denied(code) => Some(code),
                Outcome::Allowed | Outcome::Passed => None,
            };
            let expect = Expect { before_times: code, ..Expect::default() };
            Draft::new(case.request.clone(), expect).marked(Mark::Session)
        }),
    ]
}
