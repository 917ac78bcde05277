//! The credentials that open a model's API, several of them: one that got too little rests, and the
//! next is taken.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use crate::model::Timestamp;

/// A real credential; it never reaches an agent.
#[derive(Debug, Clone)]
pub enum Credential {
    /// Sent as `x-api-key`, as Anthropic wants it.
    ApiKey(SecretString),
    /// Sent as `authorization: Bearer`, as OpenAI wants every one of its keys.
    Bearer(SecretString),
    /// A token of somebody's subscription, as `claude setup-token` gives it.
    ///
    /// Sent as `authorization: Bearer` together with the beta that Anthropic's own program names in its
    /// `anthropic-beta`; without it the API answers 401, "OAuth authentication is currently not supported".
    OAuth(SecretString),
}

impl Credential {
    /// The secret itself.
    pub(super) fn secret(&self) -> &SecretString {
        match self {
            Self::ApiKey(secret) | Self::Bearer(secret) | Self::OAuth(secret) => secret,
        }
    }

    /// What it is called where its secret must not stand: eight digits of the secret's SHA-256, so
    /// that it keeps its name when others come and go.
    #[must_use]
    pub fn name(&self) -> String {
        let digest = Sha256::digest(self.secret().expose_secret().as_bytes());
        let digits: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        format!("credential-{digits}")
    }
}

/// The credentials of one provider, in the order in which they are tried.
pub(super) struct Pool {
    credentials: Vec<Credential>,
    /// Until when each rests, by name.
    resting: Mutex<HashMap<String, Timestamp>>,
}

impl Pool {
    /// Takes credentials, and which of them rest already.
    pub(super) fn new(
        credentials: Vec<Credential>,
        resting: impl IntoIterator<Item = (String, Timestamp)>,
    ) -> Self {
        Self { credentials, resting: Mutex::new(resting.into_iter().collect()) }
    }

    /// The first credential that does not rest; else until when the first of them does. Nothing at
    /// all where there is no credential.
    pub(super) fn pick(&self, now: Timestamp) -> Result<Credential, Option<Timestamp>> {
        let resting = self.resting.lock().unwrap_or_else(PoisonError::into_inner);
        let until = |credential: &Credential| {
            resting.get(&credential.name()).copied().filter(|until| *until > now)
        };
        match self.credentials.iter().find(|credential| until(credential).is_none()) {
            Some(credential) => Ok(credential.clone()),
            None => Err(self.credentials.iter().filter_map(until).min()),
        }
    }

    /// Lets a credential rest until then.
    pub(super) fn rest(&self, credential: &Credential, until: Timestamp) {
        let mut resting = self.resting.lock().unwrap_or_else(PoisonError::into_inner);
        resting.insert(credential.name(), until);
    }

    /// When there is something to be had again: now, where a credential does not rest.
    pub(super) fn back_at(&self, now: Timestamp) -> Option<Timestamp> {
        self.pick(now).err().flatten()
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn now() -> Timestamp {
        "2026-03-04T12:00:00Z".parse().unwrap()
    }

    fn key(secret: &str) -> Credential {
        Credential::ApiKey(secret.into())
    }

    fn picked(pool: &Pool, at: Timestamp) -> Result<String, Option<Timestamp>> {
        pool.pick(at).map(|credential| credential.secret().expose_secret().to_owned())
    }

    #[test]
    fn the_next_is_taken_while_one_rests_and_the_first_again_after_that() {
        let pool = Pool::new(vec![key("one"), key("two")], []);
        assert_eq!(picked(&pool, now()), Ok("one".to_owned()));
        let soon = now() + TimeDelta::minutes(5);
        pool.rest(&key("one"), soon);
        assert_eq!(picked(&pool, now()), Ok("two".to_owned()));
        pool.rest(&key("two"), now() + TimeDelta::hours(1));
        assert_eq!(picked(&pool, now()), Err(Some(soon)));
        assert_eq!(pool.back_at(now()), Some(soon));
        assert_eq!(picked(&pool, soon), Ok("one".to_owned()));
        assert_eq!(pool.back_at(soon), None);
    }

    #[test]
    fn a_rest_outlives_a_restart_by_the_name_that_tells_no_secret() {
        let name = key("sk-ant-secret").name();
        assert!(!name.contains("secret"), "{name}");
        assert_eq!(name, Credential::Bearer("sk-ant-secret".into()).name());
        let until = now() + TimeDelta::minutes(5);
        let pool = Pool::new(vec![key("sk-ant-secret")], [(name, until)]);
        assert_eq!(picked(&pool, now()), Err(Some(until)));
        assert_eq!(picked(&Pool::new(Vec::new(), []), now()), Err(None));
    }
}
