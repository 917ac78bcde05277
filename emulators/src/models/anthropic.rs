//! The scripted server of the Anthropic Messages API.

use std::io;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request as HttpRequest, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{head, post};
use bytes::Bytes;
use http::{StatusCode, header};
use serde_json::json;

use super::answer::Answer;
use super::door::{NotLetIn, RecordedRequest, Settings, Shared, garbage, wait};
use super::faults::{Fault, Faults};
use super::request::Request;
use super::stream::{Ending, Parts, as_events, as_json, identifier};
use super::usage::Usage;
use crate::listener::Listener;

/// A running server; dropping it ends it.
#[derive(Debug)]
pub struct Anthropic {
    listener: Listener,
    shared: Arc<Shared>,
}

impl Anthropic {
    /// Starts a server; fails when the address cannot be listened at.
    pub async fn start(settings: Settings) -> io::Result<Self> {
        let listen = settings.listen;
        let shared = Arc::new(Shared::new(settings));
        let router = Router::new()
            .route("/", head(|| async { StatusCode::OK }))
            .route("/v1/messages", post(messages))
            .route("/v1/messages/count_tokens", post(count_tokens))
            .method_not_allowed_fallback(unknown)
            .fallback(unknown)
            .layer(DefaultBodyLimit::disable())
            .with_state(Arc::clone(&shared));
        Ok(Self { listener: Listener::start(listen, router).await?, shared })
    }

    /// What `ANTHROPIC_BASE_URL` should be, without a slash at its end.
    pub fn url(&self) -> String {
        format!("http://{}", self.listener.address())
    }

    /// Every request for messages or token counts so far, oldest first.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.shared.requests()
    }

    /// What goes wrong next.
    pub fn faults(&self) -> Faults {
        self.shared.faults.clone()
    }

    /// Ends the server and all its connections.
    pub async fn shutdown(self) {
        self.listener.shutdown().await;
    }
}

/// `POST /v1/messages`.
async fn messages(State(shared): State<Arc<Shared>>, request: HttpRequest) -> Response {
    let body = match shared.admit(request).await {
        Ok(body) => body,
        Err(refusal) => return refused(refusal),
    };
    let fault = shared.faults.take();
    match &fault {
        Some(Fault::Status { status, retry_after, kind, message }) => {
            return error(*status, kind, message, *retry_after);
        }
        Some(Fault::Garbage) => return garbage(&body),
        Some(Fault::Delay(time)) => tokio::time::sleep(*time).await,
        Some(Fault::CutAfter(_) | Fault::Stall) | None => {}
    }
    let request = Request::parse(&body);
    let answer = shared.brain.answer(&request);
    wait(answer.pace).await;
    let usage = Usage::estimate(&body, &answer);
    if request.stream {
        streamed(&answer, &request.model, usage, fault)
    } else {
        plain(&answer, &request.model, usage, fault).await
    }
}

/// `POST /v1/messages/count_tokens`.
async fn count_tokens(State(shared): State<Arc<Shared>>, request: HttpRequest) -> Response {
    match shared.admit(request).await {
        Ok(body) => {
            let usage = Usage::estimate(&body, &Answer::new());
            axum::Json(json!({"input_tokens": usage.all_input()})).into_response()
        }
        Err(refusal) => refused(refusal),
    }
}

/// Why a request was not let in, in the API's shape.
fn refused(refusal: NotLetIn) -> Response {
    match refusal {
        NotLetIn::TooLarge(cause) => error(413, "request_too_large", &cause, None),
        NotLetIn::WrongKey => error(401, "authentication_error", "invalid x-api-key", None),
        NotLetIn::NoJson => error(400, "invalid_request_error", "the body is no JSON", None),
    }
}

/// Anything the emulator does not know.
async fn unknown(request: HttpRequest) -> Response {
    let message = format!("the emulator has no {} {}", request.method(), request.uri().path());
    error(404, "not_found_error", &message, None)
}

/// The answer as a stream of events.
fn streamed(answer: &Answer, model: &str, usage: Usage, fault: Option<Fault>) -> Response {
    let mut events = as_events(answer, model, usage);
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
async fn plain(answer: &Answer, model: &str, usage: Usage, fault: Option<Fault>) -> Response {
    let whole = Bytes::from(as_json(answer, model, usage).to_string());
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
