//! Whether an answer of the Messages API says that there is no more to be had for now, and until when.

use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use chrono::{DateTime, TimeDelta};

use crate::model::{Shortage, Timestamp};

/// How long a rest is when the API does not say until when.
pub(super) const UNSAID: TimeDelta = TimeDelta::minutes(15);

/// How long one waits for a provider that has too much to do.
pub(super) const OVERLOADED: TimeDelta = TimeDelta::minutes(5);

/// How long an account without money is left alone: somebody has to pay first.
pub(super) const UNPAID: TimeDelta = TimeDelta::hours(1);

/// An agent's program waits so long by itself; for longer its task is parked, and no sandbox, lane or
/// memory is held meanwhile.
const SHORT: TimeDelta = TimeDelta::seconds(60);

/// There is no more for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Short {
    /// Why.
    pub(super) why: Shortage,
    /// When to ask again.
    pub(super) until: Timestamp,
}

impl Short {
    /// Whether the agent's program had better wait for it than end.
    pub(super) fn is_soon_over(&self, now: Timestamp) -> bool {
        self.why == Shortage::Overloaded || self.until - now <= SHORT
    }

    /// Whether another credential could get more.
    pub(super) fn is_of_the_credential(&self) -> bool {
        match self.why {
            Shortage::Quota | Shortage::Credit => true,
            Shortage::Overloaded => false,
        }
    }
}

/// Reads an error of the API; nothing where it is about something else.
pub(super) fn read(
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    now: Timestamp,
) -> Option<Short> {
    match status.as_u16() {
        429 => {
            let until = said_until(headers, now).unwrap_or(now + UNSAID);
            Some(Short { why: Shortage::Quota, until })
        }
        529 => Some(Short { why: Shortage::Overloaded, until: now + OVERLOADED }),
        402 => Some(Short { why: Shortage::Credit, until: now + UNPAID }),
        400 | 403 if is_about_credit(body) => {
            Some(Short { why: Shortage::Credit, until: now + UNPAID })
        }
        _ => None,
    }
}

/// The later of what the headers say: the end of a subscription's window, or a number of seconds.
fn said_until(headers: &HeaderMap, now: Timestamp) -> Option<Timestamp> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.parse::<i64>().ok();
    let reset = number("anthropic-ratelimit-unified-reset");
    let reset = reset.and_then(|seconds| DateTime::from_timestamp(seconds, 0));
    let after = number(RETRY_AFTER.as_str()).and_then(TimeDelta::try_seconds);
    let after = after.and_then(|after| now.checked_add_signed(after));
    reset.max(after).filter(|until| *until > now)
}

/// The API's words for an empty account, as Claude Code 2.1.329 looks for them.
fn is_about_credit(body: &[u8]) -> bool {
    let words = String::from_utf8_lossy(body).to_lowercase();
    words.contains("credit balance is too low") || words.contains("billing_error")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-03-04T12:00:00Z".parse().unwrap()
    }

    fn told(status: u16, headers: &[(&'static str, String)], body: &str) -> Option<Short> {
        let headers = headers.iter().map(|(name, value)| {
            (axum::http::HeaderName::from_static(name), value.parse().unwrap())
        });
        let status = StatusCode::from_u16(status).unwrap();
        read(status, &headers.collect(), body.as_bytes(), now())
    }

    #[test]
    fn a_limit_ends_when_the_api_says_so() {
        let reset = now() + TimeDelta::hours(3);
        let window = ("anthropic-ratelimit-unified-reset", reset.timestamp().to_string());
        let after = ("retry-after", "7".to_owned());
        let until = |headers: &[_]| told(429, headers, "").map(|short| short.until);
        assert_eq!(until(&[window.clone(), after.clone()]), Some(reset));
        assert_eq!(until(&[after]), Some(now() + TimeDelta::seconds(7)));
        let past = ("anthropic-ratelimit-unified-reset", "1".to_owned());
        assert_eq!(until(&[past]), Some(now() + UNSAID));
        assert_eq!(until(&[("retry-after", "soon".to_owned())]), Some(now() + UNSAID));
    }

    #[test]
    fn an_empty_account_is_told_from_a_wrong_request_by_its_words() {
        let words = r#"{"error":{"message":"Your credit balance is too low to access the API"}}"#;
        assert_eq!(told(400, &[], words).map(|short| short.why), Some(Shortage::Credit));
        assert_eq!(told(400, &[], "max_tokens: too large"), None);
        assert_eq!(told(403, &[], "no access"), None);
        assert_eq!(told(500, &[], words), None);
    }

    #[test]
    fn a_program_waits_for_what_is_soon_over_and_for_a_busy_provider() {
        let soon = |status, after: &str| {
            let headers = [("retry-after", after.to_owned())];
            told(status, &headers, "").unwrap().is_soon_over(now())
        };
        assert!(soon(429, "60"));
        assert!(!soon(429, "61"));
        assert!(soon(529, "3600"));
        assert!(!soon(402, "1"));
    }
}
