//! Several workers that share what they learn through the host's shared data.

use std::collections::BTreeMap;

use mdrm_authz::keys::answer::Answer;
use mdrm_authz::keys::{Consultation, FetchId, KeyRequest, SharedView};
use serde_json::{Value, json};

use super::stage::{DELETED, DISABLED, Seen, Stage, UNKNOWN, UNUSABLE, document, key_of, unavailable};
use crate::support::signer::{Alg, Document};
use crate::support::table::keyring::keyring;

/// The workers of one proxy, and the memory that they share.
struct Proxy {
    workers: Vec<Stage>,
    shared: BTreeMap<String, (Vec<u8>, u32)>,
    versions: u32,
    /// Callouts under way: worker, request.
    callouts: Vec<(usize, KeyRequest)>,
    /// How many were ever sent.
    sent: usize,
    /// What every answer says of its freshness.
    cache_control: &'static str,
}

impl Proxy {
    fn new(workers: usize, keys: &Value) -> Proxy {
        let workers = (0..workers).map(|_| Stage::new(keys.clone(), &json!({}))).collect();
        Proxy {
            workers,
            shared: BTreeMap::new(),
            versions: 0,
            callouts: Vec::new(),
            sent: 0,
            cache_control: "max-age=10",
        }
    }

    /// Plugins of one VM that differ in the bounds of what they hold.
    fn of_plugins(all: &[Value]) -> Proxy {
        let workers = all.iter().map(Stage::one_key).collect();
        Proxy { workers, ..Proxy::new(0, &one_key()) }
    }

    fn read(&self, place: &str) -> Option<&[u8]> {
        self.shared.get(place).map(|(bytes, _)| &bytes[..])
    }

    fn write(&mut self, place: String, bytes: Vec<u8>) {
        self.versions += 1;
        self.shared.insert(place, (bytes, self.versions));
    }

    fn view<'a>(shared: &'a BTreeMap<String, (Vec<u8>, u32)>, request: &KeyRequest) -> SharedView<'a> {
        let read = |place: &str| shared.get(place).map(|(bytes, _)| &bytes[..]);
        let places = request.places.as_ref().unwrap();
        SharedView {
            answer: read(&places.answer),
            refusal: places.refusal.as_deref().and_then(read),
            note: read(&places.note),
        }
    }

    /// One worker sends what it has to send. Returns who was answered by what other workers had left.
    fn send(&mut self, worker: usize) -> Vec<u32> {
        let now = self.workers[worker].now;
        while let Some(request) = self.workers[worker].resolver.next_request(now) {
            let view = Proxy::view(&self.shared, &request);
            match self.workers[worker].resolver.consult(request.id, view, now) {
                Consultation::Answered | Consultation::Later => {}
                Consultation::Ask { note, .. } => {
                    self.write(request.places.clone().unwrap().note, note);
                    self.sent += 1;
                    self.callouts.push((worker, request));
                }
            }
        }
        self.workers[worker].woken()
    }

    /// One worker's timer.
    fn tick(&mut self, worker: usize) -> Vec<u32> {
        let stage = &mut self.workers[worker];
        stage.resolver.on_tick();
        let mut woken = stage.woken();
        woken.extend(self.send(worker));
        woken
    }

    /// The oldest callout is answered.
    fn answer(&mut self, status: Option<u16>, body: &str) -> Vec<u32> {
        let (worker, request) = self.callouts.remove(0);
        self.answer_to(worker, &request, status, body)
    }

    /// A callout that ends early is sent once more, and ends in the same way.
    fn answer_to(&mut self, worker: usize, request: &KeyRequest, status: Option<u16>, body: &str) -> Vec<u32> {
        let mut woken = self.answer_once(worker, request, status, body);
        if status.is_none_or(|status| status == 503) {
            woken.extend(self.send(worker));
            let again = self.callouts.pop_if(|(of, again)| (*of, again.id) == (worker, request.id));
            if again.is_some() {
                self.sent -= 1;
                woken.extend(self.answer_once(worker, request, status, body));
            }
        }
        woken
    }

    fn answer_once(&mut self, worker: usize, request: &KeyRequest, status: Option<u16>, body: &str) -> Vec<u32> {
        let view = Proxy::view(&self.shared, request);
        let cache_control = [self.cache_control.as_bytes()];
        let answer = status.map(|status| Answer {
            status,
            cache_control: &cache_control,
            age: None,
            etag: Some(b"\"v1\""),
            body: Some(body.as_bytes()),
        });
        let stage = &mut self.workers[worker];
        let writes = stage.resolver.on_answer(request.id, answer, view, stage.now);
        for write in writes {
            self.write(write.place, write.content);
        }
        self.workers[worker].woken()
    }

    fn pass_millis(&mut self, millis: u64) {
        self.workers.iter_mut().for_each(|worker| worker.pass_millis(millis));
    }

    /// Every worker but the first learns of `k` from what the first left, without a callout.
    fn all_learn(&mut self, expected: &Seen) {
        let sent = self.sent;
        for worker in 0..self.workers.len() {
            let seen = self.workers[worker].ask("k", 1);
            let seen = if seen == Seen::Wait {
                assert_eq!(self.send(worker), [1], "worker {worker}");
                self.workers[worker].ask("k", 1)
            } else {
                seen
            };
            assert_eq!(seen, *expected, "worker {worker}");
        }
        assert_eq!(self.sent, sent);
    }
}

fn one_key() -> Value {
    json!({"cluster": "keys"})
}

fn doc(owner: &str) -> String {
    document("k", owner).to_string()
}

#[test]
fn many_first_requests_in_four_workers_make_one_callout() {
    for (keys, body) in [
        (one_key(), doc("o")),
        (json!({"cluster": "keys", "path": "/jwks.json"}), json!({"keys": [document("k", "o")]}).to_string()),
    ] {
        let mut proxy = Proxy::new(4, &keys);
        for worker in 0..4 {
            for waiter in 0..15 {
                assert_eq!(proxy.workers[worker].ask("k", waiter), Seen::Wait);
            }
            assert!(proxy.send(worker).is_empty());
        }
        assert_eq!(proxy.sent, 1);
        assert_eq!(proxy.answer(Some(200), &body).len(), 15);
        for worker in 1..4 {
            assert_eq!(proxy.tick(worker).len(), 15, "at its next tick");
            assert_eq!(proxy.workers[worker].ask("k", 99), key_of("o"));
        }
        assert_eq!(proxy.sent, 1);
    }
}

#[test]
fn workers_learn_every_kind_of_answer_from_each_other() {
    for (status, body, expected) in [
        (200, doc("o"), key_of("o")),
        (404, String::new(), UNKNOWN),
        (410, String::new(), DELETED),
        (200, document("k", "o").with("status", json!("disabled")).to_string(), DISABLED),
        (200, document("k", "o").with("status", json!("deleted")).to_string(), DELETED),
        (200, document("k", "o").with("use", json!("enc")).to_string(), UNUSABLE),
    ] {
        let mut proxy = Proxy::new(4, &one_key());
        assert_eq!(proxy.workers[0].ask("k", 1), Seen::Wait);
        proxy.send(0);
        assert_eq!(proxy.answer(Some(status), &body), [1]);
        proxy.all_learn(&expected);
    }
}

#[test]
fn one_worker_asks_ahead_for_all() {
    let mut proxy = Proxy::new(4, &one_key());
    proxy.workers[0].ask("k", 1);
    proxy.send(0);
    proxy.answer(Some(200), &doc("old"));
    proxy.all_learn(&key_of("old"));
    proxy.pass_millis(8_000);
    for worker in 0..4 {
        assert_eq!(proxy.workers[worker].ask("k", 1), key_of("old"));
        proxy.send(worker);
    }
    assert_eq!(proxy.sent, 2);
    proxy.answer(Some(200), &doc("new"));
    for worker in 0..4 {
        proxy.tick(worker);
    }
    proxy.all_learn(&key_of("new"));
    assert_eq!(proxy.sent, 2);
}

#[test]
fn a_renewal_is_shared_as_well() {
    let mut proxy = Proxy::new(2, &one_key());
    proxy.workers[0].ask("k", 1);
    proxy.send(0);
    proxy.answer(Some(200), &doc("o"));
    proxy.all_learn(&key_of("o"));
    proxy.pass_millis(10_000);
    assert_eq!(proxy.workers[0].ask("k", 1), Seen::Wait);
    proxy.send(0);
    assert_eq!(proxy.callouts[0].1.if_none_match.as_deref(), Some("\"v1\""));
    proxy.answer(Some(304), "");
    proxy.all_learn(&key_of("o"));
}

#[test]
fn a_failure_is_shared_so_that_an_outage_is_not_multiplied() {
    let mut proxy = Proxy::new(4, &one_key());
    proxy.workers[0].ask("k", 1);
    proxy.send(0);
    assert_eq!(proxy.answer(None, ""), [1]);
    proxy.all_learn(&unavailable(1));
    proxy.pass_millis(1_000);
    for worker in 0..4 {
        assert_eq!(proxy.workers[worker].ask("k", 2), Seen::Wait);
        proxy.send(worker);
    }
    assert_eq!(proxy.sent, 2, "one retry for all");
}

#[test]
fn a_worker_that_has_nothing_serves_stale_what_another_one_learnt() {
    let mut proxy = Proxy::new(2, &one_key());
    proxy.workers[0].ask("k", 1);
    proxy.send(0);
    proxy.answer(Some(200), &doc("o"));
    proxy.pass_millis(10_000);
    assert_eq!(proxy.workers[0].ask("k", 1), Seen::Wait);
    proxy.send(0);
    proxy.answer(Some(503), "");
    proxy.all_learn(&key_of("o"));
}

#[test]
fn a_worker_whose_lease_ends_without_an_answer_holds_nobody_up() {
    let mut proxy = Proxy::new(2, &one_key());
    for worker in 0..2 {
        assert_eq!(proxy.workers[worker].ask("k", 1), Seen::Wait);
        proxy.send(worker);
    }
    assert_eq!(proxy.sent, 1);
    // The first worker's VM dies. Within the time-out, the second one's client is told to come back …
    proxy.pass_millis(2_000);
    assert_eq!(proxy.tick(1), [1]);
    assert_eq!(proxy.workers[1].ask("k", 1), unavailable(1));
    // … and past the lease it asks by itself.
    proxy.pass_millis(1_000);
    assert_eq!(proxy.workers[1].ask("k", 1), Seen::Wait);
    proxy.send(1);
    assert_eq!(proxy.sent, 2);
}

#[test]
fn attack_51_an_older_answer_never_replaces_a_newer_one() {
    let mut proxy = Proxy::new(2, &one_key());
    proxy.workers[0].ask("k", 1);
    proxy.send(0);
    let late = proxy.callouts.remove(0);
    // The lease ends, the second worker asks and is answered.
    proxy.pass_millis(3_001);
    proxy.workers[1].ask("k", 1);
    proxy.send(1);
    proxy.answer(Some(200), &doc("new"));
    proxy.pass_millis(100);
    proxy.answer_to(late.0, &late.1, Some(200), &doc("old"));
    assert_eq!(proxy.workers[0].ask("k", 1), key_of("new"), "the late one learns the newer answer");
    let mut third = Stage::one_key(&json!({}));
    third.now = proxy.workers[1].now;
    proxy.workers.push(third);
    assert_eq!(proxy.workers[2].ask("k", 1), Seen::Wait);
    assert_eq!(proxy.send(2), [1]);
    assert_eq!(proxy.workers[2].ask("k", 1), key_of("new"));
    // And an answer whose request is over changes nothing.
    assert!(proxy.answer_to(late.0, &late.1, Some(200), &doc("old")).is_empty());
}

#[test]
fn attack_52b_two_key_services_never_see_each_others_keys() {
    for other in [
        json!({"cluster": "other"}),
        json!({"cluster": "keys", "authority": "other"}),
        json!({"cluster": "keys", "path": "/other/{kid}"}),
        json!({"cluster": "keys", "path": "/keys/{kid}", "headers": {"x-tenant": "other"}}),
        json!({"cluster": "keys", "path": "/keys/k"}),
    ] {
        let mut proxy = Proxy::new(1, &one_key());
        proxy.workers[0].ask("k", 1);
        proxy.send(0);
        proxy.answer(Some(200), &doc("o"));
        proxy.workers.push(Stage::new(other.clone(), &json!({})));
        assert_eq!(proxy.workers[1].ask("k", 1), Seen::Wait);
        assert!(proxy.send(1).is_empty(), "{other}");
        assert_eq!(proxy.sent, 2, "{other}");
    }
}

#[test]
fn workers_do_not_take_turns_for_what_cannot_be_shared() {
    let hmac = keyring().of_alg(Alg::HS256).under_kid("k").jwk();
    let mut proxy = Proxy::new(4, &one_key());
    for worker in 0..4 {
        proxy.workers[worker].ask("k", 1);
        proxy.send(worker);
    }
    assert_eq!(proxy.sent, 1);
    assert_eq!(proxy.answer(Some(200), &hmac.to_string()), [1]);
    for worker in 1..4 {
        proxy.tick(worker);
    }
    assert_eq!((proxy.sent, proxy.callouts.len()), (4, 3), "at once");
}

#[test]
fn a_key_that_another_worker_has_does_not_queue_behind_new_names() {
    let mut proxy = Proxy::new(2, &one_key());
    proxy.workers[0].ask("k", 1);
    proxy.send(0);
    proxy.answer(Some(200), &doc("o"));
    for n in 0..900 {
        proxy.workers[1].ask(&format!("random-{n}"), n + 10);
    }
    proxy.send(1);
    assert_eq!(proxy.workers[1].ask("k", 1), Seen::Wait);
    assert_eq!(proxy.send(1), [1]);
    assert_eq!(proxy.workers[1].ask("k", 1), key_of("o"));
}

#[test]
fn no_secret_is_shared() {
    let hmac = keyring().of_alg(Alg::HS256).under_kid("k").jwk();
    let secret = hmac["k"].as_str().unwrap().to_owned();
    let private = document("k", "o").with("d", json!(secret));
    let disabled = private.clone().with("status", json!("disabled"));
    let set = json!({"cluster": "keys", "path": "/jwks.json"});
    let in_set = |member: &Value| json!({"keys": [document("a", "o"), member]}).to_string();
    for (keys, body) in [
        (one_key(), hmac.to_string()),
        (one_key(), private.to_string()),
        (one_key(), disabled.to_string()),
        (set.clone(), in_set(&hmac)),
        (set.clone(), in_set(&private)),
        (set, in_set(&disabled)),
    ] {
        let mut proxy = Proxy::new(1, &keys);
        proxy.workers[0].ask("k", 1);
        proxy.send(0);
        proxy.answer(Some(200), &body);
        for (place, (bytes, _)) in &proxy.shared {
            let leaks = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!leaks, "{place} after {body}");
        }
    }
}

#[test]
fn what_stands_in_a_place_is_believed_only_if_it_is_whole_and_about_the_key() {
    let mut proxy = Proxy::new(1, &one_key());
    proxy.workers[0].ask("k", 1);
    proxy.send(0);
    proxy.answer(Some(200), &doc("o"));
    let written = proxy.shared.clone();
    for (place, (bytes, version)) in &written {
        for at in 0..bytes.len() {
            for broken in [bytes[..at].to_vec(), [&bytes[..at], &[bytes[at] ^ 1], &bytes[at + 1..]].concat()] {
                proxy.shared.insert(place.clone(), (broken, *version));
                let mut stage = Stage::one_key(&json!({}));
                stage.now = proxy.workers[0].now;
                proxy.workers.truncate(1);
                proxy.workers.push(stage);
                proxy.workers[1].ask("k", 1);
                proxy.send(1);
                proxy.callouts.clear();
                let seen = proxy.workers[1].ask("k", 1);
                // A changed byte of the owner, the scope or a date is still a whole document; the point stays on its
                // curve or the document is unusable. Nothing panics, and no other key comes out.
                assert!(matches!(&seen, Seen::Wait | Seen::Key(_) | Seen::Refused(_)), "{seen:?}");
            }
        }
        proxy.shared.insert(place.clone(), (bytes.clone(), *version));
    }
}

#[test]
fn a_flood_of_names_uses_a_fixed_number_of_places() {
    let mut proxy = Proxy::new(1, &one_key());
    proxy.workers[0].ask("k", 1);
    proxy.send(0);
    proxy.answer(Some(200), &doc("o"));
    for n in 0..3_000 {
        proxy.pass_millis(20);
        proxy.workers[0].ask(&format!("random-{n}"), 1);
        proxy.send(0);
        proxy.answer(Some(404), "");
    }
    let places = |kind: &str| proxy.shared.keys().filter(|place| place.contains(kind)).count();
    assert!(places(".unknown.") <= 1024, "{}", places(".unknown."));
    assert_eq!(places(".key."), 1, "refusals take no place of a key");
    let ids: Vec<FetchId> = proxy.callouts.iter().map(|(_, request)| request.id).collect();
    assert!(ids.is_empty());
    let place = proxy.shared.keys().find(|place| place.contains(".key.")).cloned().unwrap();
    assert!(proxy.read(&place).is_some_and(|bytes| !bytes.is_empty()), "the key is still shared");
}

#[test]
fn attack_77_each_of_two_plugins_holds_a_shared_answer_by_its_own_bounds() {
    // The answer says nothing of its freshness, so each plugin's `max_age` counts.
    let mut proxy = Proxy::of_plugins(&[json!({"max_age": "1h"}), json!({"max_age": "2s"})]);
    proxy.cache_control = "";
    assert_eq!(proxy.workers[0].ask("k", 1), Seen::Wait);
    proxy.send(0);
    assert_eq!(proxy.answer(Some(200), &doc("old")), [1]);
    assert_eq!(proxy.workers[1].ask("k", 1), Seen::Wait);
    assert_eq!(proxy.send(1), [1], "from what the first one left");
    assert_eq!(proxy.workers[1].ask("k", 1), key_of("old"));
    proxy.pass_millis(2_000);
    assert_eq!(proxy.workers[0].ask("k", 2), key_of("old"));
    assert_eq!(proxy.workers[1].ask("k", 2), Seen::Wait, "its freshness is over");
    proxy.send(1);
    assert_eq!(proxy.sent, 2, "the shared answer is not fresh for the second plugin");
    assert_eq!(proxy.answer(Some(200), &doc("new")), [2]);
    assert_eq!(proxy.workers[1].ask("k", 2), key_of("new"));
}

#[test]
fn attack_77_a_plugin_with_long_freshness_is_not_bound_by_one_with_a_short_one() {
    let mut proxy = Proxy::of_plugins(&[json!({"max_age": "2s"}), json!({"max_age": "1h"})]);
    proxy.cache_control = "";
    assert_eq!(proxy.workers[0].ask("k", 1), Seen::Wait);
    proxy.send(0);
    proxy.answer(Some(200), &doc("o"));
    assert_eq!(proxy.workers[1].ask("k", 1), Seen::Wait);
    assert_eq!(proxy.send(1), [1]);
    proxy.pass_millis(1_000_000);
    assert_eq!(proxy.workers[1].ask("k", 2), key_of("o"));
    assert_eq!(proxy.sent, 1);
}

#[test]
fn attack_77_the_cap_and_the_floor_are_each_plugins_own() {
    let short = json!({"max_age_limit": "5s"});
    let long = json!({"min_age": "30s", "max_age_limit": "1h"});
    let mut proxy = Proxy::of_plugins(&[long, short]);
    assert_eq!(proxy.workers[0].ask("k", 1), Seen::Wait);
    proxy.send(0);
    proxy.answer(Some(200), &doc("o"));
    assert_eq!(proxy.workers[1].ask("k", 1), Seen::Wait);
    assert_eq!(proxy.send(1), [1]);
    proxy.pass_millis(5_000);
    assert_eq!(proxy.workers[1].ask("k", 2), Seen::Wait, "`max-age=10`, and its cap is 5 s");
    assert_eq!(proxy.workers[0].ask("k", 2), key_of("o"));
    proxy.pass_millis(18_000);
    assert_eq!(proxy.workers[0].ask("k", 3), key_of("o"), "`max-age=10`, and its floor is 30 s");
}

#[test]
fn attack_77_a_refusal_is_remembered_by_each_plugins_own_bounds() {
    let mut proxy = Proxy::of_plugins(&[json!({"negative_max_age": "1h"}), json!({"negative_max_age": "1s"})]);
    assert_eq!(proxy.workers[0].ask("k", 1), Seen::Wait);
    proxy.send(0);
    proxy.answer(Some(404), "");
    assert_eq!(proxy.workers[1].ask("k", 1), Seen::Wait);
    assert_eq!(proxy.send(1), [1]);
    assert_eq!(proxy.workers[1].ask("k", 1), UNKNOWN);
    proxy.pass_millis(1_000);
    assert_eq!(proxy.workers[1].ask("k", 2), Seen::Wait);
    assert_eq!(proxy.workers[0].ask("k", 2), UNKNOWN);
}
