//! Values for people: strangers' texts escaped and cut, times with their distance from now.

use std::time::Duration;

use chrono::DateTime;
use serde_json::Value;

/// Longest text that is shown, in characters.
const SHOWN: usize = 100;

/// A JSON value as it is written, escaped to ASCII and cut; a plain string without its quotes.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::String(string) => text(string),
        Value::Array(values) => {
            let all: Vec<String> = values.iter().map(shown).collect();
            cut(format!("[{}]", all.join(", ")))
        }
        other => cut(other.to_string().escape_default().to_string()),
    }
}

/// A text that a stranger may have chosen.
pub(super) fn text(text: &str) -> String {
    let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\\' | ';');
    let simple = |c: char| plain(c) || c == ' ';
    if !text.is_empty() && text.chars().all(simple) && text.trim() == text {
        cut(text.to_owned())
    } else {
        cut(format!("\"{}\"", text.escape_default()))
    }
}

/// Texts, separated by commas.
pub(super) fn list(texts: &[Box<str>]) -> String {
    texts.iter().map(|one| text(one)).collect::<Vec<_>>().join(", ")
}

fn cut(text: String) -> String {
    if text.chars().count() <= SHOWN { text } else { text.chars().take(SHOWN).chain(['…']).collect() }
}

/// A time as a date with its distance from now; what is no time, as it is written.
pub(super) fn moment(value: &Value, now: i64) -> String {
    let time = value.as_f64().and_then(|seconds| Some((seconds, date(seconds)?)));
    time.map_or_else(|| shown(value), |(seconds, date)| format!("{date}, {}", ago(seconds, now)))
}

/// Seconds since the epoch as a date and a time in UTC.
pub(super) fn date(seconds: f64) -> Option<String> {
    let in_calendar = (0.0..=253_402_300_799.0).contains(&seconds);
    let date = DateTime::from_timestamp(seconds as i64, 0).filter(|_| in_calendar)?;
    Some(date.format("%Y-%m-%d %H:%M:%S UTC").to_string())
}

/// How long ago, or how far ahead.
pub(super) fn ago(seconds: f64, now: i64) -> String {
    let distance = now as f64 - seconds;
    let length = duration(Duration::from_secs_f64(distance.abs().min(1e12)));
    if distance.abs() < 1.0 {
        "now".to_owned()
    } else if distance > 0.0 {
        format!("{length} ago")
    } else {
        format!("in {length}")
    }
}

/// The two largest units of a length of time.
pub(super) fn duration(length: Duration) -> String {
    let seconds = length.as_secs();
    if seconds < 1 && length > Duration::ZERO {
        return format!("{} ms", length.as_millis());
    }
    let units = [(31_557_600, "years"), (86_400, "d"), (3600, "h"), (60, "min"), (1, "s")];
    let mut rest = seconds;
    let mut said = Vec::new();
    for (unit, name) in units {
        let count = rest.checked_div(unit).unwrap_or_default();
        rest = rest.checked_rem(unit).unwrap_or_default();
        if count > 0 {
            said.push(format!("{count} {name}"));
        } else if !said.is_empty() {
            break;
        }
    }
    said.truncate(2);
    if said.is_empty() { "0 s".to_owned() } else { said.join(" ") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_strangers_text_moves_no_cursor() {
        assert_eq!(text("movie-1"), "movie-1");
        assert_eq!(text("a b"), "a b");
        assert_eq!(text(""), "\"\"");
        assert_eq!(text("a\u{1b}[31m\u{202e}"), "\"a\\u{1b}[31m\\u{202e}\"");
        assert_eq!(text(&"x".repeat(101)).chars().count(), 101);
        assert_eq!(shown(&json!({"a": "\u{9b}"})), r#"{\"a\":\"\u{9b}\"}"#);
    }

    #[test]
    fn a_time_has_its_distance() {
        assert_eq!(moment(&json!(1_764_000_000), 1_764_000_095), "2025-11-24 16:00:00 UTC, 1 min 35 s ago");
        assert_eq!(ago(10.0, 0), "in 10 s");
        assert_eq!(ago(0.0, 3605), "1 h ago");
        assert_eq!(ago(0.0, 90_000), "1 d 1 h ago");
        assert_eq!(ago(5.2, 5), "now");
        assert_eq!(moment(&json!("soon"), 0), "soon");
        assert_eq!(moment(&json!(1e300), 0), "1e+300");
    }
}
