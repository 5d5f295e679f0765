//! Routes that name hosts: which authority is which host, and which is none.

use super::keyring::keyring;
use super::{Case, Plugin, Request};
use crate::support::signer::CPIX;
use crate::support::token::Token;

pub(super) fn cases(now: i64) -> Vec<Case> {
    let license = Token::new(keyring().main()).compact(now);
    let cpix = Token::new(keyring().main()).audience(CPIX).compact(now);
    let on = |name: String, host: &str| Case::new(name, Plugin::Hosts, Request::get("/x").host(host));
    let with = |token: &str, name: String, host: &str| {
        Case::new(name, Plugin::Hosts, Request::get("/x").host(host).token(token))
    };
    let mut cases = Vec::new();
    for host in ["public.example", "Public.EXAMPLE", "admin.example:8443"] {
        cases.push(on(format!("an open route that names its host passes {host}"), host).passed());
    }
    for host in ["www.public.example", "public.example.net", "admin.example", "admin.example:443"] {
        cases.push(on(format!("an open route that names another host does not pass {host}"), host).denied(501));
    }
    // Envoy may read another virtual host out of these, so an open route is not reached; what is asked for is a token.
    for host in [
        "public.example:1234",
        "public.example:80",
        "public.example:65535",
        "public.example.",
        "public.example.:80",
        "PUBLIC.example:1234",
        "admin.example.:8443",
    ] {
        let case = |what: &str| format!("attack 68: {host} {what}");
        cases.push(on(case("reaches no open route"), host).denied(501));
        cases.push(with(&license, case("is held against the rules of the next route"), host).allowed());
    }
    for host in [
        "public.example:",
        "public.example:0",
        "public.example:00",
        "public.example:080",
        "public.example:65536",
        "public.example:99999999999999999999",
        "public.example:80a",
        "public.example:80:80",
        "public.example:+80",
        "user@public.example",
        "user:password@public.example",
        "@public.example",
        "public..example",
        ".public.example",
        "public.example..",
        ".",
        "public.example,other.example",
        "public.example/",
        "public.example?",
        "public.example other.example",
        "public.example\\",
        "pub%6cic.example",
        "*.keys.example",
        "[public.example]",
        "[::1",
        "[::1].",
        "[::1]:",
        "[::g]",
        "[::1%25lo]",
        "::1",
        "",
    ] {
        let case = |what: &str| format!("attack 68: {host:?} {what}");
        cases.push(on(case("reaches no route"), host).denied(501).or_codec(&[400]));
        cases.push(with(&license, case("reaches no route with a token"), host).denied(503).or_codec(&[400]));
    }
    for host in ["a.keys.example", "A.b.Keys.example", "a.keys.example:8443", "a.keys.example.", "a_b.keys.example.:1"]
    {
        cases.push(with(&cpix, format!("a host below *.keys.example is {host}"), host).allowed());
    }
    for host in ["keys.example", "akeys.example", "a.keys.example.net"] {
        cases.push(with(&license, format!("no host below *.keys.example is {host}"), host).allowed());
    }
    for (host, is_it) in [
        ("tenant.example:8443", true),
        ("tenant.example.:8443", true),
        ("tenant.example", false),
        ("tenant.example:443", false),
        ("[::1]", true),
        ("[::1]:443", true),
        ("[0::1]", false),
        ("[::2]", false),
    ] {
        let name = format!("the rules of a host's route {} hold for {host}", if is_it { "" } else { "do not" });
        cases.push(if is_it { with(&cpix, name, host).allowed() } else { with(&cpix, name, host).denied(503) });
    }
    cases
}
