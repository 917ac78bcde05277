//! The HTTP side: every request is recorded, probed, perhaps made to fail, and answered.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State as Shared};
use axum::response::Response;
use bytes::Bytes;
use http::request::Parts;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot, watch};

use super::answer::{Answer, Refusal};
use super::hooks::Batch;
use super::model::Time;
use super::routes;
use super::state::State;
use super::{git_http, page};

/// GitHub takes no larger body than this from an App, in bytes; pushes are not limited.
const BODY_LIMIT: usize = 10 * 1024 * 1024;

/// An API request as it was answered.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedRequest {
    /// Counts API requests from 0; the probe's index.
    pub index: u64,
    /// The method, in capitals.
    pub method: String,
    /// The path as sent.
    pub path: String,
    /// Query parameters, decoded.
    pub query: Vec<(String, String)>,
    /// The body, when it was JSON.
    pub body: Option<Value>,
    /// The answer's status.
    pub status: u16,
    /// The answer's body.
    pub response_body: Option<Value>,
    /// When, by the stand-in's clock.
    pub at: Time,
}

/// A use of an installation's token, by the API or by git.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenUse {
    /// Whose token.
    pub installation: u64,
    /// The repositories that it was narrowed to; `None`: all that the installation has.
    pub repositories: Option<Vec<u64>>,
    /// The path that was asked.
    pub path: String,
}

/// Whether a probe is called before the request is applied or after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Nothing has been done yet.
    Before,
    /// All has been done and nothing was answered yet.
    After,
}

/// Where a probe is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbePoint {
    /// Counts API requests from 0.
    pub index: u64,
    /// Before or after.
    pub phase: Phase,
    /// The request's method.
    pub method: String,
    /// The request's path.
    pub path: String,
}

/// Called around each API request, outside of every lock; it may block.
pub type Probe = Arc<dyn Fn(ProbePoint) + Send + Sync>;

/// The state, and who waits for it to change.
pub(crate) struct World {
    state: Mutex<State>,
    pub changed: watch::Sender<u64>,
    batches: mpsc::UnboundedSender<Batch>,
    pub probe: Mutex<Option<Probe>>,
    /// Opens the page: other accounts of the machine reach the address too.
    pub page_token: String,
    requests: AtomicU64,
}

impl World {
    pub(crate) fn new(state: State, batches: mpsc::UnboundedSender<Batch>) -> World {
        World {
            state: Mutex::new(state),
            changed: watch::Sender::new(0),
            batches,
            probe: Mutex::new(None),
            page_token: uuid::Uuid::new_v4().simple().to_string(),
            requests: AtomicU64::new(0),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic in a test's callback must not hide behind a second one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks without changing anything.
    pub(crate) fn look<T>(&self, question: impl FnOnce(&State) -> T) -> T {
        question(&self.lock())
    }

    /// Changes the state, hands over the webhooks that causes, and wakes who waits.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let (result, indices) = self.change_quietly(change);
        self.hand_over(indices, None);
        result
    }

    /// Changes the state and gives the webhooks to hand over.
    pub(crate) fn change_quietly<T>(
        &self,
        change: impl FnOnce(&mut State) -> T,
    ) -> (T, Vec<usize>) {
        let mut state = self.lock();
        let result = change(&mut state);
        let fresh = std::mem::take(&mut state.outbox);
        let indices = state.faults.release(fresh);
        drop(state);
        self.changed.send_modify(|version| *version += 1);
        (result, indices)
    }

    /// Hands webhooks to the sender, in order.
    pub(crate) fn hand_over(&self, indices: Vec<usize>, done: Option<oneshot::Sender<()>>) {
        if !indices.is_empty() {
            // The sender is gone only when the stand-in is ending.
            self.batches.send(Batch { indices, done }).ok();
        }
    }

    fn probe(&self, index: u64, phase: Phase, parts: &Parts) {
        let probe = self.probe.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(probe) = probe {
            let path = parts.uri.path().to_owned();
            probe(ProbePoint { index, phase, method: parts.method.to_string(), path });
        }
    }
}

/// Answers every request there is.
pub(crate) async fn serve(Shared(world): Shared<Arc<World>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path();
    let git = git_http::is_git(path);
    let limit = if git { usize::MAX } else { BODY_LIMIT };
    let Ok(body) = to_bytes(body, limit).await else {
        return response(Refusal::new(413, "Payload Too Large").answer());
    };
    if path == "/ui" || path.starts_with("/ui/") {
        return page::answer(&world, &parts);
    }
    let task = if git {
        tokio::task::spawn_blocking(move || git_http::answer(&world, &parts, &body))
    } else {
        return api(world, parts, body).await;
    };
    task.await.unwrap_or_else(|_| response(Refusal::new(500, "Server Error").answer()))
}

async fn api(world: Arc<World>, parts: Parts, body: Bytes) -> Response {
    let worker = Arc::clone(&world);
    let task = tokio::task::spawn_blocking(move || {
        let index = worker.requests.fetch_add(1, Ordering::SeqCst);
        worker.probe(index, Phase::Before, &parts);
        let (answer, hooks) = worker.change_quietly(|state| handle(state, index, &parts, &body));
        let early = worker.look(|state| state.faults.early);
        let waiting = early.then(|| {
            let (done, waiting) = oneshot::channel();
            worker.hand_over(hooks.clone(), Some(done));
            waiting
        });
        if !early {
            worker.hand_over(hooks, None);
        }
        worker.probe(index, Phase::After, &parts);
        (answer, waiting)
    });
    let Ok((answer, waiting)) = task.await else {
        return response(Refusal::new(500, "Server Error").answer());
    };
    if let Some(waiting) = waiting {
        // Nothing to wait for when the call caused no delivery.
        waiting.await.ok();
    }
    response(answer)
}

fn handle(state: &mut State, index: u64, parts: &Parts, body: &Bytes) -> Answer {
    let (method, path) = (parts.method.as_str(), parts.uri.path());
    let read: Result<Option<Value>, _> =
        if body.is_empty() { Ok(None) } else { serde_json::from_slice(body).map(Some) };
    let failure = state.faults.failure(method, path);
    let planned = failure.map(|failure| {
        let mut refusal = Refusal::new(failure.status, "Server Error");
        let seconds = failure.retry_after.map(|seconds| seconds.to_string());
        refusal.headers.extend(seconds.map(|seconds| ("retry-after".to_owned(), seconds)));
        (failure.applied, refusal.answer())
    });
    let query = routes::read_query(parts.uri.query().unwrap_or_default());
    let answer = match (planned, &read) {
        (Some((false, answer)), _) => answer,
        (_, Err(_)) => Refusal::new(400, "Problems parsing JSON").answer(),
        (planned, Ok(json)) => {
            let body = json.clone().unwrap_or(Value::Null);
            let real = routes::answer(state, parts, query.clone(), body);
            planned.map_or(real, |(_, answer)| answer)
        }
    };
    state.requests.push(RecordedRequest {
        index,
        method: method.to_owned(),
        path: path.to_owned(),
        query,
        body: read.ok().flatten(),
        status: answer.status,
        response_body: answer.body.clone(),
        at: state.now(),
    });
    answer
}

/// Writes an answer with the headers GitHub's have.
pub(crate) fn response(answer: Answer) -> Response {
    let mut response = Response::builder()
        .status(answer.status)
        .header("x-github-media-type", "github.v3; format=json")
        .header("x-github-request-id", uuid::Uuid::new_v4().simple().to_string());
    let limits = [("limit", "5000"), ("remaining", "4999"), ("used", "1"), ("resource", "core")];
    for (name, value) in limits {
        let name = format!("x-ratelimit-{name}");
        if !answer.headers.iter().any(|(given, _)| *given == name) {
            response = response.header(name, value);
        }
    }
    for (name, value) in &answer.headers {
        response = response.header(name, value);
    }
    let body = match answer.body {
        Some(body) => {
            response = response.header("content-type", "application/json; charset=utf-8");
            Body::from(body.to_string())
        }
        None => Body::empty(),
    };
    response.body(body).unwrap_or_else(|_| Response::new(Body::empty()))
}
