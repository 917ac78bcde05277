//! One request, from the agent's token to the last byte of the answer.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use hyper::body::Frame;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::model::{AgentId, Barred, Limited, Shortage, Timestamp, Untrusted, WebTools};

use super::agents::{AgentGrant, Agents, RequestUsage, Reservation, Reserved, token_hash};
use super::bill::{Bill, Size, WebUses};
use super::dialect::{Dialect, Target};
use super::headers;
use super::meter::Meter;
use super::pool::{Credential, Pool};
use super::prices::{Price, Prices, Used};
use super::refusal::Refusal;
use super::settings::Api;
use super::shortage::Short;
use super::web::Passing;

/// The API's own limit for a request: <https://docs.claude.com/en/api/errors>.
const LARGEST_BODY: usize = 32 << 20;

/// How much of an error's body is passed on.
const LARGEST_ERROR: usize = 1 << 20;

/// How many pieces of an answer wait for an agent that reads slowly; then the API has to wait.
const PIECES_AHEAD: usize = 16;

/// A model API, and what opens it.
pub(super) struct Upstream {
    /// `https://api.anthropic.com`, without a path.
    base_url: String,
    credentials: Pool,
    /// Which tools of its own pass.
    web: WebTools,
}

impl Upstream {
    pub(super) fn new(api: Api) -> Arc<Self> {
        let Api { base_url, credentials, resting, web } = api;
        Arc::new(Self { base_url, credentials: Pool::new(credentials, resting), web })
    }

    /// A model's price with that of a search here.
    fn priced(&self, price: Price) -> Price {
        let search = self.web.search.as_ref().map_or(price.search, |terms| terms.price);
        Price { search, ..price }
    }
}

/// What all requests share.
pub(super) struct Shared {
    pub(super) agents: Arc<dyn Agents>,
    pub(super) anthropic: Option<Arc<Upstream>>,
    pub(super) openai: Option<Arc<Upstream>>,
    pub(super) prices: Prices,
    pub(super) clock: Clock,
    pub(super) client: reqwest::Client,
    /// Requests on their way: each is followed to its end, so that its usage is written down.
    pub(super) running: TaskTracker,
    /// Ends them.
    pub(super) stop: CancellationToken,
    /// The limit that each agent met last, until a request of its is answered.
    pub(super) limited: Mutex<HashMap<AgentId, Limited>>,
    /// What each agent was refused besides, since that was last asked for.
    pub(super) refused: Mutex<HashMap<AgentId, Vec<Barred>>>,
}

/// How many different refusals of one agent are told apart.
const MOST_REFUSED: usize = 20;

impl Shared {
    /// When an API whose credentials all rest has one again; the latest where several do.
    pub(super) fn back_at(&self, now: Timestamp) -> Option<Timestamp> {
        let upstreams = [&self.anthropic, &self.openai].into_iter().flatten();
        upstreams.filter_map(|upstream| upstream.credentials.back_at(now)).max()
    }

    fn note(&self, agent: AgentId, limited: Limited) {
        self.limited.lock().unwrap_or_else(PoisonError::into_inner).insert(agent, limited);
    }

    /// Gives the limit that an agent met last, and forgets it.
    pub(super) fn take_limited(&self, agent: AgentId) -> Option<Limited> {
        self.limited.lock().unwrap_or_else(PoisonError::into_inner).remove(&agent)
    }

    /// Gives what an agent was refused since this was last asked.
    pub(super) fn take_refused(&self, agent: AgentId) -> Vec<Barred> {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.remove(&agent).unwrap_or_default()
    }

    /// Notes that an agent tried a way out, and tells which agent; none where it was something else.
    async fn tried(&self, token: Option<[u8; 32]>, refusal: &Refusal) -> Option<AgentId> {
        let (token, what) = (token?, refusal.tried()?);
        let grant =
            self.agents.of_token(token).await.ok().flatten().filter(|grant| !grant.ended)?;
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let all = refused.entry(grant.agent).or_default();
        Barred::add(all, Barred { what: Untrusted(what), times: 1 }, MOST_REFUSED);
        Some(grant.agent)
    }

    /// Refuses a request at a limit, and remembers that for the agent's end.
    fn refuse(&self, agent: AgentId, limited: Limited) -> Refusal {
        self.note(agent, limited.clone());
        Refusal::Limited(limited)
    }

    /// Refuses a request while every credential rests.
    fn refuse_for_now(&self, agent: AgentId, until: Timestamp) -> Refusal {
        let (why, now) = (Shortage::Quota, self.clock.now());
        self.note(agent, Limited::Quota { until, shortage: why });
        let soon = Short { why, until }.is_soon_over(now);
        Refusal::Resting { seconds: (until - now).num_seconds(), soon }
    }
}

/// Answers one request.
pub(super) async fn serve(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    // A client asks this only to see whether somebody is there.
    if request.method() == Method::HEAD && request.uri().path() == "/" {
        return StatusCode::OK.into_response();
    }
    let dialect = Dialect::of_path(request.uri().path());
    let token = headers::token(request.headers()).map(token_hash);
    match relay(Arc::clone(&shared), request).await {
        Ok(response) => response,
        Err(refusal) => {
            let agent = shared.tried(token, &refusal).await.map(|agent| agent.0);
            tracing::info!(agent.id = agent, reason = %refusal, "a model request was refused");
            dialect.refuse(refusal)
        }
    }
}

impl Shared {
    fn upstream(&self, dialect: Dialect) -> Result<&Arc<Upstream>, Refusal> {
        let upstream = match dialect {
            Dialect::Messages => &self.anthropic,
            Dialect::Responses => &self.openai,
        };
        upstream.as_ref().ok_or(Refusal::NoCredential(dialect.key_variable()))
    }
}

async fn relay(shared: Arc<Shared>, request: Request) -> Result<Response, Refusal> {
    let uri = request.uri();
    let target = Target::find(request.method(), uri.path(), uri.query())?;
    let grant = grant(&*shared.agents, request.headers()).await?;
    let upstream = Arc::clone(shared.upstream(target.dialect)?);
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, LARGEST_BODY).await.map_err(|_| Refusal::TooLarge)?;
    let passing = Passing { named: &upstream.web, granted: grant.web };
    let checked = target.dialect.check(&body, passing)?;
    let price = shared.prices.of(&checked.model).filter(|_| grant.models.contains(&checked.model));
    let agent = grant.agent;
    let Some(price) = price else {
        let model = checked.model.chars().take(80).collect();
        return Err(shared.refuse(agent, Limited::Model { model }));
    };
    if let Some(until) = upstream.credentials.back_at(shared.clock.now()) {
        return Err(shared.refuse_for_now(agent, until));
    }
    let mut outgoing = Outgoing {
        target,
        price: upstream.priced(price),
        upstream,
        headers: parts.headers,
        beta: checked.beta,
        body,
        agent,
        web: WebUses::default(),
        reservation: None,
    };
    if !target.is_free {
        let size = checked.size.ok_or_else(|| {
            Refusal::Malformed("it does not say how long the answer may be".to_owned())
        })?;
        pay(&shared, grant, checked.model, size, &mut outgoing).await?;
    }
    let (answer, answered) = oneshot::channel();
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

/// Holds back what the request may cost, and holds its answer to that: it is shorter, or searches less, where
/// the whole does not fit.
async fn pay(
    shared: &Shared,
    grant: AgentGrant,
    model: String,
    size: Size,
    outgoing: &mut Outgoing,
) -> Result<(), Refusal> {
    let bill = Bill::new(outgoing.price, size);
    let agent = grant.agent;
    let reservation = Reservation { grant, model, bill, at: shared.clock.now() };
    let reserved = shared.agents.reserve(reservation).await.map_err(|error| {
        tracing::warn!(agent.id = %agent, error = %error, "no money could be held back");
        Refusal::OutOfReach
    })?;
    match reserved {
        Reserved::Refused(limited) => Err(shared.refuse(agent, limited)),
        Reserved::Held { number, allowed } => {
            outgoing.reservation = Some(number);
            outgoing.web = size.web.within(allowed.uses);
            if allowed != bill.wanted() {
                tracing::info!(agent.id = %agent, ?allowed, wanted = ?bill.wanted(),
                    "an answer was shortened to what its budget has left");
            }
            if allowed != bill.wanted() || size.web.most() > 0 {
                let (dialect, named) = (outgoing.target.dialect, &outgoing.upstream.web);
                outgoing.body = dialect.held_to(&outgoing.body, &size, allowed, named).into();
            }
            Ok(())
        }
    }
}

/// A request that was let through.
struct Outgoing {
    target: Target,
    upstream: Arc<Upstream>,
    /// The agent's own headers.
    headers: HeaderMap,
    /// A beta feature that its body needs.
    beta: Option<&'static str>,
    body: Bytes,
    price: Price,
    agent: AgentId,
    /// What its provider was let do on the web for it.
    web: WebUses,
    /// None if the request is free.
    reservation: Option<i64>,
}

impl Outgoing {
    /// A meter for its answer.
    fn meter(&self, is_stream: bool) -> Meter {
        Meter::new(self.target.dialect, is_stream, self.body.len(), self.web)
    }
}

type Answer = oneshot::Sender<Result<Response, Refusal>>;

/// Sends the request on and follows the answer to its end, also when nobody reads it any more. What
/// one credential gets too little for is asked again with the next.
async fn follow(shared: Arc<Shared>, outgoing: Outgoing, mut answer: Answer) {
    loop {
        let credential = match outgoing.upstream.credentials.pick(shared.clock.now()) {
            Ok(credential) => credential,
            Err(until) => {
                settle_free(&shared, &outgoing).await;
                let refusal = until.map(|until| shared.refuse_for_now(outgoing.agent, until));
                let _ = answer.send(Err(refusal.unwrap_or(Refusal::Unreachable)));
                return;
            }
        };
        let sent = send(&shared, &outgoing, &credential);
        let got = tokio::select! {
            got = sent => got,
            () = answer.closed() => return settle_unanswered(&shared, &outgoing).await,
            () = shared.stop.cancelled() => return settle_unanswered(&shared, &outgoing).await,
        };
        let response = match got {
            Ok(response) => response,
            Err(error) => return unreachable(&shared, &outgoing, answer, error).await,
        };
        if response.status().is_success() {
            shared.take_limited(outgoing.agent);
            return stream(&shared, &outgoing, response, &credential, answer).await;
        }
        let refused = tokio::select! {
            refused = refused(response, &credential) => refused,
            () = answer.closed() => return settle_free(&shared, &outgoing).await,
            () = shared.stop.cancelled() => return settle_free(&shared, &outgoing).await,
        };
        let Some(response) = come_short(&shared, &outgoing, refused, &credential).await else {
            continue;
        };
        settle_free(&shared, &outgoing).await;
        let _ = answer.send(Ok(response));
        return;
    }
}

async fn send(
    shared: &Shared,
    outgoing: &Outgoing,
    credential: &Credential,
) -> reqwest::Result<reqwest::Response> {
    let url = format!("{}{}", outgoing.upstream.base_url, outgoing.target.path);
    let headers = headers::to_the_api(&outgoing.headers, credential, outgoing.beta);
    shared.client.post(url).headers(headers).body(outgoing.body.clone()).send().await
}

async fn unreachable(shared: &Shared, outgoing: &Outgoing, answer: Answer, error: reqwest::Error) {
    let connecting = error.is_connect();
    tracing::warn!(agent.id = %outgoing.agent, error = %error.without_url(),
        "the model's API could not be reached");
    // Once the request was out, the work may have been done: then it is not free.
    match connecting {
        true => settle_free(shared, outgoing).await,
        false => settle_unanswered(shared, outgoing).await,
    }
    let _ = answer.send(Err(Refusal::Unreachable));
}

/// An error of the API as the agent may see it, read whole.
struct Refused {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

async fn refused(response: reqwest::Response, credential: &Credential) -> Refused {
    let headers = headers::to_the_agent(response.headers(), credential);
    let status = response.status();
    let body = error_body(response).await;
    Refused { status, headers, body: headers::without_credential(&body, credential) }
}

/// Where the error says that there is no more for now: lets the credential rest. Nothing when another
/// one is there to be tried, else what the agent is told, with the headers that tell when to come back.
async fn come_short(
    shared: &Shared,
    outgoing: &Outgoing,
    refused: Refused,
    credential: &Credential,
) -> Option<Response> {
    let Refused { mut status, mut headers, body } = refused;
    let (dialect, now) = (outgoing.target.dialect, shared.clock.now());
    let Some(mut short) = dialect.shortage(status, &headers, &body, now) else {
        return Some((status, headers, body).into_response());
    };
    if short.is_of_the_credential() {
        rest(shared, outgoing, credential, short).await;
        short.until = outgoing.upstream.credentials.back_at(now)?;
    }
    shared.note(outgoing.agent, Limited::Quota { until: short.until, shortage: short.why });
    if !short.is_soon_over(now) {
        dialect.make_final(&mut status, &mut headers);
    }
    Some((status, headers, body).into_response())
}

/// Lets a credential rest, and notes it for the next start.
async fn rest(shared: &Shared, outgoing: &Outgoing, credential: &Credential, short: Short) {
    let (provider, name) = (outgoing.target.dialect.provider(), credential.name());
    tracing::warn!(credential = name, until = %short.until, why = ?short.why,
        "a credential of the model's API rests");
    outgoing.upstream.credentials.rest(credential, short.until);
    let reason = format!("{:?}", short.why).to_lowercase();
    if let Err(error) = shared.agents.rest(provider, name, short.until, reason).await {
        tracing::warn!(error = %error, "that a credential rests could not be noted");
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
    credential: &Credential,
    answer: Answer,
) {
    let headers = headers::to_the_agent(response.headers(), credential);
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
