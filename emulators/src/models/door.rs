//! What the scripted servers share: how they are started, who is let in, and what is noted of it.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::extract::Request as HttpRequest;
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use serde_json::Value;

use super::answer::Pace;
use super::brains::Brain;
use super::faults::Faults;

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

    /// Every request so far, oldest first.
    pub(super) fn requests(&self) -> Vec<RecordedRequest> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads and records a request, and lets it in if its key is right and its body is JSON.
    pub(super) async fn admit(&self, request: HttpRequest) -> Result<Value, NotLetIn> {
        let (parts, body) = request.into_parts();
        let bytes = axum::body::to_bytes(body, LARGEST_REQUEST)
            .await
            .map_err(|cause| NotLetIn::TooLarge(cause.to_string()))?;
        let parsed: Option<Value> = serde_json::from_slice(&bytes).ok();
        let key = key_of(&parts.headers);
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

/// The key of a request: `x-api-key`, else the bearer token.
fn key_of(headers: &HeaderMap) -> Option<String> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let bearer = || text("authorization").and_then(|value| value.strip_prefix("Bearer "));
    text("x-api-key").or_else(bearer).map(str::to_owned)
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
pub(super) fn garbage(body: &Value) -> Response {
    let kind = if body["stream"] == true { "text/event-stream" } else { "application/json" };
    let body = Body::from(&b"\x00\xff<html>502 Bad Gateway</html>\n\n{\"type\": \xc3\x28"[..]);
    ([("content-type", kind)], body).into_response()
}
