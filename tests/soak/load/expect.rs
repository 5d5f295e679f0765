//! What must become of a request, worked out once more, apart from the filter: from the moment at which it is decided.

/// Leeway of comparisons, the default of `clock_skew`.
const SKEW: i64 = 5;

/// The times in a token.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// When it was issued.
    pub iat: i64,
    /// Not before.
    pub nbf: Option<i64>,
    /// Its end.
    pub exp: Option<i64>,
    /// The age that the service allows.
    pub max_age: i64,
}

impl Times {
    /// The code that these times get at `now`.
    fn code(&self, now: i64) -> Option<u16> {
        if self.iat > now + SKEW {
            return Some(510);
        }
        if self.nbf.is_some_and(|nbf| nbf > now + SKEW) {
            return Some(511);
        }
        let ended = self.exp.is_some_and(|exp| now > exp + SKEW) || now > self.iat + self.max_age + SKEW;
        ended.then_some(508)
    }
}

/// The decision about a request. A code comes without `MDRM-`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Expect {
    /// The code that is decided before the token's times are looked at.
    pub before_times: Option<u16>,
    /// The token's times.
    pub times: Option<Times>,
    /// The code that it gets if nothing else is wrong. None: it is allowed.
    pub then: Option<u16>,
}

impl Expect {
    /// Denied with this code at any time.
    pub fn denied(code: u16) -> Expect {
        Expect { before_times: Some(code), ..Expect::default() }
    }

    /// Allowed, or what its times say.
    pub fn allowed(times: Times) -> Expect {
        Expect { times: Some(times), ..Expect::default() }
    }

    /// The decision at `now`: a code, or none if the request is allowed.
    pub fn at(&self, now: i64) -> Option<u16> {
        self.before_times.or_else(|| self.times?.code(now)).or(self.then)
    }

    /// Whether it may ever be allowed.
    pub fn may_pass(&self) -> bool {
        self.before_times.is_none() && self.then.is_none()
    }
}
