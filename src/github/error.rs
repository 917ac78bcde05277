//! What can go wrong with GitHub, by what the caller can do about it.

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::Value;

use crate::model::Timestamp;

/// The longest message taken over from GitHub, in characters.
const MESSAGE_LIMIT: usize = 500;
/// How long to wait after a failure for which GitHub names no time.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Why a call brought nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GitHubError {
    /// GitHub failed or was not reached: ask again later. Whether a write was done is unknown.
    #[error("GitHub did not answer ({message}); to be tried again in {} s", after.as_secs())]
    Retry {
        /// Not sooner than after this time.
        after: Duration,
        /// What happened.
        message: String,
    },
    /// GitHub limits the installation: nothing was done, nothing more is sent until then.
    #[error("GitHub limits this installation until {until}")]
    Paused {
        /// When it may be asked again.
        until: Timestamp,
    },
    /// There is none, or the App may not know of it.
    #[error("{what} was not found on GitHub")]
    NotFound {
        /// Method and path.
        what: String,
    },
    /// There was one, and it is deleted for good.
    #[error("{what} is gone from GitHub")]
    Gone {
        /// Method and path.
        what: String,
    },
    /// The App's installation lacks a permission: a person has to grant it.
    #[error("GitHub does not allow this App to {what} (needs {needs}): {message}")]
    Forbidden {
        /// Method and path.
        what: String,
        /// The permission as GitHub names it, `issues=write`; `a further permission` where it does
        /// not say.
        needs: String,
        /// GitHub's words.
        message: String,
    },
    /// The object is not in the state that the write supposes: look again.
    #[error("GitHub found a conflict: {message}")]
    Conflict {
        /// GitHub's words.
        message: String,
    },
    /// GitHub will not do this, however often it is asked.
    #[error("GitHub refused ({status}): {message}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// GitHub's words.
        message: String,
    },
    /// GitHub does not accept the App's key or token: the operator has to act.
    #[error("GitHub does not accept the App: {message}")]
    Unauthorized {
        /// Which setting to check, and GitHub's words.
        message: String,
    },
    /// A setting is wrong: the operator has to act. Found before anything was sent.
    #[error("{message}")]
    Settings {
        /// Which setting and what is wrong with it.
        message: String,
    },
    /// The answer is not of the form that GitHub documents.
    #[error("the answer to {what} could not be read: {message}")]
    Unreadable {
        /// Method and path.
        what: String,
        /// Where it departs.
        message: String,
    },
}

/// Turns "there is none" into `None`.
pub(super) fn found<T>(result: Result<T, GitHubError>) -> Result<Option<T>, GitHubError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(GitHubError::NotFound { .. } | GitHubError::Gone { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

#[derive(Deserialize)]
struct Words {
    message: Option<String>,
    #[serde(default)]
    errors: Value,
}

/// What GitHub says in the body of a refusal, its list of errors included.
pub(super) fn words(status: StatusCode, body: &[u8]) -> String {
    let said = match serde_json::from_slice::<Words>(body) {
        Ok(Words { message, errors }) => {
            let mut parts: Vec<String> = message.into_iter().collect();
            parts.extend(errors.as_array().into_iter().flatten().map(one_error));
            parts.join("; ")
        }
        // A proxy's page says nothing that the status does not.
        Err(_) => String::new(),
    };
    if said.is_empty() {
        return status.canonical_reason().unwrap_or("no reason given").to_owned();
    }
    said.chars().take(MESSAGE_LIMIT).collect()
}

/// One entry of `errors`: a sentence, or an object of resource, field, code and perhaps a message.
fn one_error(error: &Value) -> String {
    if let Some(text) = error.as_str().or_else(|| error["message"].as_str()) {
        return text.to_owned();
    }
    let part = |name: &str| error[name].as_str().unwrap_or("?").to_owned();
    format!("{}.{}: {}", part("resource"), part("field"), part("code"))
}

/// The error of an answer that is neither a success nor a limit.
pub(super) fn of_answer(
    what: &str,
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
) -> GitHubError {
    let what = what.to_owned();
    let message = words(status, body);
    match status.as_u16() {
        401 => GitHubError::Unauthorized { message },
        403 => GitHubError::Forbidden { what, needs: needed(headers), message },
        404 => GitHubError::NotFound { what },
        409 => GitHubError::Conflict { message },
        410 => GitHubError::Gone { what },
        500.. => GitHubError::Retry { after: retry_after(headers).unwrap_or(RETRY_AFTER), message },
        status => GitHubError::Refused { status, message },
    }
}

/// The error of a request that got no answer.
pub(super) fn unreachable(message: String) -> GitHubError {
    GitHubError::Retry { after: RETRY_AFTER, message }
}

/// `X-Accepted-GitHub-Permissions`: what would have been enough.
fn needed(headers: &HeaderMap) -> String {
    let named = headers.get("x-accepted-github-permissions").and_then(|value| value.to_str().ok());
    named.filter(|named| !named.is_empty()).unwrap_or("a further permission").to_owned()
}

/// `Retry-After` in seconds; GitHub uses no dates there.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(http::header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_in_githubs_own_words() {
        let body = br#"{"message":"Validation Failed","errors":[
            {"resource":"Label","code":"already_exists","field":"name"},
            {"resource":"PullRequest","code":"custom","message":"A pull request already exists"},
            "Line could not be resolved"]}"#;
        assert_eq!(
            words(StatusCode::UNPROCESSABLE_ENTITY, body),
            "Validation Failed; Label.name: already_exists; A pull request already exists; \
             Line could not be resolved"
        );
        assert_eq!(words(StatusCode::BAD_GATEWAY, b"<html>"), "Bad Gateway");
    }

    #[test]
    fn a_missing_permission_is_named() {
        let mut headers = HeaderMap::new();
        headers.insert(
            "x-accepted-github-permissions",
            http::HeaderValue::from_static("issues=write"),
        );
        let error = of_answer("POST /x", StatusCode::FORBIDDEN, &headers, b"{}");
        assert_eq!(
            error.to_string(),
            "GitHub does not allow this App to POST /x (needs issues=write): Forbidden"
        );
    }
}
