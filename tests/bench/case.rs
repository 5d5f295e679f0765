//! What is asked for: kinds of requests, and which lanes they are sent to.

use std::sync::Arc;

use crate::lane::Lane;

/// The bytes of a request, head and body.
pub type Request = Arc<[u8]>;

/// A kind of request.
pub struct Case {
    /// The name in the report.
    pub name: String,
    /// Who gets such requests, and what each must answer.
    pub lanes: Vec<(Lane, Expected)>,
    /// So many times fewer requests a turn than usual, where one takes long.
    pub fewer: usize,
    requests: Box<dyn FnMut(usize) -> Vec<Request>>,
}

/// The answer that a lane must give.
#[derive(Clone, Copy, Debug)]
pub struct Expected {
    /// HTTP status.
    pub status: &'static str,
    /// What else must be in the head.
    pub text: &'static str,
}

impl Expected {
    /// The request passed the filters.
    pub const PASSED: Expected = Expected { status: "200", text: "" };

    /// A filter refused it, with this text in the head of its answer.
    pub const fn refused(text: &'static str) -> Expected {
        Expected { status: "401", text }
    }
}

impl Case {
    /// Requests that all of these lanes let pass. `requests` makes so many of them.
    pub fn new(name: impl Into<String>, lanes: &[Lane], requests: impl FnMut(usize) -> Vec<Request> + 'static) -> Case {
        Case {
            name: name.into(),
            lanes: lanes.iter().map(|lane| (*lane, Expected::PASSED)).collect(),
            fewer: 1,
            requests: Box::new(requests),
        }
    }

    /// Requests that take turns.
    pub fn repeating(name: impl Into<String>, lanes: &[Lane], requests: Vec<Request>) -> Case {
        Case::new(name, lanes, move |count| requests.iter().cycle().take(count).cloned().collect())
    }

    /// With another answer of this lane.
    #[must_use]
    pub fn expecting(mut self, lane: Lane, expected: Expected) -> Case {
        self.lanes.iter_mut().filter(|(known, _)| *known == lane).for_each(|(_, old)| *old = expected);
        self
    }

    /// With so many times fewer requests a turn.
    #[must_use]
    pub fn fewer(mut self, times: usize) -> Case {
        self.fewer = times;
        self
    }

    /// So many requests.
    pub fn requests(&mut self, count: usize) -> Vec<Request> {
        (self.requests)(count)
    }
}
