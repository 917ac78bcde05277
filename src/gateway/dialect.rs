//! The model APIs that are served: each has its paths, its checks, its figures and its way of saying no.

use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::model::{Timestamp, WebTools};

use super::bill::{Allowed, Size};
use super::headers::SHOULD_RETRY;
use super::refusal::Refusal;
use super::request::{self, Checked};
use super::shortage::{self, Short};
use super::web::Passing;
use super::{responses, survey};

/// A model API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Anthropic's Messages API.
    Messages,
    /// OpenAI's Responses API.
    Responses,
}

/// What of an API is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Target {
    /// Of which API.
    pub(super) dialect: Dialect,
    /// Path and query, as the API is asked.
    pub(super) path: &'static str,
    /// Whether the API asks no money for it.
    pub(super) is_free: bool,
}

/// The paths that are served, each also as it is with `?beta=true`, where that means something.
const TARGETS: [(&str, Target, Option<&str>); 3] = [
    (
        "/v1/messages",
        Target { dialect: Dialect::Messages, path: "/v1/messages", is_free: false },
        Some("/v1/messages?beta=true"),
    ),
    (
        "/v1/messages/count_tokens",
        Target { dialect: Dialect::Messages, path: "/v1/messages/count_tokens", is_free: true },
        Some("/v1/messages/count_tokens?beta=true"),
    ),
    (
        "/v1/responses",
        Target { dialect: Dialect::Responses, path: "/v1/responses", is_free: false },
        None,
    ),
];

impl Target {
    /// Finds what is asked for, if it is served.
    pub(super) fn find(method: &Method, path: &str, query: Option<&str>) -> Result<Self, Refusal> {
        let known = TARGETS.iter().find(|(known, ..)| *known == path && method == Method::POST);
        let Some((_, target, with_beta)) = known else {
            let path = path.chars().take(200).collect();
            return Err(Refusal::Path { method: method.to_string(), path });
        };
        match (query, with_beta) {
            (None, _) => Ok(*target),
            (Some("beta=true"), Some(path)) => Ok(Self { path, ..*target }),
            (Some(other), _) => Err(Refusal::Query(other.chars().take(80).collect())),
        }
    }
}

impl Dialect {
    /// The API whose client asks for a path, also for one that is not served.
    pub(super) fn of_path(path: &str) -> Self {
        if path.starts_with("/v1/responses") { Self::Responses } else { Self::Messages }
    }

    /// Checks a body.
    pub(super) fn check(self, body: &[u8], passing: Passing<'_>) -> Result<Checked, Refusal> {
        match self {
            Self::Messages => request::check(body, passing),
            Self::Responses => responses::check(body, passing),
        }
    }

    /// Says no so that the API's clients understand it and do not ask again in vain.
    pub(super) fn refuse(self, refusal: Refusal) -> Response {
        match self {
            Self::Messages => refusal.into_response(),
            Self::Responses => responses::refuse(&refusal),
        }
    }

    /// A body that passed, asking for no more than its answer is let have.
    pub(super) fn held_to(
        self,
        body: &[u8],
        size: &Size,
        allowed: Allowed,
        named: &WebTools,
    ) -> Vec<u8> {
        match self {
            Self::Messages => survey::held_to(body, size, allowed, named),
            Self::Responses => responses::held_to(body, size, allowed, named),
        }
    }

    /// Whether an error says that there is no more for now, and until when.
    pub(super) fn shortage(
        self,
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
        now: Timestamp,
    ) -> Option<Short> {
        match self {
            Self::Messages => shortage::read(status, headers, body, now),
            Self::Responses => responses::shortage(status, headers, body, now),
        }
    }

    /// Tells the API's clients with an error that asking again is of no use.
    pub(super) fn make_final(self, status: &mut StatusCode, headers: &mut HeaderMap) {
        match self {
            Self::Messages => {
                headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
            }
            Self::Responses => *status = responses::FINAL,
        }
    }

    /// Whose API it is.
    pub(super) fn provider(self) -> &'static str {
        match self {
            Self::Messages => "anthropic",
            Self::Responses => "openai",
        }
    }

    /// The variable that opens this API.
    pub(super) fn key_variable(self) -> &'static str {
        match self {
            Self::Messages => "ANTHROPIC_API_KEY",
            Self::Responses => "OPENAI_API_KEY",
        }
    }
}
