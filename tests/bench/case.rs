//! What is asked for: kinds of requests, and which lanes they are sent to.

use crate::lane::Lane;
use crate::support::signer::Alg;

/// A kind of request, with tokens of one algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Case {
    /// What the token is like.
    pub kind: Kind,
    /// The algorithm of the key.
    pub alg: Alg,
}

/// What a token is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Valid, and another one with every request.
    FirstSeen,
    /// Valid, and one of a few that come again and again.
    Repeated,
    /// There is none.
    Absent,
    /// Another one with every request, with a wrong signature.
    Forged,
    /// Another one with every request, signed but too old.
    Expired,
}

/// The answer that a lane must give.
#[derive(Clone, Copy, Debug)]
pub struct Expected {
    /// HTTP status.
    pub status: &'static str,
    /// What else must be in the head.
    pub text: &'static str,
}

impl Case {
    /// All of them.
    pub fn all() -> Vec<Case> {
        let valid = [Kind::FirstSeen, Kind::Repeated];
        let algorithms = [Alg::RS256, Alg::ES256, Alg::EdDSA, Alg::HS256];
        let mut cases: Vec<Case> =
            valid.into_iter().flat_map(|kind| algorithms.map(|alg| Case { kind, alg })).collect();
        cases.extend([Kind::Absent, Kind::Forged, Kind::Expired].map(|kind| Case { kind, alg: Alg::ES256 }));
        cases
    }

    /// The name in the report.
    pub fn name(self) -> String {
        let alg = self.alg.name();
        match self.kind {
            Kind::FirstSeen => format!("{alg}, first seen"),
            Kind::Repeated => format!("{alg}, repeated"),
            Kind::Absent => "no token".into(),
            Kind::Forged => format!("{alg}, wrong signature"),
            Kind::Expired => format!("{alg}, expired"),
        }
    }

    /// Whether the filters refuse it.
    pub fn is_refused(self) -> bool {
        !matches!(self.kind, Kind::FirstSeen | Kind::Repeated)
    }

    /// Who gets such requests.
    pub fn lanes(self) -> &'static [Lane] {
        if self.is_refused() {
            // Nothing that was refused is in a token cache.
            &[Lane::None, Lane::EmptyReply, Lane::JwtAuthn, Lane::Filter]
        } else {
            &[Lane::None, Lane::Empty, Lane::JwtAuthn, Lane::JwtAuthnCached, Lane::Filter]
        }
    }

    /// The empty wasm filter that does what the others do: pass the request on, or answer it.
    pub fn floor(self) -> Lane {
        if self.is_refused() { Lane::EmptyReply } else { Lane::Empty }
    }

    /// What a lane must answer.
    pub fn expected(self, lane: Lane) -> Expected {
        let refused = |text| Expected { status: "401", text };
        match (lane, self.kind) {
            (Lane::None | Lane::Empty, _) | (_, Kind::FirstSeen | Kind::Repeated) => {
                Expected { status: "200", text: "" }
            }
            (Lane::EmptyReply, _) | (Lane::Filter, Kind::Absent) => refused("MDRM-501"),
            (Lane::Filter, Kind::Forged) => refused("MDRM-505"),
            (Lane::Filter, Kind::Expired) => refused("MDRM-508"),
            (Lane::JwtAuthn | Lane::JwtAuthnCached, _) => refused(""),
        }
    }
}
