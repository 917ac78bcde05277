//! How a client of the Responses API is told no.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::gateway::refusal::Refusal;

/// Says no in the API's form.
pub(in crate::gateway) fn refuse(refusal: &Refusal) -> Response {
    let (status, code) = status_and_code(refusal);
    let error = json!({
        "message": refusal.to_string(), "type": "invalid_request_error", "param": null, "code": code,
    });
    (status, Json(json!({"error": error}))).into_response()
}

/// Codex asks again after every status but 400: so whatever asking again cannot mend is a 400, also
/// what the API itself would answer with 401, 403 or 413.
fn status_and_code(refusal: &Refusal) -> (StatusCode, &'static str) {
    match refusal {
        Refusal::OutOfReach => (StatusCode::SERVICE_UNAVAILABLE, "server_error"),
        Refusal::Unreachable => (StatusCode::BAD_GATEWAY, "server_error"),
        Refusal::Budget(_) => (StatusCode::BAD_REQUEST, "insufficient_quota"),
        Refusal::UnknownToken | Refusal::Ended | Refusal::NoCredential(_) => {
            (StatusCode::BAD_REQUEST, "invalid_api_key")
        }
        Refusal::Model(_) => (StatusCode::BAD_REQUEST, "model_not_found"),
        Refusal::TooLarge => (StatusCode::BAD_REQUEST, "context_length_exceeded"),
        Refusal::Path { .. }
        | Refusal::Query(_)
        | Refusal::Malformed(_)
        | Refusal::Field(_)
        | Refusal::Tool(_)
        | Refusal::Content(_)
        | Refusal::Source(_) => (StatusCode::BAD_REQUEST, "not_let_through"),
    }
}
