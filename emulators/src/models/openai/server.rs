//! The server.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request as HttpRequest, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use http::{HeaderMap, StatusCode, header};
use serde_json::{Value, json};

use super::{request, stream, strict, tools};
use crate::models::answer::Answer;
use crate::models::door::{Api, NotLetIn, Server, Shared, bearer, wait};
use crate::models::faults::Fault;
use crate::models::stream::{Ending, Parts, identifier};
use crate::models::usage::Usage;
use crate::models::web;

/// The Responses API.
#[derive(Debug)]
pub struct Responses;

/// A scripted server of the Responses API; its URL has no path.
pub type OpenAi = Server<Responses>;

impl Api for Responses {
    fn routes() -> Router<Arc<Shared>> {
        Router::new()
            .route("/v1/responses", post(responses))
            .method_not_allowed_fallback(unknown)
            .fallback(unknown)
    }

    fn key_of(headers: &HeaderMap) -> Option<&str> {
        bearer(headers)
    }

    fn refused(refusal: NotLetIn) -> Response {
        let (status, message) = match refusal {
            NotLetIn::TooLarge(cause) => (413, cause),
            NotLetIn::WrongKey => (401, "Incorrect API key provided".to_owned()),
            NotLetIn::NoJson => (400, "the body is no JSON".to_owned()),
        };
        error(status, "invalid_request_error", &message, None)
    }

    fn error(status: u16, kind: &str, message: &str, retry_after: Option<u64>) -> Response {
        error(status, kind, message, retry_after)
    }
}

/// `POST /v1/responses`. Answers are streamed, which is all that the real program asks for.
async fn responses(State(shared): State<Arc<Shared>>, request: HttpRequest) -> Response {
    let (body, fault) = match shared.admit::<Responses>(request).await {
        Ok(admitted) => admitted,
        Err(response) => return response,
    };
    if let Some(complaint) = complaint(&body) {
        return error(400, "invalid_request_error", &complaint, None);
    }
    let request = request::parse(&body);
    let (items, answer) = match request::still_running(&body) {
        Some(session) => (vec![stream::with_ids(tools::poll(&session))], Answer::new()),
        None => {
            let answer = shared.brain.answer(&request);
            wait(answer.pace).await;
            match tools::search(&request, &body, &answer) {
                Some(search) => (vec![stream::with_ids(search)], Answer::new()),
                None => (stream::items(&request, &answer), answer),
            }
        }
    };
    let usage = Usage::estimate_responses(&body, &answer, request.web);
    streamed(&items, &request.model, usage, fault)
}

/// What the API would answer with 400.
fn complaint(body: &Value) -> Option<String> {
    if body["stream"] != true {
        return Some("the emulator only streams: send stream: true".to_owned());
    }
    strict::complaint(body).or_else(|| web::responses_complaint(body))
}

fn streamed(items: &[Value], model: &str, usage: Usage, fault: Option<Fault>) -> Response {
    let mut events = stream::as_events(items, model, usage);
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

/// Anything the emulator does not know.
async fn unknown(request: HttpRequest) -> Response {
    let message = format!("the emulator has no {} {}", request.method(), request.uri().path());
    error(404, "invalid_request_error", &message, None)
}

/// An error in the API's shape.
fn error(status: u16, kind: &str, message: &str, retry_after: Option<u64>) -> Response {
    let error = json!({"message": message, "type": kind, "param": null, "code": null});
    let mut response = respond("application/json", Body::from(json!({"error": error}).to_string()));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

fn respond(content_type: &'static str, body: Body) -> Response {
    ([("content-type", content_type), ("x-request-id", identifier("req").as_str())], body)
        .into_response()
}
