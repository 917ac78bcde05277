//! The server.

use std::io;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request as HttpRequest, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use http::{StatusCode, header};
use serde_json::{Value, json};

use super::{request, stream, strict, tools};
use crate::listener::Listener;
use crate::models::answer::Answer;
use crate::models::door::{NotLetIn, RecordedRequest, Settings, Shared, garbage, wait};
use crate::models::faults::{Fault, Faults};
use crate::models::stream::{Ending, Parts, identifier};
use crate::models::usage::Usage;

/// A running server; dropping it ends it.
#[derive(Debug)]
pub struct OpenAi {
    listener: Listener,
    shared: Arc<Shared>,
}

impl OpenAi {
    /// Starts a server; fails when the address cannot be listened at.
    pub async fn start(settings: Settings) -> io::Result<Self> {
        let listen = settings.listen;
        let shared = Arc::new(Shared::new(settings));
        let router = Router::new()
            .route("/v1/responses", post(responses))
            .method_not_allowed_fallback(unknown)
            .fallback(unknown)
            .layer(DefaultBodyLimit::disable())
            .with_state(Arc::clone(&shared));
        Ok(Self { listener: Listener::start(listen, router).await?, shared })
    }

    /// Where the API is, without a path.
    pub fn url(&self) -> String {
        format!("http://{}", self.listener.address())
    }

    /// Every request for a response so far, oldest first.
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

/// `POST /v1/responses`. Answers are streamed, which is all that the real program asks for.
async fn responses(State(shared): State<Arc<Shared>>, request: HttpRequest) -> Response {
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
    let usage = Usage::estimate_responses(&body, &answer);
    streamed(&items, &request.model, usage, fault)
}

/// What the API would answer with 400.
fn complaint(body: &Value) -> Option<String> {
    if body["stream"] != true {
        return Some("the emulator only streams: send stream: true".to_owned());
    }
    strict::complaint(body)
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

fn refused(refusal: NotLetIn) -> Response {
    match refusal {
        NotLetIn::TooLarge(cause) => error(413, "invalid_request_error", &cause, None),
        NotLetIn::WrongKey => {
            error(401, "invalid_request_error", "Incorrect API key provided", None)
        }
        NotLetIn::NoJson => error(400, "invalid_request_error", "the body is no JSON", None),
    }
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
