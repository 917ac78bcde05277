//! One request, from the agent's token to the last byte of the answer.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, TimeDelta};
use hyper::body::Frame;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::model::{AgentId, Timestamp};

use super::agents::{AgentGrant, Agents, RequestUsage, Reservation, token_hash};
use super::dialect::{Dialect, Target};
use super::headers;
use super::meter::{self, Meter};
use super::prices::{Price, Prices, Used};
use super::refusal::Refusal;
use super::request::Checked;
use super::settings::Api;

/// The API's own limit for a request: <https://docs.claude.com/en/api/errors>.
const LARGEST_BODY: usize = 32 << 20;

/// How much of an error's body is passed on.
const LARGEST_ERROR: usize = 1 << 20;

/// How many pieces of an answer wait for an agent that reads slowly; then the API has to wait.
const PIECES_AHEAD: usize = 16;

/// What all requests share.
pub(super) struct Shared {
    pub(super) agents: Arc<dyn Agents>,
    pub(super) anthropic: Option<Api>,
    pub(super) openai: Option<Api>,
    pub(super) prices: Prices,
    pub(super) clock: Clock,
    pub(super) client: reqwest::Client,
    /// Requests on their way: each is followed to its end, so that its usage is written down.
    pub(super) running: TaskTracker,
    /// Ends them.
    pub(super) stop: CancellationToken,
    /// Until when the API gives no more.
    pub(super) quota_reset: Mutex<Option<Timestamp>>,
}

/// Answers one request.
pub(super) async fn serve(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    // A client asks this only to see whether somebody is there.
    if request.method() == Method::HEAD && request.uri().path() == "/" {
        return StatusCode::OK.into_response();
    }
    let dialect = Dialect::of_path(request.uri().path());
    match relay(shared, request).await {
        Ok(response) => response,
        Err(refusal) => {
            tracing::info!(reason = %refusal, "a model request was refused");
            dialect.refuse(refusal)
        }
    }
}

impl Shared {
    /// Where an API is, and what opens it.
    fn api(&self, dialect: Dialect) -> Result<&Api, Refusal> {
        let api = match dialect {
            Dialect::Messages => &self.anthropic,
            Dialect::Responses => &self.openai,
        };
        api.as_ref().ok_or(Refusal::NoCredential(dialect.key_variable()))
    }
}

async fn relay(shared: Arc<Shared>, request: Request) -> Result<Response, Refusal> {
    let uri = request.uri();
    let target = Target::find(request.method(), uri.path(), uri.query())?;
    let grant = grant(&*shared.agents, request.headers()).await?;
    let api = shared.api(target.dialect)?.clone();
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, LARGEST_BODY).await.map_err(|_| Refusal::TooLarge)?;
    let checked = target.dialect.check(&body)?;
    let price = shared.prices.of(&checked.model).filter(|_| grant.models.contains(&checked.model));
    let Some(price) = price else {
        return Err(Refusal::Model(checked.model.chars().take(80).collect()));
    };
    if grant.remaining.0 <= 0 {
        return Err(Refusal::SPENT);
    }
    let agent = grant.agent;
    let reservation = match target.is_free {
        true => None,
        false => Some(reserve(&shared, grant, checked, price, body.len()).await?),
    };
    let (answer, answered) = oneshot::channel();
    let headers = headers::to_the_api(&parts.headers, &api.credential);
    let outgoing = Outgoing { target, api, headers, body, price, agent, reservation };
    let running = shared.running.clone();
    running.spawn(follow(shared, outgoing, answer));
    answered.await.unwrap_or(Err(Refusal::Unreachable))
}

async fn grant(agents: &dyn Agents, headers: &HeaderMap) -> Result<AgentGrant, Refusal> {
    let token = headers::token(headers).ok_or(Refusal::UnknownToken)?;
    let found = agents.of_token(token_hash(token)).await.map_err(|error| {
        tracing::warn!(error = %error, "an agent's rights could not be looked up");
        Refusal::OutOfReach
    })?;
    let grant = found.ok_or(Refusal::UnknownToken)?;
    if grant.ended { Err(Refusal::Ended) } else { Ok(grant) }
}

async fn reserve(
    shared: &Shared,
    grant: AgentGrant,
    checked: Checked,
    price: Price,
    body_bytes: usize,
) -> Result<i64, Refusal> {
    let reservation = Reservation {
        agent: grant.agent,
        task: grant.task,
        repository: grant.repository,
        model: checked.model,
        reserved: price.cost(&meter::expected(body_bytes, checked.max_tokens)),
        at: shared.clock.now(),
    };
    shared.agents.reserve(reservation).await.map_err(|error| {
        tracing::warn!(agent.id = %grant.agent, error = %error, "no money could be held back");
        Refusal::OutOfReach
    })
}

/// A request that was let through.
struct Outgoing {
    target: Target,
    api: Api,
    headers: HeaderMap,
    body: Bytes,
    price: Price,
    agent: AgentId,
    /// None if the request is free.
    reservation: Option<i64>,
}

impl Outgoing {
    /// A meter for its answer.
    fn meter(&self, is_stream: bool) -> Meter {
        Meter::new(self.target.dialect, is_stream, self.body.len())
    }
}

type Answer = oneshot::Sender<Result<Response, Refusal>>;

/// Sends the request on and follows the answer to its end, also when nobody reads it any more.
async fn follow(shared: Arc<Shared>, outgoing: Outgoing, mut answer: Answer) {
    let url = format!("{}{}", outgoing.api.base_url, outgoing.target.path);
    let sent = shared
        .client
        .post(url)
        .headers(outgoing.headers.clone())
        .body(outgoing.body.clone())
        .send();
    let got = tokio::select! {
        got = sent => got,
        () = answer.closed() => return settle_unanswered(&shared, &outgoing).await,
        () = shared.stop.cancelled() => return settle_unanswered(&shared, &outgoing).await,
    };
    let response = match got {
        Ok(response) => response,
        Err(error) => {
            let connecting = error.is_connect();
            tracing::warn!(agent.id = %outgoing.agent, error = %error.without_url(),
                "the model's API could not be reached");
            // Once the request was out, the work may have been done: then it is not free.
            match connecting {
                true => settle_free(&shared, &outgoing).await,
                false => settle_unanswered(&shared, &outgoing).await,
            }
            let _ = answer.send(Err(Refusal::Unreachable));
            return;
        }
    };
    note_quota(&shared, &response);
    if response.status().is_success() {
        stream(&shared, &outgoing, response, answer).await;
    } else {
        settle_free(&shared, &outgoing).await;
        pass_error(&shared, &outgoing, response, answer).await;
    }
}

/// Settles a request whose answer nobody saw.
async fn settle_unanswered(shared: &Shared, outgoing: &Outgoing) {
    settle(shared, outgoing, &mut outgoing.meter(true)).await;
}

/// Settles a request that the API did nothing for.
async fn settle_free(shared: &Shared, outgoing: &Outgoing) {
    settle_with(shared, outgoing, Used::default(), true).await;
}

/// Passes an error on, with the headers that tell when to come back.
async fn pass_error(
    shared: &Shared,
    outgoing: &Outgoing,
    response: reqwest::Response,
    mut answer: Answer,
) {
    let credential = &outgoing.api.credential;
    let headers = headers::to_the_agent(response.headers(), credential);
    let status = response.status();
    let body = tokio::select! {
        body = error_body(response) => body,
        () = answer.closed() => return,
        () = shared.stop.cancelled() => return,
    };
    let body = headers::without_credential(&body, credential);
    let _ = answer.send(Ok((status, headers, body).into_response()));
}

async fn error_body(mut response: reqwest::Response) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(piece)) = response.chunk().await {
        let room = LARGEST_ERROR.saturating_sub(body.len());
        body.extend_from_slice(&piece[..piece.len().min(room)]);
        if room == 0 {
            break;
        }
    }
    body
}

/// Passes an answer on byte for byte, and writes its usage down before its end is passed on, so
/// that the agent's next request already counts it.
async fn stream(
    shared: &Shared,
    outgoing: &Outgoing,
    mut response: reqwest::Response,
    answer: Answer,
) {
    let headers = headers::to_the_agent(response.headers(), &outgoing.api.credential);
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut meter = outgoing.meter(kind.starts_with("text/event-stream"));
    let (pieces, body) = mpsc::channel(PIECES_AHEAD);
    let head = (response.status(), headers, Body::new(Pieces(body))).into_response();
    let mut listening = answer.send(Ok(head)).is_ok();
    let mut unsettled = true;
    while listening {
        let got = tokio::select! {
            got = response.chunk() => got,
            () = pieces.closed() => break,
            () = shared.stop.cancelled() => break,
        };
        let piece = match got {
            Ok(Some(piece)) => Ok(piece),
            Ok(None) => break,
            Err(_) => Err(BrokenOff),
        };
        listening = piece.is_ok();
        meter.feed(piece.as_deref().unwrap_or_default());
        if meter.is_over() && std::mem::take(&mut unsettled) {
            settle(shared, outgoing, &mut meter).await;
        }
        listening &= tokio::select! {
            sent = pieces.send(piece) => sent.is_ok(),
            () = shared.stop.cancelled() => false,
        };
    }
    if unsettled {
        settle(shared, outgoing, &mut meter).await;
    }
}

async fn settle(shared: &Shared, outgoing: &Outgoing, meter: &mut Meter) {
    let used = meter.finish();
    settle_with(shared, outgoing, used, meter.is_complete()).await;
}

async fn settle_with(shared: &Shared, outgoing: &Outgoing, used: Used, complete: bool) {
    let Some(reservation) = outgoing.reservation else {
        return;
    };
    let cost = outgoing.price.cost(&used);
    let usage = RequestUsage { tokens: used.tokens, cost, complete, at: shared.clock.now() };
    if let Err(error) = shared.agents.settle(reservation, usage).await {
        tracing::error!(agent.id = %outgoing.agent, cost = cost.0, error = %error,
            "a model request could not be settled: what was held back for it stays so");
    }
}

/// Remembers until when the API gives no more.
fn note_quota(shared: &Shared, response: &reqwest::Response) {
    if response.status() != StatusCode::TOO_MANY_REQUESTS {
        return;
    }
    let number = |name: &str| response.headers().get(name)?.to_str().ok()?.parse::<i64>().ok();
    let reset = number("anthropic-ratelimit-unified-reset");
    let reset = reset.and_then(|seconds| DateTime::from_timestamp(seconds, 0));
    let after = number(RETRY_AFTER.as_str()).and_then(TimeDelta::try_seconds);
    let until = reset.or_else(|| shared.clock.now().checked_add_signed(after?));
    let mut known = shared.quota_reset.lock().unwrap_or_else(PoisonError::into_inner);
    *known = until.or(*known);
}

/// The rest of an answer, piece by piece.
struct Pieces(mpsc::Receiver<Result<Bytes, BrokenOff>>);

/// The API's answer ended in the middle; the agent's connection is broken off as well.
#[derive(Debug, thiserror::Error)]
#[error("the answer of the model's API broke off")]
struct BrokenOff;

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        self.0.poll_recv(context).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}
