//! Hosts as two readers read them: Envoy's virtual hosts, which choose the upstream, and the filter's routes, which choose the rules.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use serde_json::{Value, json};

use crate::now;
use crate::support::client::{Connection, bytes_of};
use crate::support::rig::Rig;
use crate::support::signer::CPIX;
use crate::support::table::Request;
use crate::support::table::keyring::keyring;
use crate::support::token::Token;
use crate::support::upstream::Upstream;
use crate::support::wait::DEADLINE;

/// The virtual host of this name has an upstream of its own; all other names go to the rig's.
const NAMED: &str = "public.example";

/// How a request says its host.
#[derive(Clone, Copy, Debug)]
enum Way {
    Host,
    AbsoluteForm,
    Http2,
}

const WAYS: [Way; 3] = [Way::Host, Way::AbsoluteForm, Way::Http2];

/// Which upstream a request has reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reached {
    Named,
    Other,
    None,
}

/// The options of Envoy that take off what a host does not need.
#[derive(Clone, Copy, Debug)]
struct Options {
    ignore_port: bool,
    strip_dot: bool,
}

const BOTH: Options = Options { ignore_port: true, strip_dot: true };

struct Hosts {
    rig: Rig,
    named: Upstream,
}

impl Hosts {
    fn start(routes: Value, options: Options) -> Hosts {
        let named = Upstream::start();
        let plugin = json!({"keys": {"cluster": "keys"}, "routes": routes});
        let rig = Rig::adjusted(&plugin, |setup| {
            setup.clusters.push(("named".to_owned(), named.address()));
            let listener = &mut setup.listeners[0];
            listener.virtual_host = Some((NAMED.to_owned(), "named".to_owned()));
            listener.ignore_port_in_host_matching = options.ignore_port;
            listener.strip_trailing_host_dot = options.strip_dot;
        });
        rig.keys.register(keyring().main());
        Hosts { rig, named }
    }

    fn reached(&self, way: Way, host: &str, token: Option<&str>) -> Reached {
        let mut request = Request::get("/x").header("X-Case", "1");
        if let Some(token) = token {
            request = request.token(token);
        }
        let address = self.rig.envoy.only();
        match way {
            Way::Host => over_http_1(address, &request.host(host)),
            Way::AbsoluteForm => {
                request.path = format!("http://{host}/x").into_bytes();
                over_http_1(address, &request);
            }
            Way::Http2 => over_http_2(address, host, token),
        }
        match [&self.named, &self.rig.upstream].map(|upstream| upstream.take("1").len()) {
            [0, 0] => Reached::None,
            [1, 0] => Reached::Named,
            [0, 1] => Reached::Other,
            counts => panic!("one request arrived {counts:?} times"),
        }
    }
}

/// Sends a request and waits for the end of it.
fn over_http_1(address: SocketAddr, request: &Request) {
    let mut connection = Connection::open(address);
    connection.send(&bytes_of(request, &[("Connection", "close")])).unwrap();
    connection.answer("GET").unwrap_or_else(|error| panic!("no answer to {request:?}: {error}"));
}

/// The same in frames written by hand: no client library sends such an `:authority`.
fn over_http_2(address: SocketAddr, authority: &str, token: Option<&str>) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut block = Vec::new();
    let mut fields =
        vec![(":method", "GET"), (":scheme", "http"), (":authority", authority), (":path", "/x"), ("x-case", "1")];
    fields.extend(token.map(|token| ("authorization", token)));
    for (name, value) in fields {
        // RFC 7541 section 6.2.2: a literal that is not indexed, with a new name.
        block.push(0);
        for text in [name, value] {
            // Section 5.1: an integer with a prefix of 7 bits.
            match text.len() {
                short @ 0..127 => block.push(u8::try_from(short).unwrap()),
                long => block.extend([
                    127,
                    u8::try_from((long - 127) % 128).unwrap() | 128,
                    u8::try_from((long - 127) / 128).unwrap(),
                ]),
            }
            block.extend(text.bytes());
        }
    }
    const HEADERS: u8 = 1;
    const SETTINGS: u8 = 4;
    let frame = |kind: u8, flags: u8, stream: u8, payload: &[u8]| {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags, 0, 0, 0, stream], payload].concat()
    };
    let (end_stream, end_headers) = (1, 4);
    let head = frame(HEADERS, end_stream | end_headers, 1, &block);
    stream.write_all(&[b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &frame(SETTINGS, 0, 0, &[])[..], &head].concat()).unwrap();
    loop {
        let mut header = [0; 9];
        // A connection that Envoy closes because of the request has answered it, too.
        if stream.read_exact(&mut header).is_err() {
            return;
        }
        let length = u32::from_be_bytes([0, header[0], header[1], header[2]]);
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        stream.read_exact(&mut payload).unwrap();
        let (rst_stream, goaway) = (3, 7);
        if [HEADERS, rst_stream, goaway].contains(&header[3]) {
            return;
        }
    }
}

/// What is left of a host once Envoy has taken off what it takes off before any filter and any virtual host sees it.
fn as_both_readers_get_it(way: Way, host: &str, options: Options) -> &str {
    let host = match way {
        Way::AbsoluteForm => host.rsplit_once('@').map_or(host, |(_, host)| host),
        Way::Host | Way::Http2 => host,
    };
    if options.strip_dot { host.strip_suffix('.').unwrap_or(host) } else { host }
}

/// The routes of somebody who takes one host for public.
fn public() -> Value {
    json!([
        {"path_prefix": "/", "host": NAMED, "service": "open"},
        {"path_prefix": "/", "service": "license"},
    ])
}

#[test]
fn attack_68_no_spelling_of_a_host_reaches_an_open_route() {
    for (ignore_port, strip_dot) in [(false, false), (true, false), (false, true), (true, true)] {
        let options = Options { ignore_port, strip_dot };
        let hosts = Hosts::start(public(), options);
        for way in WAYS {
            for host in [NAMED, "Public.EXAMPLE"] {
                assert_eq!(hosts.reached(way, host, None), Reached::Named, "{host} {way:?} {options:?}");
            }
            for host in [
                "public.example:1234",
                "public.example:80",
                "public.example:",
                "public.example:0",
                "public.example:00",
                "public.example:080",
                "public.example:65536",
                "public.example.",
                "public.example.:1234",
                "public.example..",
                "user@public.example",
                "user:password@public.example",
                "other.example@public.example",
                "public.example@other.example",
                "www.public.example",
                "public.example,other.example",
            ] {
                let same = NAMED == as_both_readers_get_it(way, host, options);
                let expected = if same { Reached::Named } else { Reached::None };
                assert_eq!(hosts.reached(way, host, None), expected, "{host} {way:?} {options:?}");
            }
        }
        hosts.rig.envoy.assert_healthy();
    }
}

#[test]
fn attack_68_two_hosts_in_one_request_reach_nothing_open() {
    let hosts = Hosts::start(public(), BOTH);
    for pair in [["public.example", "other.example"], ["other.example", "public.example"]] {
        let request = Request::get("/x").host(pair[0]).header("Host", pair[1]);
        let mut connection = Connection::open(hosts.rig.envoy.only());
        connection.send(&bytes_of(&request, &[])).unwrap();
        let status = connection.answer("GET").unwrap().status;
        assert!([400, 401].contains(&status), "{pair:?}: {status}");
    }
    assert_eq!((hosts.named.count(), hosts.rig.upstream.count()), (0, 0));
}

/// The routes of somebody whose key server is another host.
fn keys() -> Value {
    json!([
        {"path_prefix": "/", "host": NAMED, "service": "cpix"},
        {"path_prefix": "/", "service": "license"},
    ])
}

/// What becomes of a token for each service.
fn with_either_token(hosts: &Hosts, way: Way, host: &str) -> [Reached; 2] {
    let cpix = Token::new(keyring().main()).audience(CPIX).compact(now());
    let license = Token::new(keyring().main()).compact(now());
    [cpix, license].map(|token| hosts.reached(way, host, Some(&token)))
}

const SAME_HOST: [&str; 6] = [
    "public.example",
    "PUBLIC.example",
    "public.example:1234",
    "public.example:65535",
    "public.example.",
    "public.example.:1234",
];

#[test]
fn attack_68_envoy_and_the_filter_choose_the_same_service_with_both_options() {
    let hosts = Hosts::start(keys(), BOTH);
    for way in WAYS {
        for host in SAME_HOST {
            let reached = with_either_token(&hosts, way, host);
            assert_eq!(reached, [Reached::Named, Reached::None], "{host} {way:?}");
        }
        for host in ["public.example:00", "public.example:", "user@public.example", "a..b"] {
            let expected = match as_both_readers_get_it(way, host, BOTH) {
                NAMED => [Reached::Named, Reached::None],
                _ => [Reached::None; 2],
            };
            assert_eq!(with_either_token(&hosts, way, host), expected, "{host} {way:?}");
        }
        for host in ["other.example", "other.example:1234", "www.public.example.", "public.example.net"] {
            assert_eq!(with_either_token(&hosts, way, host), [Reached::None, Reached::Other], "{host} {way:?}");
        }
    }
    hosts.rig.envoy.assert_healthy();
}

#[test]
fn without_the_two_options_envoy_sends_a_host_elsewhere_than_the_filter_decided_for() {
    for (options, host) in [
        (Options { ignore_port: false, strip_dot: true }, "public.example:1234"),
        (Options { ignore_port: true, strip_dot: false }, "public.example."),
    ] {
        let hosts = Hosts::start(keys(), options);
        for way in WAYS {
            let reached = with_either_token(&hosts, way, host);
            assert_eq!(
                reached,
                [Reached::Other, Reached::None],
                "a CPIX token reaches the license server: {host} {way:?}"
            );
        }
    }
}
