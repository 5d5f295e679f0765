//! What may stand in the log and in an answer.

use mdrm_authz::denial::Denial;
use mdrm_authz::reply::Reply;

/// A refusal is one line of ASCII for the log, and an answer whose parts HTTP and JSON can carry.
pub(super) fn check_refusal(denial: &Denial) {
    check_line(&denial.to_string());
    let reply = Reply::new(denial, Some(b"request-1"));
    assert!(matches!(reply.status, 400 | 401 | 403 | 500), "{denial:?}");
    for (name, value) in &reply.headers {
        check_line(name);
        check_line(value);
    }
    let body: serde_json::Value = serde_json::from_str(&reply.body).expect("the body of an answer is JSON");
    assert_eq!(body["code"], denial.code().name());
    assert_eq!(body["request_id"], "request-1");
    assert_eq!(body.as_object().map(serde_json::Map::len), Some(3), "{body}");
}

/// One line, with nothing in it that a terminal or a log reader would act on.
pub(super) fn check_line(line: &str) {
    assert!(!line.is_empty() && line.chars().all(|c| (' '..='~').contains(&c)), "{line:?}");
}
