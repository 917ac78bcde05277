//! The scripted server of the Anthropic Messages API.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request as HttpRequest, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{head, post};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use serde_json::{Value, json};

use super::answer::{Answer, Pace};
use super::brains::Brain;
use super::faults::{Fault, Faults};
use super::request::Request;
use super::stream::{Ending, Parts, as_events, as_json, identifier};
use super::usage::Usage;
use crate::listener::Listener;

/// The largest request that is read, in bytes; the real API stops at 32 MB.
const LARGEST_REQUEST: usize = 32 * 1024 * 1024;

/// What a server is started with.
#[derive(Clone)]
pub struct Settings {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The one key that is let in, as `x-api-key` or as bearer token.
    pub api_key: String,
    /// Who answers.
    pub brain: Arc<dyn Brain>,
}

impl Settings {
    /// A free port of the loopback address.
    pub fn local(api_key: impl Into<String>, brain: Arc<dyn Brain>) -> Self {
        Self { listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), api_key: api_key.into(), brain }
    }
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Settings").field("listen", &self.listen).finish_non_exhaustive()
    }
}

/// One request, as it came in; those with a wrong key are here too.
#[derive(Debug, Clone)]
pub struct RecordedRequest {
    /// Path and query.
    pub path: String,
    /// Headers by lower-case name; of several with one name the last.
    pub headers: BTreeMap<String, String>,
    /// The body, or `null` if it is no JSON.
    pub body: Value,
    /// The key it was sent with.
    pub key: Option<String>,
    /// Its place among all requests, from 0.
    pub at_order: usize,
}

/// A running server; dropping it ends it.
#[derive(Debug)]
pub struct Anthropic {
    listener: Listener,
    shared: Arc<Shared>,
}

/// What the handlers share.
struct Shared {
    api_key: String,
    brain: Arc<dyn Brain>,
    faults: Faults,
    requests: Mutex<Vec<RecordedRequest>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Shared").field("faults", &self.faults).finish_non_exhaustive()
    }
}

impl Anthropic {
    /// Starts a server; fails when the address cannot be listened at.
    pub async fn start(settings: Settings) -> io::Result<Self> {
        let Settings { listen, api_key, brain } = settings;
        let shared = Arc::new(Shared {
            api_key,
            brain,
            faults: Faults::default(),
            requests: Mutex::default(),
        });
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
        self.shared.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
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
        Err(refusal) => return refusal,
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
        Err(refusal) => refusal,
    }
}

/// Anything the emulator does not know.
async fn unknown(request: HttpRequest) -> Response {
    let message = format!("the emulator has no {} {}", request.method(), request.uri().path());
    error(404, "not_found_error", &message, None)
}

impl Shared {
    /// Reads and records a request, and lets it in if its key is right and its body is JSON.
    async fn admit(&self, request: HttpRequest) -> Result<Value, Response> {
        let (parts, body) = request.into_parts();
        let bytes = axum::body::to_bytes(body, LARGEST_REQUEST)
            .await
            .map_err(|cause| error(413, "request_too_large", &cause.to_string(), None))?;
        let parsed: Option<Value> = serde_json::from_slice(&bytes).ok();
        let key = key_of(&parts.headers);
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        self.record(path, &parts.headers, parsed.clone().unwrap_or_default(), key.clone());
        if key.as_deref() != Some(self.api_key.as_str()) {
            return Err(error(401, "authentication_error", "invalid x-api-key", None));
        }
        parsed.ok_or_else(|| error(400, "invalid_request_error", "the body is no JSON", None))
    }

    fn record(&self, path: String, headers: &HeaderMap, body: Value, key: Option<String>) {
        let headers = headers
            .iter()
            .map(|(name, value)| {
                (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
            })
            .collect();
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let at_order = requests.len();
        requests.push(RecordedRequest { path, headers, body, key, at_order });
    }
}

/// The key of a request: `x-api-key`, else the bearer token.
fn key_of(headers: &HeaderMap) -> Option<String> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let bearer = || text("authorization").and_then(|value| value.strip_prefix("Bearer "));
    text("x-api-key").or_else(bearer).map(str::to_owned)
}

async fn wait(pace: Pace) {
    match pace {
        Pace::AtOnce => {}
        Pace::After(time) => tokio::time::sleep(time).await,
        Pace::Never => std::future::pending().await,
    }
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

/// Bytes that no client can read.
fn garbage(body: &Value) -> Response {
    let kind = if body["stream"] == true { "text/event-stream" } else { "application/json" };
    respond(kind, Body::from(&b"\x00\xff<html>502 Bad Gateway</html>\n\n{\"type\": \xc3\x28"[..]))
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
