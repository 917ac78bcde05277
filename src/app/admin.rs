//! What the operator's listener answers: alive, ready, and figures.

use axum::{Json, Router, extract, http::StatusCode, response::IntoResponse, routing::get};
use chrono::TimeDelta;
use serde_json::json;

use super::metrics;
use crate::{db::reports, pipeline::Pipeline, queue};

/// Reports that lag longer than this are an alarm.
pub(super) const LAG: TimeDelta = TimeDelta::minutes(5);

/// What the answers rest on.
#[derive(Clone)]
pub(super) struct State {
    pipeline: Pipeline,
}

impl State {
    pub fn new(pipeline: Pipeline) -> Self {
        Self { pipeline }
    }
}

pub(super) fn router(state: State) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "alive\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(figures))
        .with_state(state)
}

/// Whether work gets done: the database answers, the sandbox holds, nothing is left unsaid.
async fn ready(extract::State(state): extract::State<State>) -> impl IntoResponse {
    let parts = state.pipeline.parts();
    let mut problems = Vec::new();
    let now = parts.clock.now();
    match reports::count_lagging_since(&parts.pool, now - LAG).await {
        Ok(0) => {}
        Ok(lagging) => {
            problems.push(format!("{lagging} report(s) are unsaid for more than 5 minutes"));
        }
        Err(error) => problems.push(format!("the database does not answer: {error}")),
    }
    problems.extend(parts.runtime.remedy().map(|remedy| format!("no agent can start: {remedy}")));
    let paused = queue::paused(&parts.pool, None).await.ok().flatten();
    let status = if problems.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!({ "ready": problems.is_empty(), "problems": problems, "paused": paused })))
}

async fn figures(extract::State(state): extract::State<State>) -> impl IntoResponse {
    match metrics::render(state.pipeline.parts()).await {
        Ok(text) => {
            let kind = [(
                axum::http::header::CONTENT_TYPE,
                "application/openmetrics-text; version=1.0.0; charset=utf-8",
            )];
            (StatusCode::OK, kind, text).into_response()
        }
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")).into_response(),
    }
}
