//! The scripted server of the Anthropic Messages API.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request as HttpRequest, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{head, post};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use serde_json::json;

use super::answer::Answer;
use super::door::{Api, NotLetIn, Server, Shared, bearer, text, wait};
use super::faults::Fault;
use super::request::{Request, Web};
use super::stream::{Ending, Parts, as_events, as_json, identifier};
use super::usage::Usage;
use super::web;

/// The Messages API.
#[derive(Debug)]
pub struct Messages;

/// A scripted server of the Messages API; its URL is what `ANTHROPIC_BASE_URL` should be.
pub type Anthropic = Server<Messages>;

/// What has to be named beside a token of a subscription.
const OAUTH_BETA: &str = "oauth-2025-04-20";

impl Api for Messages {
    fn routes() -> Router<Arc<Shared>> {
        Router::new()
            .route("/", head(|| async { StatusCode::OK }))
            .route("/v1/messages", post(messages))
            .route("/v1/messages/count_tokens", post(count_tokens))
            .method_not_allowed_fallback(unknown)
            .fallback(unknown)
    }

    fn key_of(headers: &HeaderMap) -> Option<&str> {
        let betas = text(headers, "anthropic-beta").unwrap_or_default();
        let token = || bearer(headers).filter(|_| betas.split(',').any(|beta| beta == OAUTH_BETA));
        text(headers, "x-api-key").or_else(token)
    }

    fn refused(refusal: NotLetIn) -> Response {
        match refusal {
            NotLetIn::TooLarge(cause) => error(413, "request_too_large", &cause, None),
            NotLetIn::WrongKey => error(401, "authentication_error", "invalid x-api-key", None),
            NotLetIn::NoJson => error(400, "invalid_request_error", "the body is no JSON", None),
        }
    }

    fn error(status: u16, kind: &str, message: &str, retry_after: Option<u64>) -> Response {
        error(status, kind, message, retry_after)
    }
}

/// `POST /v1/messages`.
async fn messages(State(shared): State<Arc<Shared>>, request: HttpRequest) -> Response {
    let betas = text(request.headers(), "anthropic-beta").unwrap_or_default().to_owned();
    let (body, fault) = match shared.admit::<Messages>(request).await {
        Ok(admitted) => admitted,
        Err(response) => return response,
    };
    if let Some(complaint) = web::complaint(&body, &betas) {
        return error(400, "invalid_request_error", &complaint, None);
    }
    let request = Request::parse(&body);
    let answer = shared.brain.answer(&request);
    wait(answer.pace).await;
    let usage = Usage::estimate(&body, &answer, request.web);
    if request.stream {
        streamed(&answer, &request, usage, fault)
    } else {
        plain(&answer, &request, usage, fault).await
    }
}

/// `POST /v1/messages/count_tokens`.
async fn count_tokens(State(shared): State<Arc<Shared>>, request: HttpRequest) -> Response {
    match shared.read::<Messages>(request).await {
        Ok(body) => {
            let usage = Usage::estimate(&body, &Answer::new(), Web::default());
            axum::Json(json!({"input_tokens": usage.all_input()})).into_response()
        }
        Err(refusal) => Messages::refused(refusal),
    }
}

/// Anything the emulator does not know.
async fn unknown(request: HttpRequest) -> Response {
    let message = format!("the emulator has no {} {}", request.method(), request.uri().path());
    error(404, "not_found_error", &message, None)
}

/// The answer as a stream of events.
fn streamed(answer: &Answer, asked: &Request, usage: Usage, fault: Option<Fault>) -> Response {
    let mut events = as_events(answer, asked.web, &asked.model, usage);
    let ending = match fault {
        Some(Fault::CutAfter(count)) => {
            events.truncate(count);
            Ending::Cut
        }
        Some(Fault::Stall) => {
            events.truncate(1);
            Ending::Stall
        }
        _ => Ending::Whole,
    };
    respond("text/event-stream; charset=utf-8", Body::new(Parts::new(events, ending)))
}

/// The answer as one JSON object.
async fn plain(answer: &Answer, asked: &Request, usage: Usage, fault: Option<Fault>) -> Response {
    let whole = as_json(answer, asked.web, &asked.model, usage);
    let whole = Bytes::from(whole.to_string());
    let body = match fault {
        Some(Fault::Stall) => std::future::pending().await,
        Some(Fault::CutAfter(_)) => {
            Body::new(Parts::new([whole.slice(..whole.len() / 2)].into(), Ending::Cut))
        }
        _ => Body::from(whole),
    };
    respond("application/json", body)
}

/// An error in the API's shape.
fn error(status: u16, kind: &str, message: &str, retry_after: Option<u64>) -> Response {
    let body = json!({"type": "error", "error": {"type": kind, "message": message}});
    let mut response = respond("application/json", Body::from(body.to_string()));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

fn respond(content_type: &'static str, body: Body) -> Response {
    ([("content-type", content_type), ("request-id", identifier("req").as_str())], body)
        .into_response()
}
