//! One HTTP request to the tool server.

use axum::{
    Json, Router,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header::AUTHORIZATION},
    response::{IntoResponse, Response},
    routing::post,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Tools, call, catalogue, rpc};
use crate::{
    db::{DbError, agents},
    model::TOOLS_PATH,
};

/// The largest message that is read, in bytes: the largest call there is, with room for its escapes.
const LARGEST_BODY: usize = 256 << 10;

/// The paths of the tool server, for the gateway's listener.
///
/// It offers no stream of its own and keeps no session, so that only POST is served.
pub fn router(tools: Tools) -> Router {
    Router::new().route(TOOLS_PATH, post(serve)).with_state(tools)
}

async fn serve(State(tools): State<Tools>, request: Request) -> Response {
    let caller = match caller(&tools, request.headers()).await {
        Ok(Some(caller)) => caller,
        Ok(None) => return refused(StatusCode::UNAUTHORIZED, "no agent at work has this token"),
        Err(error) => {
            tracing::warn!(%error, "an agent's tools could not be looked up");
            let words = "the agent's rights cannot be looked up right now";
            return refused(StatusCode::SERVICE_UNAVAILABLE, words);
        }
    };
    let Ok(body) = axum::body::to_bytes(request.into_body(), LARGEST_BODY).await else {
        return refused(StatusCode::PAYLOAD_TOO_LARGE, "the message is larger than 256 KiB");
    };
    let message = match rpc::read(&body) {
        Ok(message) => message,
        Err(error) => {
            return (StatusCode::BAD_REQUEST, Json(error.answer(&Value::Null))).into_response();
        }
    };
    let Some(id) = message.id else {
        // A notification: nothing is remembered between two requests, so none means anything.
        return StatusCode::ACCEPTED.into_response();
    };
    let answer = match rpc::method(&message.method, &message.params) {
        Ok(rpc::Method::Initialize { version }) => rpc::result(&id, rpc::introduction(version)),
        Ok(rpc::Method::Ping) => rpc::result(&id, json!({})),
        Ok(rpc::Method::ListTools) => rpc::result(&id, catalogue::list(caller.role, &caller.tools)),
        Ok(rpc::Method::CallTool { name, arguments }) => {
            rpc::result(&id, call::answer(&tools, &caller, &name, arguments).await)
        }
        Err(error) => error.answer(&id),
    };
    Json(answer).into_response()
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
