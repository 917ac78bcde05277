//! Which installations GitHub limits at the moment, and until when.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use chrono::TimeDelta;
use http::{HeaderMap, StatusCode};

use super::error::{retry_after, words};
use crate::clock::Clock;
use crate::model::{InstallationId, Timestamp};

/// The wait after a limit for which GitHub names no time: its documentation says a minute at least,
/// longer each time.
const FIRST_WAIT: Duration = Duration::from_secs(60);
/// No wait is longer: the primary limit is per hour.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);
/// After so many limits in a row the wait grows no more.
const STRIKES: u32 = 4;

/// Whose limit: an installation's, or the App's own (`None`).
pub(super) type Scope = Option<InstallationId>;

/// The pauses that this process knows of.
#[derive(Debug)]
pub(super) struct Pauses {
    clock: Clock,
    known: Mutex<HashMap<Scope, Pause>>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Pause {
    until: Option<Timestamp>,
    strikes: u32,
    /// Whether somebody still has to tell the other replicas.
    untold: bool,
}

impl Pauses {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, known: Mutex::default() }
    }

    fn with<T>(&self, change: impl FnOnce(&mut HashMap<Scope, Pause>) -> T) -> T {
        change(&mut self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// Until when the scope is paused, if it is.
    pub(super) fn until(&self, scope: Scope) -> Option<Timestamp> {
        let now = self.clock.now();
        self.with(|known| known.get(&scope)?.until.filter(|until| *until > now))
    }

    /// Takes in that GitHub limits the scope; the longer pause holds.
    pub(super) fn limited(&self, scope: Scope, headers: &HeaderMap) -> Timestamp {
        let now = self.clock.now();
        self.with(|known| {
            let pause = known.entry(scope).or_default();
            let until = now + wait(headers, now, pause.strikes);
            pause.strikes = (pause.strikes + 1).min(STRIKES);
            pause.untold = true;
            let until = pause.until.map_or(until, |known| known.max(until));
            pause.until = Some(until);
            until
        })
    }

    /// Takes in that GitHub answers the scope again.
    pub(super) fn answered(&self, scope: Scope) {
        self.with(|known| {
            if let Some(pause) = known.get_mut(&scope) {
                pause.strikes = 0;
            }
        });
    }

    /// Takes in what another replica was told; never shortens.
    pub(super) fn observe(&self, installation: InstallationId, until: Timestamp) {
        self.with(|known| {
            let pause = known.entry(Some(installation)).or_default();
            pause.until = Some(pause.until.map_or(until, |known| known.max(until)));
        });
    }

    /// Gives what the other replicas have to be told, once.
    pub(super) fn take(&self) -> Vec<(InstallationId, Timestamp)> {
        let untold = |(scope, pause): (&Scope, &mut Pause)| {
            let untold = std::mem::take(&mut pause.untold);
            scope.zip(pause.until).filter(|_| untold)
        };
        self.with(|known| known.iter_mut().filter_map(untold).collect())
    }
}

/// Whether an answer says that there were too many requests, rather than that one is forbidden.
pub(super) fn is_limit(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> bool {
    match status.as_u16() {
        429 => true,
        403 => {
            let spent = headers.get("x-ratelimit-remaining").is_some_and(|left| left == "0");
            spent || retry_after(headers).is_some() || {
                words(status, body).to_ascii_lowercase().contains("rate limit")
            }
        }
        _ => false,
    }
}

/// `Retry-After`, else the time at which the limit starts anew, else a wait that doubles.
fn wait(headers: &HeaderMap, now: Timestamp, strikes: u32) -> TimeDelta {
    let named = retry_after(headers).or_else(|| until_reset(headers, now));
    let wait = named.unwrap_or(FIRST_WAIT * 2u32.pow(strikes));
    TimeDelta::from_std(wait.clamp(Duration::from_secs(1), LONGEST_WAIT))
        .unwrap_or(TimeDelta::seconds(60))
}

/// `X-RateLimit-Reset` counts only where the limit is spent: GitHub sends it with every answer.
fn until_reset(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    headers.get("x-ratelimit-remaining").filter(|left| *left == "0")?;
    let reset = headers.get("x-ratelimit-reset")?.to_str().ok()?.parse().ok()?;
    (chrono::DateTime::from_timestamp(reset, 0)? - now).to_std().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, String)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, String)| {
            (http::HeaderName::from_static(name), value.parse().expect("a header value"))
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn the_wait_is_githubs_own_where_it_names_one() {
        let now = Clock::system().now();
        let named = headers(&[("retry-after", "7".into())]);
        assert_eq!(wait(&named, now, 3), TimeDelta::seconds(7));
        let spent = headers(&[
            ("x-ratelimit-remaining", "0".into()),
            ("x-ratelimit-reset", (now.timestamp() + 600).to_string()),
        ]);
        assert!((wait(&spent, now, 0) - TimeDelta::seconds(600)).num_seconds().abs() <= 1);
        // A reset header next to a limit that is not spent says nothing about a secondary limit.
        let secondary = headers(&[
            ("x-ratelimit-remaining", "4000".into()),
            ("x-ratelimit-reset", (now.timestamp() + 600).to_string()),
        ]);
        assert_eq!(wait(&secondary, now, 0), TimeDelta::seconds(60));
    }

    #[test]
    fn without_a_time_the_wait_grows_until_github_answers() {
        let pauses = Pauses::new(Clock::system());
        let scope = Some(InstallationId(1));
        let wait = |pauses: &Pauses| {
            (pauses.limited(scope, &HeaderMap::new()) - pauses.clock.now()).num_seconds()
        };
        assert!((59..=60).contains(&wait(&pauses)));
        assert!((119..=120).contains(&wait(&pauses)));
        pauses.answered(scope);
        pauses.clock.advance(TimeDelta::hours(1));
        assert!((59..=60).contains(&wait(&pauses)));
    }

    #[test]
    fn a_pause_is_told_to_others_once_and_one_heard_of_is_not() {
        let pauses = Pauses::new(Clock::system());
        let until = pauses.limited(Some(InstallationId(1)), &HeaderMap::new());
        pauses.observe(InstallationId(2), until);
        assert_eq!(pauses.take(), [(InstallationId(1), until)]);
        assert_eq!(pauses.take(), []);
        assert_eq!(pauses.until(Some(InstallationId(2))), Some(until));
        pauses.clock.advance(TimeDelta::hours(2));
        assert_eq!(pauses.until(Some(InstallationId(2))), None);
    }

    #[test]
    fn a_forbidden_write_is_no_limit() {
        let none = HeaderMap::new();
        let says = |text: &str| format!("{{\"message\":\"{text}\"}}").into_bytes();
        let forbidden = says("Resource not accessible by integration");
        assert!(!is_limit(StatusCode::FORBIDDEN, &none, &forbidden));
        let limited = says("You have exceeded a secondary rate limit. Please wait.");
        assert!(is_limit(StatusCode::FORBIDDEN, &none, &limited));
        assert!(is_limit(StatusCode::TOO_MANY_REQUESTS, &none, b""));
    }
}
