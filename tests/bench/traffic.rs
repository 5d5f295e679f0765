//! The requests of the cases, ready to be sent.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;

use crate::case::{Case, Kind};
use crate::support::signer::{Alg, SigningKey};
use crate::support::token::Token;

/// How many tokens take turns where they are repeated.
pub const REPEATED: usize = 16;

/// Signs tokens and writes requests. No two tokens that it signs are equal.
pub struct Traffic {
    keys: Vec<SigningKey>,
    repeated: Vec<(Alg, Vec<String>)>,
    signed: u64,
}

impl Traffic {
    /// New keys for these algorithms, and the tokens that are repeated.
    pub fn new(algorithms: &[Alg]) -> Traffic {
        let key = |alg: &Alg| SigningKey::generate(&format!("bench-{}", alg.name().to_lowercase()), *alg);
        let mut traffic = Traffic { keys: algorithms.iter().map(key).collect(), repeated: Vec::new(), signed: 0 };
        for alg in algorithms {
            let tokens = (0..REPEATED).map(|_| traffic.token(Case { kind: Kind::FirstSeen, alg: *alg })).collect();
            traffic.repeated.push((*alg, tokens));
        }
        traffic
    }

    /// The keys, all registered with everybody who verifies.
    pub fn keys(&self) -> &[SigningKey] {
        &self.keys
    }

    /// So many requests.
    pub fn requests(&mut self, case: Case, count: usize) -> Vec<Vec<u8>> {
        (0..count).map(|at| self.request(case, at)).collect()
    }

    fn request(&mut self, case: Case, at: usize) -> Vec<u8> {
        match case.kind {
            Kind::Absent => request(None),
            Kind::Repeated => {
                let of_case = self.repeated.iter().find(|(alg, _)| *alg == case.alg);
                let (_, tokens) = of_case.expect("every algorithm has its tokens");
                request(Some(&tokens[at % tokens.len()]))
            }
            Kind::FirstSeen | Kind::Forged | Kind::Expired => request(Some(&self.token(case))),
        }
    }

    fn token(&mut self, case: Case) -> String {
        self.signed += 1;
        let key = self.keys.iter().find(|key| key.alg() == case.alg).expect("every algorithm has a key");
        let token = Token::new(key).claim("jti", json!(format!("5d2c1f0e-{:020}", self.signed)));
        match case.kind {
            Kind::Expired => token.aged(7200).claim_from_now("exp", -3600).compact(now()),
            Kind::Forged => token.with_signature(now(), |right| {
                let mut wrong = right.to_vec();
                wrong[right.len() / 4] ^= 1;
                wrong
            }),
            _ => token.compact(now()),
        }
    }
}

/// A license request as a browser's player sends it, but without a body: Envoy closes the connection when it answers
/// before the body came.
fn request(token: Option<&str>) -> Vec<u8> {
    let authorization = token.map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
    format!(
        "GET /license/widevine?asset=content-1 HTTP/1.1\r\n\
         host: license.example.com\r\n\
         user-agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\
         accept: */*\r\n\
         accept-language: en-US,en;q=0.5\r\n\
         accept-encoding: gzip, deflate, br, zstd\r\n\
         origin: https://player.example.com\r\n\
         referer: https://player.example.com/\r\n\
         sec-fetch-dest: empty\r\n\
         sec-fetch-mode: cors\r\n\
         sec-fetch-site: same-site\r\n\
         x-request-id: 3c8f2a90-51d7-4f5e-9a6b-0c1d2e3f4a5b\r\n\
         {authorization}\r\n"
    )
    .into_bytes()
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    i64::try_from(since.as_secs()).expect("a clock before the end of time")
}
