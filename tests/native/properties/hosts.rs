//! Authorities in every spelling against every form of a configured host. What must come out is known from what they are put
//! together of: nothing here takes a text apart.

use mdrm_authz::config::Config;
use mdrm_authz::request::RequestHead;
use mdrm_authz::route::{Handling, Service, Unrouted};
use proptest::prelude::*;
use serde_json::json;

use super::cases;

const LABELS: [&str; 6] = ["a", "b", "public", "a_b", "x-1", "80"];
const ADDRESSES: [&str; 3] = ["[::1]", "[2001:db8::1]", "[::ffff:10.0.0.1]"];

/// A name or an address, before anything is added to it.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => prop::collection::vec(prop::sample::select(&LABELS[..]), 1..4).prop_map(|labels| labels.join(".")),
        1 => prop::sample::select(&ADDRESSES[..]).prop_map(str::to_owned),
    ]
}

fn port() -> impl Strategy<Value = Option<u16>> {
    prop::option::of(prop::sample::select(vec![1, 80, 443, 65_535]))
}

/// Upper case for some letters.
fn shout(text: &str, pattern: u32) -> String {
    let letter = |(at, c): (usize, char)| if pattern >> (at % 32) & 1 == 1 { c.to_ascii_uppercase() } else { c };
    text.chars().enumerate().map(letter).collect()
}

fn handling(host: &str, service: &str, authority: &str) -> Handling {
    let routes = json!([
        {"path_prefix": "/", "host": host, "service": service}, {"path_prefix": "/", "service": "signed_cpix"},
    ]);
    let configuration = json!({"keys": {"cluster": "keys"}, "routes": routes}).to_string();
    let config = Config::from_json(configuration.as_bytes(), &|_| None).unwrap();
    let headers: [(&[u8], &[u8]); 2] = [(b":path", b"/"), (b":authority", authority.as_bytes())];
    Handling::of(RequestHead::new(&headers, false), &config.routes, config.default_service)
}

proptest! {
    #![proptest_config(cases(4_000))]

    #[test]
    fn attack_68_a_host_matches_what_it_names_and_an_open_route_nothing_that_was_added(
        wanted in name(), wildcard in any::<bool>(), wanted_port in port(),
        asked in name(), below in prop::option::of(name()), same in any::<bool>(), dot in any::<bool>(), port in port(),
        shouted in any::<(u32, u32)>(), open in any::<bool>(),
    ) {
        let is_address = wanted.starts_with('[');
        let wildcard = wildcard && !is_address;
        let asked = if same { wanted.clone() } else { asked };
        let below = below.filter(|below| !below.starts_with('[') && !asked.starts_with('['));
        let dot = dot && !asked.starts_with('[');
        let with_port = |port: Option<u16>| port.map_or_else(String::new, |port| format!(":{port}"));
        let host = format!("{}{wanted}{}", if wildcard { "*." } else { "" }, with_port(wanted_port));
        let full = below.as_ref().map_or_else(|| asked.clone(), |below| format!("{below}.{asked}"));
        let authority = format!("{full}{}{}", if dot { "." } else { "" }, with_port(port));

        let (labels, wanted_labels): (Vec<&str>, Vec<&str>) = (full.split('.').collect(), wanted.split('.').collect());
        let name_matches = if wildcard {
            labels.len() > wanted_labels.len() && labels.ends_with(&wanted_labels)
        } else {
            labels == wanted_labels
        };
        let port_matches = wanted_port.is_none() || wanted_port == port;
        let as_sent = !dot && wanted_port == port;
        let expected = if name_matches && port_matches && (as_sent || !open) {
            Handling::Service(if open { Service::Open } else { Service::Cpix }, None)
        } else {
            Handling::Service(Service::SignedCpix, None)
        };
        let service = if open { "open" } else { "cpix" };
        let found = handling(&shout(&host, shouted.0), service, &shout(&authority, shouted.1));
        prop_assert_eq!(found, expected, "{} by {} ({})", authority, host, service);
    }

    #[test]
    fn attack_68_an_authority_that_servers_may_read_in_two_ways_reaches_nothing(
        before in name(), after in name(), dot in any::<bool>(),
        bad in prop::sample::select(vec![
            "@", "..", ":", ":0", ":00", ":080", ":65536", ":1x", ":80:80", " ", "\t", "/", "?", "#", "%2e", "%", ",", ";",
            "\\", "*", "[", "]", "\0", "\u{7f}", "é", "+", "~", "!", "(", "\"",
        ]),
    ) {
        let dot = if dot { "." } else { "" };
        let at_the_end = bad.starts_with(':');
        let authority =
            if at_the_end { format!("{before}{dot}{bad}") } else { format!("{before}{dot}{bad}{after}") };
        for host in ["*.a", "a", "public"] {
            for service in ["open", "cpix"] {
                let found = handling(host, service, &authority);
                prop_assert_eq!(found, Handling::Deny(Unrouted::Authority), "{}", authority);
            }
        }
    }

    #[test]
    fn attack_69_any_text_is_a_host_of_the_configuration_only_if_a_request_can_match_it(text in "[a-zA-Z0-9.:*_@/ \\[\\]-]{0,12}") {
        let configuration = json!({
            "keys": {"cluster": "keys"}, "routes": [{"path_prefix": "/", "host": text, "service": "open"}],
        });
        if Config::from_json(configuration.to_string().as_bytes(), &|_| None).is_ok() {
            let witness = text.strip_prefix("*.").map_or(text.clone(), |name| format!("x.{name}"));
            prop_assert_eq!(handling(&text, "open", &witness), Handling::Service(Service::Open, None), "{}", text);
        }
    }
}
