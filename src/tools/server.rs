//! One HTTP request to the tool server: whose it is.

use axum::{
    Json, Router,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header::AUTHORIZATION},
    response::{IntoResponse, Response},
    routing::post,
};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{Tools, protocol};
use crate::{
    db::{DbError, agents},
    model::TOOLS_PATH,
};

/// The paths of the tool server, for the gateway's listener.
///
/// It offers no stream of its own and keeps no session, so that only POST is served.
pub fn router(tools: Tools) -> Router {
    Router::new().route(TOOLS_PATH, post(serve)).with_state(tools)
}

async fn serve(State(tools): State<Tools>, mut request: Request) -> Response {
    let caller = match caller(&tools, request.headers()).await {
        Ok(Some(caller)) => caller,
        Ok(None) => return refused(StatusCode::UNAUTHORIZED, "no agent at work has this token"),
        Err(error) => {
            tracing::warn!(%error, "an agent's tools could not be looked up");
            let words = "the agent's rights cannot be looked up right now";
            return refused(StatusCode::SERVICE_UNAVAILABLE, words);
        }
    };
    // It has opened the door, and nobody behind it needs it.
    request.headers_mut().remove(AUTHORIZATION);
    protocol::serve(tools, caller, request).await
}

async fn caller(tools: &Tools, headers: &HeaderMap) -> Result<Option<agents::Caller>, DbError> {
    let token = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some(token) = token.and_then(|value| value.strip_prefix("Bearer ")) else {
        return Ok(None);
    };
    let hash: [u8; 32] = Sha256::digest(token.as_bytes()).into();
    agents::caller(&tools.pool, &hash).await
}

fn refused(status: StatusCode, why: &str) -> Response {
    (status, Json(json!({ "error": why }))).into_response()
}
