//! Installation tokens: minted when needed, one at a time, kept until shortly before they end.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use chrono::TimeDelta;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Value, json};

use super::GitHubError;
use crate::clock::Clock;
use crate::model::{InstallationId, RepositoryId, Timestamp};

/// A token is not used in the last minutes of its hour: what begins with it has to end with it.
const MARGIN: TimeDelta = TimeDelta::minutes(5);

/// What a git program may do with a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Access {
    /// Clone and fetch.
    Read,
    /// Push as well.
    Write,
}

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Grant {
    /// Everything that the installation allows.
    Full,
    /// Reading names and settings.
    Metadata,
    /// Contents alone.
    Contents(Access),
    /// Opening and finding pull requests from this repository of the same installation, which others cannot see.
    PullFrom(RepositoryId),
}

/// Which token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub installation: InstallationId,
    /// None: all that the installation reaches.
    pub repository: Option<RepositoryId>,
    pub grant: Grant,
}

impl Key {
    /// The body of the request for the token.
    pub(super) fn request(&self) -> Value {
        let mut body = match self.grant {
            Grant::Full => json!({}),
            Grant::Metadata => json!({ "permissions": { "metadata": "read" } }),
            Grant::Contents(Access::Read) => json!({ "permissions": { "contents": "read" } }),
            Grant::Contents(Access::Write) => json!({ "permissions": { "contents": "write" } }),
            Grant::PullFrom(_) => {
                json!({ "permissions": { "contents": "read", "pull_requests": "write" } })
            }
        };
        let from = match self.grant {
            Grant::PullFrom(from) => Some(from),
            Grant::Full | Grant::Metadata | Grant::Contents(_) => None,
        };
        if let Some(repository) = self.repository {
            let reached: Vec<_> = [repository].into_iter().chain(from).collect();
            body["repository_ids"] = json!(reached);
        }
        body
    }
}

/// A token; its `Debug` shows no secret, and nothing is assumed of the secret's form.
#[derive(Debug, Clone, Deserialize)]
#[serde(from = "Minted")]
pub(super) struct Token {
    pub secret: SecretString,
    pub expires_at: Timestamp,
    /// Tells two tokens apart without comparing secrets.
    serial: u64,
}

#[derive(Deserialize)]
struct Minted {
    token: String,
    expires_at: Timestamp,
}

impl From<Minted> for Token {
    fn from(minted: Minted) -> Self {
        let Minted { token, expires_at } = minted;
        Self { secret: SecretString::from(token), expires_at, serial: 0 }
    }
}

type Slot = Arc<tokio::sync::Mutex<Option<Token>>>;

/// The tokens in use.
#[derive(Debug)]
pub(super) struct Tokens {
    clock: Clock,
    slots: Mutex<HashMap<Key, Slot>>,
    serial: std::sync::atomic::AtomicU64,
}

impl Tokens {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, slots: Mutex::default(), serial: 1.into() }
    }

    fn slot(&self, key: Key) -> Slot {
        let mut slots = self.slots.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        slots.entry(key).or_default().clone()
    }

    /// The token; `mint` is run only if there is none that is good, and others wait meanwhile.
    ///
    /// # Errors
    /// What `mint` fails with; the next caller mints again.
    pub(super) async fn get(
        &self,
        key: Key,
        mint: impl Future<Output = Result<Token, GitHubError>>,
    ) -> Result<Token, GitHubError> {
        let slot = self.slot(key);
        let mut held = slot.lock().await;
        if let Some(token) = &*held
            && token.expires_at - MARGIN > self.clock.now()
        {
            return Ok(token.clone());
        }
        *held = None;
        let mut token = mint.await?;
        token.serial = self.serial.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Ok(held.insert(token).clone())
    }

    /// Forgets a token that GitHub did not take, unless it was replaced already.
    pub(super) async fn forget(&self, key: Key, refused: &Token) {
        let slot = self.slot(key);
        let mut held = slot.lock().await;
        if held.as_ref().is_some_and(|token| token.serial == refused.serial) {
            *held = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tokens_secret_is_never_printed() {
        let token: Token = serde_json::from_value(json!({
            "token": "ghs_secret", "expires_at": "2030-01-01T00:00:00Z"
        }))
        .expect("a token");
        assert!(!format!("{token:?}").contains("ghs_secret"));
    }

    #[test]
    fn a_token_is_asked_for_with_no_more_than_it_needs() {
        let key = |repository, grant| Key { installation: InstallationId(1), repository, grant };
        let read = key(Some(RepositoryId(7)), Grant::Contents(Access::Read));
        assert_eq!(
            read.request(),
            json!({ "permissions": { "contents": "read" }, "repository_ids": [7] })
        );
        let opens = key(Some(RepositoryId(7)), Grant::PullFrom(RepositoryId(8)));
        assert_eq!(opens.request()["repository_ids"], json!([7, 8]));
        let full = key(Some(RepositoryId(7)), Grant::Full);
        assert_eq!(full.request(), json!({ "repository_ids": [7] }));
    }
}
