//! How a client of the Responses API is told no.

use axum::Json;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::gateway::refusal::Refusal;
use crate::model::Limited;

/// Codex asks again after every status but this: so it stands for whatever asking again cannot mend.
pub(in crate::gateway) const FINAL: StatusCode = StatusCode::BAD_REQUEST;

/// Says no in the API's form.
pub(in crate::gateway) fn refuse(refusal: &Refusal) -> Response {
    let (status, code) = status_and_code(refusal);
    let error = json!({
        "message": refusal.to_string(), "type": "invalid_request_error", "param": null, "code": code,
    });
    let mut response = (status, Json(json!({"error": error}))).into_response();
    if let Refusal::Resting { seconds, .. } = refusal {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from((*seconds).max(1)));
    }
    response
}

/// What the API itself would answer with 401, 403 or 413 is final, too.
fn status_and_code(refusal: &Refusal) -> (StatusCode, &'static str) {
    match refusal {
        Refusal::OutOfReach => (StatusCode::SERVICE_UNAVAILABLE, "server_error"),
        Refusal::Unreachable => (StatusCode::BAD_GATEWAY, "server_error"),
        Refusal::Resting { soon: true, .. } => {
            (StatusCode::TOO_MANY_REQUESTS, "rate_limit_exceeded")
        }
        Refusal::Resting { soon: false, .. } => (FINAL, "rate_limit_exceeded"),
        Refusal::Limited(Limited::Budget { .. } | Limited::Quota { .. }) => {
            (FINAL, "insufficient_quota")
        }
        Refusal::UnknownToken | Refusal::Ended | Refusal::NoCredential(_) => {
            (FINAL, "invalid_api_key")
        }
        Refusal::Limited(Limited::Model { .. }) => (FINAL, "model_not_found"),
        Refusal::TooLarge => (FINAL, "context_length_exceeded"),
        Refusal::Limited(Limited::Requests { .. })
        | Refusal::Path { .. }
        | Refusal::Query(_)
        | Refusal::Malformed(_)
        | Refusal::Field(_)
        | Refusal::Tool(_)
        | Refusal::Ungranted(_)
        | Refusal::Domains(_)
        | Refusal::Content(_)
        | Refusal::Source(_) => (FINAL, "not_let_through"),
    }
}
