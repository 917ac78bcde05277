//! What the scripted servers share: how they are started, who is let in, and what is noted of it.

use std::collections::BTreeMap;
use std::io;
use std::marker::PhantomData;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request as HttpRequest};
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use serde_json::Value;

use super::answer::Pace;
use super::brains::Brain;
use super::faults::{Fault, Faults};
use crate::listener::Listener;

/// The largest request that is read, in bytes; the real API stops at 32 MB.
const LARGEST_REQUEST: usize = 32 * 1024 * 1024;

/// What a server is started with.
#[derive(Clone)]
pub struct Settings {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The one key that is let in.
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

/// What one API is about: its routes, where it looks for keys, and how it says no.
pub(super) trait Api {
    fn routes() -> Router<Arc<Shared>>;
    fn key_of(headers: &HeaderMap) -> Option<&str>;
    fn refused(refusal: NotLetIn) -> Response;
    /// An error in the API's shape; `retry_after` in seconds.
    fn error(status: u16, kind: &str, message: &str, retry_after: Option<u64>) -> Response;
}

/// A running server of one API; dropping it ends it.
#[derive(Debug)]
pub struct Server<A> {
    listener: Listener,
    shared: Arc<Shared>,
    api: PhantomData<A>,
}

#[expect(private_bounds, reason = "the two APIs are all there are")]
impl<A: Api> Server<A> {
    /// Starts a server; fails when the address cannot be listened at.
    pub async fn start(settings: Settings) -> io::Result<Self> {
        let listen = settings.listen;
        let shared = Arc::new(Shared::new(settings));
        let router = A::routes().layer(DefaultBodyLimit::disable()).with_state(Arc::clone(&shared));
        let listener = Listener::start(listen, router).await?;
        Ok(Self { listener, shared, api: PhantomData })
    }

    /// Where the API is, without a path and without a slash at its end.
    pub fn url(&self) -> String {
        format!("http://{}", self.listener.address())
    }

    /// Every request to the model so far, oldest first.
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

/// What the handlers of one server share.
pub(super) struct Shared {
    api_key: String,
    pub(super) brain: Arc<dyn Brain>,
    pub(super) faults: Faults,
    requests: Mutex<Vec<RecordedRequest>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Shared").field("faults", &self.faults).finish_non_exhaustive()
    }
}

/// Why a request is not let in; each API says it in its own shape.
pub(super) enum NotLetIn {
    /// Its body is too large or broke off.
    TooLarge(String),
    /// Its key is not the one.
    WrongKey,
    /// Its body is no JSON.
    NoJson,
}

impl Shared {
    pub(super) fn new(settings: Settings) -> Self {
        let Settings { listen: _, api_key, brain } = settings;
        Self { api_key, brain, faults: Faults::default(), requests: Mutex::default() }
    }

    /// Reads and records a request, and lets it in if its key is right and its body is JSON.
    ///
    /// What goes wrong before there is an answer is the error; what goes wrong with the answer itself is
    /// given along.
    pub(super) async fn admit<A: Api>(
        &self,
        request: HttpRequest,
    ) -> Result<(Value, Option<Fault>), Response> {
        let body = self.read::<A>(request).await.map_err(A::refused)?;
        match self.faults.take() {
            Some(Fault::Status { status, retry_after, kind, message }) => {
                Err(A::error(status, &kind, &message, retry_after))
            }
            Some(Fault::Garbage) => Err(garbage(&body)),
            Some(Fault::Delay(time)) => {
                tokio::time::sleep(time).await;
                Ok((body, None))
            }
            fault @ (Some(Fault::CutAfter(_) | Fault::Stall) | None) => Ok((body, fault)),
        }
    }

    /// Reads and records a request that nothing goes wrong with.
    pub(super) async fn read<A: Api>(&self, request: HttpRequest) -> Result<Value, NotLetIn> {
        let (parts, body) = request.into_parts();
        let bytes = axum::body::to_bytes(body, LARGEST_REQUEST)
            .await
            .map_err(|cause| NotLetIn::TooLarge(cause.to_string()))?;
        let parsed: Option<Value> = serde_json::from_slice(&bytes).ok();
        let key = A::key_of(&parts.headers).map(str::to_owned);
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        self.record(path, &parts.headers, parsed.clone().unwrap_or_default(), key.clone());
        if key.as_deref() != Some(self.api_key.as_str()) {
            return Err(NotLetIn::WrongKey);
        }
        parsed.ok_or(NotLetIn::NoJson)
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

/// The value of a header, if it is text.
pub(super) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// The bearer token of a request.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    text(headers, "authorization")?.strip_prefix("Bearer ")
}

/// Waits as long as the model thinks.
pub(super) async fn wait(pace: Pace) {
    match pace {
        Pace::AtOnce => {}
        Pace::After(time) => tokio::time::sleep(time).await,
        Pace::Never => std::future::pending().await,
    }
}

/// Bytes that no client can read.
fn garbage(body: &Value) -> Response {
    let kind = if body["stream"] == true { "text/event-stream" } else { "application/json" };
    let body = Body::from(&b"\x00\xff<html>502 Bad Gateway</html>\n\n{\"type\": \xc3\x28"[..]);
    ([("content-type", kind)], body).into_response()
}
