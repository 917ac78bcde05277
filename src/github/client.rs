//! How Baton asks: with the right credential, within the limits, again only where that is safe.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::Semaphore;

use super::connection::{Answer, Connection, Request};
use super::jwt::{Signer, bearer};
use super::pause::{Pauses, Scope, is_limit};
use super::token::{Key, Token, Tokens};
use super::{Counters, GitHubError, error};

/// Requests of one installation at a time. GitHub's own bound is 100 for all that the App does.
const AT_ONCE: usize = 20;
/// The pauses between the tries of a call that may be repeated.
const BACKOFF: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(400)];

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub(super) enum Caller {
    /// The App itself.
    App,
    /// An installation, by this token.
    Installation(Key),
    /// Nobody: what everybody may read.
    Anyone,
}

/// One thing to ask.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub request: Request,
    /// Whether it may be sent again when nobody knows whether it was done.
    pub repeatable: bool,
}

impl Call {
    /// Reading: may be repeated.
    pub(super) fn get(path: impl Into<String>) -> Self {
        Self::of(Method::GET, path, None)
    }

    /// Replacing fields by values: may be repeated.
    pub(super) fn patch(path: impl Into<String>, body: Value) -> Self {
        Self::of(Method::PATCH, path, Some(body))
    }

    /// Deleting: may be repeated.
    pub(super) fn delete(path: impl Into<String>) -> Self {
        Self::of(Method::DELETE, path, None)
    }

    /// Making: must not be repeated blindly.
    pub(super) fn post(path: impl Into<String>, body: Value) -> Self {
        Self { repeatable: false, ..Self::of(Method::POST, path, Some(body)) }
    }

    /// Says that doing it twice is the same as doing it once.
    pub(super) fn repeatable(self) -> Self {
        Self { repeatable: true, ..self }
    }

    /// Says that doing it twice is not the same as doing it once.
    pub(super) fn once(self) -> Self {
        Self { repeatable: false, ..self }
    }

    fn of(method: Method, path: impl Into<String>, body: Option<Value>) -> Self {
        Self { request: Request { method, path: path.into(), body }, repeatable: true }
    }

    /// Method and path, as errors name it; a query says nothing to a person.
    fn what(&self) -> String {
        let path = self.request.path.split('?').next().unwrap_or_default();
        format!("{} {path}", self.request.method)
    }
}

/// A successful answer, read.
#[derive(Debug)]
pub(super) struct Read<T> {
    pub headers: HeaderMap,
    pub value: T,
}

/// Everything that calls share.
#[derive(Debug)]
pub(super) struct Client {
    pub connection: Connection,
    pub pauses: Pauses,
    pub counters: Counters,
    pub signer: Signer,
    pub tokens: Tokens,
    pub gates: Mutex<HashMap<Scope, Arc<Semaphore>>>,
}

impl Client {
    /// Asks and reads the answer's body.
    ///
    /// # Errors
    /// Any but `Settings`; see [`GitHubError`].
    pub(super) async fn read<T: DeserializeOwned>(
        &self,
        caller: Caller,
        call: &Call,
    ) -> Result<Read<T>, GitHubError> {
        let Answer { headers, body, .. } = self.ask(caller, call).await?;
        Ok(Read { headers, value: parse(call, &body)? })
    }

    /// Asks; a token that GitHub does not take is replaced once.
    ///
    /// # Errors
    /// As [`Client::read`].
    pub(super) async fn ask(&self, caller: Caller, call: &Call) -> Result<Answer, GitHubError> {
        let key = match caller {
            Caller::Anyone => return self.try_out(None, None, call).await,
            Caller::App => return self.ask_as_app(call).await,
            Caller::Installation(key) => key,
        };
        let token = self.token(key).await?;
        match self.ask_with(key, &token, call).await {
            // Nothing was done, so that this is safe for a POST too.
            Err(GitHubError::Unauthorized { .. }) => {
                self.tokens.forget(key, &token).await;
                let token = self.token(key).await?;
                self.ask_with(key, &token, call).await
            }
            asked => asked,
        }
    }

    async fn ask_with(&self, key: Key, token: &Token, call: &Call) -> Result<Answer, GitHubError> {
        let header = bearer(&token.secret).ok_or_else(|| GitHubError::Unreadable {
            what: "the installation token".to_owned(),
            message: "it cannot be sent in a header".to_owned(),
        })?;
        self.try_out(Some(key.installation), Some(&header), call).await
    }

    async fn ask_as_app(&self, call: &Call) -> Result<Answer, GitHubError> {
        let header = self.signer.authorization()?;
        let asked = self.try_out(None, Some(&header), call).await;
        asked.map_err(|error| match error {
            GitHubError::Unauthorized { message } => GitHubError::Unauthorized {
                message: format!(
                    "{message}; check that GITHUB_APP_ID and GITHUB_PRIVATE_KEY belong together, \
                     that GITHUB_API_URL is the App's GitHub, and that this machine's clock is right"
                ),
            },
            error => error,
        })
    }

    /// The token for a key, minted if need be.
    ///
    /// # Errors
    /// `NotFound` when the installation is gone, `Forbidden` when it is suspended, `Refused` when it
    /// does not have the repository or the permission; and those of every call.
    pub(super) async fn token(&self, key: Key) -> Result<Token, GitHubError> {
        let mint = async {
            let path = format!("/app/installations/{}/access_tokens", key.installation);
            // A second token beside a first that nobody got does no harm.
            let call = Call::post(path, key.request()).repeatable();
            let answer = self.ask_as_app(&call).await?;
            self.counters.minted();
            parse(&call, &answer.body)
        };
        self.tokens.get(key, mint).await
    }

    /// Sends a call until it is answered, at most three times.
    async fn try_out(
        &self,
        scope: Scope,
        authorization: Option<&HeaderValue>,
        call: &Call,
    ) -> Result<Answer, GitHubError> {
        let mut tries = BACKOFF.iter();
        loop {
            let asked = self.send(scope, authorization, call).await;
            let again = matches!(asked, Err(Failure { transient: true, .. })) && call.repeatable;
            match tries.next().filter(|_| again) {
                Some(backoff) => tokio::time::sleep(*backoff).await,
                None => return asked.map_err(|failure| failure.error),
            }
        }
    }

    /// Sends a call once, unless the scope is paused, and judges the answer.
    async fn send(
        &self,
        scope: Scope,
        authorization: Option<&HeaderValue>,
        call: &Call,
    ) -> Result<Answer, Failure> {
        let gate = self.gate(scope);
        let _permit = gate.acquire().await.expect("the gates are never closed");
        if let Some(until) = self.pauses.until(scope) {
            return Err(GitHubError::Paused { until }.into());
        }
        let exchanged = self.connection.exchange(&call.request, authorization).await;
        let answer = exchanged.map_err(|error| {
            self.counters.unanswered();
            Failure { transient: matches!(error, GitHubError::Retry { .. }), error }
        })?;
        self.judge(scope, call, answer)
    }

    fn judge(&self, scope: Scope, call: &Call, answer: Answer) -> Result<Answer, Failure> {
        let Answer { status, headers, body } = &answer;
        let limited = is_limit(*status, headers, body);
        self.counters.answered(status.as_u16(), limited);
        if limited {
            let until = self.pauses.limited(scope, headers);
            tracing::warn!(%until, scope = ?scope, "GitHub limits the App's requests");
            return Err(GitHubError::Paused { until }.into());
        }
        self.pauses.answered(scope);
        if status.is_success() {
            return Ok(answer);
        }
        let transient = matches!(status.as_u16(), 502..=504);
        Err(Failure { error: error::of_answer(&call.what(), *status, headers, body), transient })
    }

    /// Takes in a limit that GraphQL told in a successful answer.
    pub(super) fn limited(&self, scope: Scope, headers: &HeaderMap) -> GitHubError {
        GitHubError::Paused { until: self.pauses.limited(scope, headers) }
    }

    fn gate(&self, scope: Scope) -> Arc<Semaphore> {
        let mut gates = self.gates.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        gates.entry(scope).or_insert_with(|| Arc::new(Semaphore::new(AT_ONCE))).clone()
    }
}

/// A failed try.
struct Failure {
    error: GitHubError,
    /// Whether another try may bring more.
    transient: bool,
}

impl From<GitHubError> for Failure {
    fn from(error: GitHubError) -> Self {
        Self { error, transient: false }
    }
}

/// Reads a body; an empty one counts as `{}`.
fn parse<T: DeserializeOwned>(call: &Call, body: &[u8]) -> Result<T, GitHubError> {
    let body = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body)
        .map_err(|error| GitHubError::Unreadable { what: call.what(), message: error.to_string() })
}
