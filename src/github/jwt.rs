//! The App's own credential: a signed statement of who it is, valid for minutes.

use std::fmt;
use std::sync::Mutex;

use chrono::TimeDelta;
use http::HeaderValue;
use octocrab::jsonwebtoken::{self, Algorithm, EncodingKey, Header};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use super::GitHubError;
use crate::clock::Clock;
use crate::model::Timestamp;

/// Dated back, because GitHub refuses statements of the future and clocks differ.
const BACK: TimeDelta = TimeDelta::seconds(60);
/// GitHub accepts ten minutes at most; a minute is left for a clock that is ahead.
const LIFE: TimeDelta = TimeDelta::minutes(9);
/// A statement this old is made anew.
const USE: TimeDelta = TimeDelta::minutes(5);

/// Signs for the App and keeps the newest signature while it is good.
pub(super) struct Signer {
    app_id: u64,
    key: EncodingKey,
    clock: Clock,
    newest: Mutex<Option<(Timestamp, HeaderValue)>>,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("app_id", &self.app_id).finish_non_exhaustive()
    }
}

#[derive(Serialize)]
struct Claims {
    /// GitHub takes the App's number, or its client id.
    iss: u64,
    iat: i64,
    exp: i64,
}

impl Signer {
    /// Reads the private key.
    ///
    /// # Errors
    /// `Settings` when it is no RSA key in PEM.
    pub(super) fn new(app_id: u64, pem: &SecretString, clock: Clock) -> Result<Self, GitHubError> {
        let key = EncodingKey::from_rsa_pem(pem.expose_secret().as_bytes()).map_err(|error| {
            let message = format!(
                "GITHUB_PRIVATE_KEY is no RSA private key in PEM ({error}): it has to be the file \
                 that GitHub gave for the App, from -----BEGIN to -----END, line breaks included"
            );
            GitHubError::Settings { message }
        })?;
        Ok(Self { app_id, key, clock, newest: Mutex::new(None) })
    }

    /// The `Authorization` header of the App itself.
    ///
    /// # Errors
    /// `Settings` when the key cannot sign.
    pub(super) fn authorization(&self) -> Result<HeaderValue, GitHubError> {
        let now = self.clock.now();
        let mut newest = self.newest.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some((at, header)) = &*newest
            && (*at..*at + USE).contains(&now)
        {
            return Ok(header.clone());
        }
        let claims = Claims {
            iss: self.app_id,
            iat: (now - BACK).timestamp(),
            exp: (now + LIFE).timestamp(),
        };
        let unusable = |message| GitHubError::Settings { message };
        let signed = jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &self.key)
            .map_err(|error| unusable(format!("GITHUB_PRIVATE_KEY cannot sign: {error}")))?;
        let header = bearer(&SecretString::from(signed))
            .ok_or_else(|| unusable("GITHUB_PRIVATE_KEY cannot sign".to_owned()))?;
        *newest = Some((now, header.clone()));
        Ok(header)
    }
}

/// `Bearer …`, marked so that nothing prints it; none if the secret is no header value.
pub(super) fn bearer(secret: &SecretString) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", secret.expose_secret())).ok()?;
    value.set_sensitive(true);
    Some(value)
}
