//! What an agent's program is told instead of an answer, in the form of the Messages API; that of the
//! other is in `responses`.

use axum::Json;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::model::{BUDGET_SPENT, BudgetScope, Limited};

use super::headers::SHOULD_RETRY;

/// How much is kept of what an agent's program named, in characters.
const LONGEST_TRIED: usize = 100;

/// Why a request is not let through.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("no agent has this token")]
    UnknownToken,
    #[error("this agent has ended")]
    Ended,
    #[error("{}", words(.0))]
    Limited(Limited),
    #[error("the model's provider gives no more for {seconds} seconds")]
    Resting { seconds: i64, soon: bool },
    #[error("{method} {path} is not served here")]
    Path { method: String, path: String },
    #[error("the request's query {0:?} is not let through")]
    Query(String),
    #[error("the body is no JSON that can be checked: {0}")]
    Malformed(String),
    #[error("the body is larger than 32 MiB")]
    TooLarge,
    #[error("the body's field {0:?} is not let through")]
    Field(String),
    #[error("tools of type {0:?} are not let through: they run outside of the sandbox")]
    Tool(String),
    #[error(
        "tools of type {0:?} are let through here, and not for this agent: its repository's policy has to \
         ask with `roles.ROLE.web: true`, and nobody without write access may have put words into its task"
    )]
    Ungranted(String),
    #[error("pages are read of {0} alone: name which of these as `allowed_domains`")]
    Domains(String),
    #[error("content of type {0:?} is not let through")]
    Content(String),
    #[error("a source of type {0:?} is not let through: give the data itself")]
    Source(String),
    #[error("Baton has no credential for this API: its operator has to set {0}")]
    NoCredential(&'static str),
    #[error("the agent's rights cannot be looked up right now")]
    OutOfReach,
    #[error("the model's API cannot be reached")]
    Unreachable,
}

impl Refusal {
    fn status(&self) -> StatusCode {
        match self {
            Self::UnknownToken => StatusCode::UNAUTHORIZED,
            Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::OutOfReach => StatusCode::SERVICE_UNAVAILABLE,
            Self::Unreachable => StatusCode::BAD_GATEWAY,
            Self::Resting { .. } => StatusCode::TOO_MANY_REQUESTS,
            // A 403 is final to the programs, whatever it is about.
            Self::Ended
            | Self::Limited(_)
            | Self::Path { .. }
            | Self::Query(_)
            | Self::Field(_)
            | Self::Tool(_)
            | Self::Ungranted(_)
            | Self::Domains(_)
            | Self::Content(_)
            | Self::Source(_)
            | Self::NoCredential(_) => StatusCode::FORBIDDEN,
        }
    }

    /// What was tried, where it was a way out that nobody has; none for limits, and for what is merely broken.
    pub(super) fn tried(&self) -> Option<String> {
        let tried = match self {
            Self::Path { method, path } => format!("{method} {path}"),
            Self::Query(query) => format!("the query {query}"),
            Self::Field(field) => format!("the field {field}"),
            Self::Tool(kind) | Self::Ungranted(kind) => kind.clone(),
            Self::Domains(_) => "pages of another domain".to_owned(),
            Self::Content(kind) => format!("content of type {kind}"),
            Self::Source(kind) => format!("a source of type {kind}"),
            Self::UnknownToken
            | Self::Ended
            | Self::Limited(_)
            | Self::Resting { .. }
            | Self::Malformed(_)
            | Self::TooLarge
            | Self::NoCredential(_)
            | Self::OutOfReach
            | Self::Unreachable => return None,
        };
        Some(tried.chars().take(LONGEST_TRIED).collect())
    }

    /// The API's word for it: <https://docs.claude.com/en/api/errors>.
    fn kind(&self) -> &'static str {
        match self {
            Self::UnknownToken => "authentication_error",
            Self::Malformed(_) => "invalid_request_error",
            Self::TooLarge => "request_too_large",
            Self::Limited(Limited::Budget { .. }) => "billing_error",
            Self::Resting { .. } => "rate_limit_error",
            Self::OutOfReach | Self::Unreachable => "api_error",
            Self::Ended
            | Self::Limited(
                Limited::Requests { .. } | Limited::Model { .. } | Limited::Quota { .. },
            )
            | Self::Path { .. }
            | Self::Query(_)
            | Self::Field(_)
            | Self::Tool(_)
            | Self::Ungranted(_)
            | Self::Domains(_)
            | Self::Content(_)
            | Self::Source(_)
            | Self::NoCredential(_) => "permission_error",
        }
    }

    /// Whether the program may ask again by itself.
    fn may_be_tried_again(&self) -> bool {
        match self {
            Self::Resting { soon, .. } => *soon,
            other => other.status().is_server_error(),
        }
    }
}

/// What an agent's program is told of a limit; its own words go on to the log and the thread.
fn words(limited: &Limited) -> String {
    match limited {
        Limited::Budget { scope, left, needs } => format!(
            "{BUDGET_SPENT}: {left} of {} is left, and this request may cost {needs}",
            whose(*scope)
        ),
        Limited::Requests { most } => {
            format!("this agent has made all {most} requests that one agent may make")
        }
        Limited::Model { model } => format!("the model {model:?} was not granted to this agent"),
        Limited::Quota { until, .. } => {
            format!("the model's provider gives no more before {until}")
        }
    }
}

fn whose(scope: BudgetScope) -> &'static str {
    match scope {
        BudgetScope::Agent => "the agent's",
        BudgetScope::Task => "the task's",
        BudgetScope::RepositoryDay => "the repository's for today",
        BudgetScope::ServerDay => "the server's for today",
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = self.status();
        let error = json!({"type": self.kind(), "message": self.to_string()});
        let mut response = (status, Json(json!({"type": "error", "error": error}))).into_response();
        if !self.may_be_tried_again() {
            response.headers_mut().insert(SHOULD_RETRY, HeaderValue::from_static("false"));
        }
        if let Self::Resting { seconds, .. } = self {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        response
    }
}
