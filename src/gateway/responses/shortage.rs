//! Whether an error of the Responses API says that there is no more to be had for now, and until when.

use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderMap, StatusCode};
use chrono::TimeDelta;
use serde_json::Value;

use crate::gateway::shortage::{OVERLOADED, Short, UNPAID, UNSAID};
use crate::model::{Shortage, Timestamp};

/// When the tokens and the requests of a minute are full again, each as `6m0s`, `1.5s` or `120ms`:
/// <https://platform.openai.com/docs/guides/rate-limits>.
const RESETS: [&str; 2] = ["x-ratelimit-reset-tokens", "x-ratelimit-reset-requests"];

/// Reads an error of the API; nothing where it is about something else.
pub(in crate::gateway) fn read(
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    now: Timestamp,
) -> Option<Short> {
    let error = serde_json::from_slice::<Value>(body).unwrap_or_default();
    let error = &error["error"];
    let is = |code: &str| error["code"] == code || error["type"] == code;
    match status {
        StatusCode::TOO_MANY_REQUESTS if is("insufficient_quota") => {
            Some(Short { why: Shortage::Credit, until: now + UNPAID })
        }
        StatusCode::TOO_MANY_REQUESTS => {
            let until = said_until(headers, error, now).unwrap_or(now + UNSAID);
            Some(Short { why: Shortage::Quota, until })
        }
        StatusCode::SERVICE_UNAVAILABLE => {
            Some(Short { why: Shortage::Overloaded, until: now + OVERLOADED })
        }
        _ => None,
    }
}

/// The latest of what headers and body say.
fn said_until(headers: &HeaderMap, error: &Value, now: Timestamp) -> Option<Timestamp> {
    let text = |name: &str| headers.get(name)?.to_str().ok();
    let after = text(RETRY_AFTER.as_str()).and_then(|seconds| seconds.parse().ok());
    let after = after.and_then(TimeDelta::try_seconds);
    let plan = error["resets_in_seconds"].as_i64().and_then(TimeDelta::try_seconds);
    let resets = RESETS.iter().filter_map(|name| span(text(name)?));
    let longest = resets.chain(after).chain(plan).max()?;
    now.checked_add_signed(longest).filter(|until| *until > now)
}

/// Reads a span such as `1h2m3.5s` or `120ms`.
fn span(text: &str) -> Option<TimeDelta> {
    let mut seconds = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        let unit = &rest[digits..];
        let (factor, length) = match unit.as_bytes() {
            [b'm', b's', ..] => (0.001, 2),
            [b'h', ..] => (3600.0, 1),
            [b'm', ..] => (60.0, 1),
            [b's', ..] => (1.0, 1),
            _ => return None,
        };
        seconds += number * factor;
        rest = &unit[length..];
    }
    let span = std::time::Duration::try_from_secs_f64(seconds).ok()?;
    TimeDelta::from_std(span).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-03-04T12:00:00Z".parse().unwrap()
    }

    fn told(status: u16, headers: &[(&'static str, &'static str)], body: &str) -> Option<Short> {
        let headers = headers.iter().map(|(name, value)| {
            (axum::http::HeaderName::from_static(name), value.parse().unwrap())
        });
        let status = StatusCode::from_u16(status).unwrap();
        read(status, &headers.collect(), body.as_bytes(), now())
    }

    #[test]
    fn the_latest_of_what_the_api_says_counts() {
        let after = |headers: &[_], body| told(429, headers, body).unwrap().until - now();
        let (tokens, requests) =
            (("x-ratelimit-reset-tokens", "6m0s"), ("x-ratelimit-reset-requests", "120ms"));
        assert_eq!(after(&[tokens, requests], ""), TimeDelta::minutes(6));
        assert_eq!(after(&[requests, ("retry-after", "7")], ""), TimeDelta::seconds(7));
        let plan = r#"{"error":{"type":"usage_limit_reached","resets_in_seconds":7200}}"#;
        assert_eq!(after(&[], plan), TimeDelta::hours(2));
        assert_eq!(after(&[("x-ratelimit-reset-tokens", "soon")], ""), UNSAID);
        assert_eq!(told(429, &[], plan).map(|short| short.why), Some(Shortage::Quota));
    }

    #[test]
    fn an_account_without_money_is_told_from_a_minute_that_is_full() {
        let words = r#"{"error":{"code":"insufficient_quota","message":"x"}}"#;
        let short = told(429, &[("retry-after", "1")], words).unwrap();
        assert_eq!((short.why, short.until), (Shortage::Credit, now() + UNPAID));
        assert_eq!(told(503, &[], "").map(|short| short.why), Some(Shortage::Overloaded));
        assert_eq!(told(500, &[], words), None);
        assert_eq!(told(400, &[], "{}"), None);
    }

    #[test]
    fn spans_are_read_in_every_unit() {
        for (text, milliseconds) in
            [("1s", 1_000), ("1.5s", 1_500), ("120ms", 120), ("1h2m3s", 3_723_000), ("0s", 0)]
        {
            assert_eq!(span(text), Some(TimeDelta::milliseconds(milliseconds)), "{text}");
        }
        for text in ["5", "s", "1x", "-1s"] {
            assert_eq!(span(text), None, "{text}");
        }
    }
}
