//! What an agent's program is told instead of an answer, in the form of the Messages API; that of the
//! other is in `responses`.

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::model::BUDGET_SPENT;

/// The API's clients obey it: without it a 401 is tried ten more times.
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// Why a request is not let through.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("no agent has this token")]
    UnknownToken,
    #[error("this agent has ended")]
    Ended,
    #[error("{0}")]
    Budget(&'static str),
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
    #[error("content of type {0:?} is not let through")]
    Content(String),
    #[error("a source of type {0:?} is not let through: give the data itself")]
    Source(String),
    #[error("the model {0:?} was not granted to this agent")]
    Model(String),
    #[error("Baton has no credential for this API: its operator has to set {0}")]
    NoCredential(&'static str),
    #[error("the agent's rights cannot be looked up right now")]
    OutOfReach,
    #[error("the model's API cannot be reached")]
    Unreachable,
}

impl Refusal {
    /// Refuses for want of money.
    pub(super) const SPENT: Self = Self::Budget(BUDGET_SPENT);

    fn status(&self) -> StatusCode {
        match self {
            Self::UnknownToken => StatusCode::UNAUTHORIZED,
            Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::OutOfReach => StatusCode::SERVICE_UNAVAILABLE,
            Self::Unreachable => StatusCode::BAD_GATEWAY,
            Self::Ended
            | Self::Budget(_)
            | Self::Path { .. }
            | Self::Query(_)
            | Self::Field(_)
            | Self::Tool(_)
            | Self::Content(_)
            | Self::Source(_)
            | Self::Model(_)
            | Self::NoCredential(_) => StatusCode::FORBIDDEN,
        }
    }

    /// The API's word for it: <https://docs.claude.com/en/api/errors>.
    fn kind(&self) -> &'static str {
        match self {
            Self::UnknownToken => "authentication_error",
            Self::Malformed(_) => "invalid_request_error",
            Self::TooLarge => "request_too_large",
            Self::Budget(_) => "billing_error",
            Self::OutOfReach | Self::Unreachable => "api_error",
            Self::Ended
            | Self::Path { .. }
            | Self::Query(_)
            | Self::Field(_)
            | Self::Tool(_)
            | Self::Content(_)
            | Self::Source(_)
            | Self::Model(_)
            | Self::NoCredential(_) => "permission_error",
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = self.status();
        let error = json!({"type": self.kind(), "message": self.to_string()});
        let mut response = (status, Json(json!({"type": "error", "error": error}))).into_response();
        if !status.is_server_error() {
            response.headers_mut().insert(SHOULD_RETRY, HeaderValue::from_static("false"));
        }
        response
    }
}
