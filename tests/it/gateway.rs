//! The gateway on a real socket, between agents' requests and a stand-in for the model's API.

mod budgets;
mod endings;
mod limits;
mod openai;
mod programs;
mod refusals;
mod shortages;
mod web;
pub mod within;

use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use baton::clock::Clock;
use baton::gateway::{
    AgentGrant, Agents, AgentsError, Allowed, Answer, Api, Bill, Credential, Gateway, Price,
    Prices, RequestUsage, Reservation, Reserved, Settings, Size, TokenHash, token_hash,
};
use baton::model::{
    AgentEvent, AgentId, BUDGET_SPENT, BudgetScope, Limited, Micros, RepositoryId, Role, SessionId,
    Shortage, TaskId, Timestamp, TokenUsage, Web, WebTools,
};
use baton::provider::{Launch, ProviderKind, Step};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, UnixStream};
use tokio::sync::mpsc;

use crate::support::database::TestDatabase;

const REAL_KEY: &str = "sk-ant-the-real-key";
const OPENAI_KEY: &str = "sk-proj-the-real-key";
const TOKEN: &str = "token-of-agent-7";

const STREAM: &str = concat!(
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":",
    "{\"input_tokens\":100,\"output_tokens\":1,\"cache_read_input_tokens\":1000}}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"text\":\"hi\"}}\n\n",
    "event: message_delta\ndata: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":10}}\n\n",
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
);

/// What `STREAM` costs with claude-sonnet-4-5: 100 in, 10 out, 1000 from the cache.
const STREAM_COST: Micros = Micros(300 + 150 + 300);

/// Books that hold what they are told.
#[derive(Default)]
struct Books {
    grants: Mutex<HashMap<TokenHash, AgentGrant>>,
    /// What each agent has used of its budgets, reservations included.
    used: Mutex<HashMap<AgentId, Micros>>,
    reservations: Mutex<Vec<(Reservation, Micros)>>,
    settled: Mutex<Vec<(i64, RequestUsage)>>,
    resting: Mutex<Vec<(String, String)>>,
    broken: bool,
}

impl Agents for Books {
    fn of_token(&self, hash: TokenHash) -> Answer<'_, Option<AgentGrant>> {
        if self.broken {
            return Box::pin(async { Err(AgentsError("no database".to_owned())) });
        }
        let found = self.grants.lock().unwrap().get(&hash).cloned();
        Box::pin(async move { Ok(found) })
    }

    fn reserve(&self, reservation: Reservation) -> Answer<'_, Reserved> {
        let reserved = self.hold(reservation);
        Box::pin(async move { Ok(reserved) })
    }

    fn settle(&self, reservation: i64, usage: RequestUsage) -> Answer<'_, ()> {
        let index = usize::try_from(reservation - 1).unwrap();
        let (agent, reserved) = {
            let reservations = self.reservations.lock().unwrap();
            (reservations[index].0.grant.agent, reservations[index].1)
        };
        self.use_up(agent, usage.cost.0 - reserved.0);
        self.settled.lock().unwrap().push((reservation, usage));
        Box::pin(async { Ok(()) })
    }

    fn rest(&self, _: &'static str, name: String, _: Timestamp, reason: String) -> Answer<'_, ()> {
        self.resting.lock().unwrap().push((name, reason));
        Box::pin(async { Ok(()) })
    }
}

impl Books {
    fn hold(&self, reservation: Reservation) -> Reserved {
        let agent = reservation.grant.agent;
        let used = self.used.lock().unwrap().get(&agent).copied().unwrap_or(Micros::ZERO);
        let mut reservations = self.reservations.lock().unwrap();
        let asked = reservations.iter().filter(|(other, _)| other.grant.agent == agent).count();
        let most = reservation.grant.most_requests;
        if asked >= most as usize {
            return Reserved::Refused(Limited::Requests { most });
        }
        match reservation.fitting(&[used; 4]) {
            Err(limited) => Reserved::Refused(limited),
            Ok(allowed) => {
                let reserved = reservation.bill.at_most(allowed);
                self.use_up(agent, reserved.0);
                reservations.push((reservation, reserved));
                Reserved::Held { number: i64::try_from(reservations.len()).unwrap(), allowed }
            }
        }
    }

    fn use_up(&self, agent: AgentId, micros: i64) {
        self.used.lock().unwrap().entry(agent).or_default().0 += micros;
    }

    fn change(&self, token: &str, change: impl FnOnce(&mut AgentGrant)) {
        change(self.grants.lock().unwrap().get_mut(&token_hash(token)).unwrap());
    }
}

fn books() -> Books {
    let grant = AgentGrant {
        agent: AgentId(7),
        task: TaskId(3),
        repository: RepositoryId(9),
        models: ["claude-sonnet-4-5", "gpt-5.5", "unpriced"].map(str::to_owned).to_vec(),
        ended: false,
        budgets: [Micros(1_000_000); 4],
        most_requests: 100,
        web: false,
    };
    let broke = AgentGrant { agent: AgentId(8), budgets: [Micros(0); 4], ..grant.clone() };
    let ended = AgentGrant { agent: AgentId(9), ended: true, ..grant.clone() };
    let rows = [(TOKEN, grant), ("broke", broke), ("ended", ended)];
    let grants = rows.map(|(token, grant)| (token_hash(token), grant)).into_iter().collect();
    Books { grants: Mutex::new(grants), ..Books::default() }
}

/// What a body for claude-sonnet-4-5 that asks for nothing to be kept costs at most.
fn worst(body: &Value) -> Micros {
    let max_output = body["max_tokens"].as_u64().unwrap();
    let size = Size { bytes: body.to_string().len() as u64, max_output, ..Size::default() };
    let bill = Bill::new(Prices::published().of("claude-sonnet-4-5").unwrap(), size);
    bill.at_most(bill.wanted())
}

/// An answer of so many tokens, without the web.
fn tokens(output: u64) -> Allowed {
    Allowed { output, uses: 0 }
}

/// What the stand-in for the API answers.
#[derive(Clone)]
enum Script {
    Stream,
    Text(String),
    Status(StatusCode, HeaderMap, String),
    /// The stream for whoever has this key, the other for everybody else.
    OnlyFor(&'static str, Box<Self>),
    /// These first words, then nothing; the channel tells when it is dropped.
    Hang(&'static str, mpsc::UnboundedSender<()>),
}

#[derive(Clone)]
struct Upstream {
    script: Script,
    seen: Arc<Mutex<Vec<(String, HeaderMap, Bytes)>>>,
}

async fn answer(State(upstream): State<Upstream>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let key = format!("{:?}", parts.headers);
    upstream.seen.lock().unwrap().push((parts.uri.to_string(), parts.headers, body));
    let event_stream = [("content-type", "text/event-stream"), ("request-id", "req_1")];
    let script = match upstream.script {
        Script::OnlyFor(secret, _) if key.contains(secret) => Script::Stream,
        Script::OnlyFor(_, other) => *other,
        script => script,
    };
    match script {
        Script::Stream => (event_stream, STREAM).into_response(),
        Script::Text(text) => (event_stream, text).into_response(),
        Script::Status(status, headers, body) => (status, headers, body).into_response(),
        Script::OnlyFor(..) => unreachable!("it was resolved above"),
        Script::Hang(first, dropped) => {
            let body = Body::new(Hanging { first: Some(first), dropped });
            (event_stream, body).into_response()
        }
    }
}

struct Hanging {
    first: Option<&'static str>,
    dropped: mpsc::UnboundedSender<()>,
}

impl Drop for Hanging {
    fn drop(&mut self) {
        let _ = self.dropped.send(());
    }
}

impl axum::body::HttpBody for Hanging {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, std::io::Error>>> {
        match self.first.take() {
            Some(first) => {
                let piece = hyper::body::Frame::data(Bytes::from_static(first.as_bytes()));
                std::task::Poll::Ready(Some(Ok(piece)))
            }
            None => std::task::Poll::Pending,
        }
    }
}

/// A stream that stops in the middle of the answer.
fn half() -> &'static str {
    &STREAM[..STREAM.find("event: message_delta").unwrap()]
}

/// A gateway, the books behind it and the API in front of it.
struct House {
    /// Taken when it is stopped.
    gateway: Option<Gateway>,
    books: Arc<Books>,
    upstream: Upstream,
    folder: tempfile::TempDir,
    serving: tokio::task::JoinHandle<()>,
}

impl Drop for House {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn house(script: Script) -> House {
    house_with(script, books(), None).await
}

async fn house_with(script: Script, books: Books, base_url: Option<String>) -> House {
    let credentials = vec![Credential::ApiKey(REAL_KEY.into())];
    house_of(script, books, base_url, credentials).await
}

async fn house_of(
    script: Script,
    books: Books,
    base_url: Option<String>,
    credentials: Vec<Credential>,
) -> House {
    house_named(script, books, base_url, credentials, Web::default()).await
}

/// The same of a server that names tools of the providers.
async fn house_named(
    script: Script,
    books: Books,
    base_url: Option<String>,
    credentials: Vec<Credential>,
    web: Web,
) -> House {
    let upstream = Upstream { script, seen: Arc::default() };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().fallback(answer).with_state(upstream.clone());
    let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let folder = tempfile::tempdir().unwrap();
    let books = Arc::new(books);
    let price = Price::of_dollars(3.0, 15.0);
    let settings = Settings {
        socket: folder.path().join("gateway.sock"),
        mode: 0o666,
        anthropic: Some(Api {
            base_url: base_url.unwrap_or_else(|| format!("http://{address}")),
            credentials,
            resting: Vec::new(),
            web: web.anthropic,
        }),
        openai: Some(Api {
            base_url: format!("http://{address}"),
            credentials: vec![Credential::Bearer(OPENAI_KEY.into())],
            resting: Vec::new(),
            web: web.openai,
        }),
        prices: Prices::new(
            [("claude-sonnet-4-5".to_owned(), price), ("gpt-5.5".to_owned(), price)].into(),
        ),
        proxy: None,
    };
    let agents = Arc::<Books>::clone(&books);
    let gateway = Gateway::start(settings, agents, Clock::system()).unwrap();
    House { gateway: Some(gateway), books, upstream, folder, serving }
}

/// What an agent's program gets.
struct Got {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Got {
    /// The error's type and message.
    fn error(&self) -> (String, String) {
        let error: Value = serde_json::from_str(&self.body).unwrap();
        assert_eq!(error["type"], "error");
        let text = |field: &str| error["error"][field].as_str().unwrap().to_owned();
        (text("type"), text("message"))
    }
}

async fn connect(socket: &Path) -> hyper::client::conn::http1::SendRequest<Full<Bytes>> {
    let stream = UnixStream::connect(socket).await.unwrap();
    let (sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

fn request(
    method: Method,
    path: &str,
    token: &str,
    body: impl Into<Bytes>,
) -> http::Request<Full<Bytes>> {
    http::Request::builder()
        .method(method)
        .uri(path)
        .header("host", "gateway")
        .header("x-api-key", token)
        .header("content-type", "application/json")
        .header("anthropic-version", "2023-06-01")
        .body(Full::new(body.into()))
        .unwrap()
}

impl House {
    fn gateway(&self) -> &Gateway {
        self.gateway.as_ref().unwrap()
    }

    /// Asks, reads the first piece of the answer, and hands back the rest.
    async fn begin(&self) -> (hyper::client::conn::http1::SendRequest<Full<Bytes>>, Incoming) {
        let mut sender = connect(self.gateway().socket()).await;
        let post = request(Method::POST, "/v1/messages", TOKEN, message().to_string());
        let mut answer = sender.send_request(post).await.unwrap().into_body();
        let first = answer.frame().await.unwrap().unwrap().into_data().unwrap();
        assert!(STREAM.as_bytes().starts_with(&first));
        (sender, answer)
    }

    async fn send(&self, request: http::Request<Full<Bytes>>) -> Got {
        let mut sender = connect(self.gateway().socket()).await;
        let response = patiently(sender.send_request(request)).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = patiently(body.collect()).await.unwrap().to_bytes();
        let body = String::from_utf8(body.to_vec()).unwrap();
        Got { status: parts.status, headers: parts.headers, body }
    }

    async fn ask(&self, token: &str, body: &Value) -> Got {
        self.send(request(Method::POST, "/v1/messages?beta=true", token, body.to_string())).await
    }

    fn requests_that_came_through(&self) -> usize {
        self.upstream.seen.lock().unwrap().len()
    }

    /// What was settled; every reservation has to be, once.
    fn usage(&self) -> Vec<RequestUsage> {
        let settled = self.books.settled.lock().unwrap().clone();
        let mut numbers: Vec<i64> = settled.iter().map(|(number, _)| *number).collect();
        numbers.sort_unstable();
        let reserved = i64::try_from(self.books.reservations.lock().unwrap().len()).unwrap();
        assert_eq!(numbers, (1..=reserved).collect::<Vec<_>>());
        settled.into_iter().map(|(_, usage)| usage).collect()
    }

    fn cost(&self) -> Vec<Micros> {
        self.usage().iter().map(|usage| usage.cost).collect()
    }
}

/// Waits for what has to come; only a failing test waits for long.
async fn patiently<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(std::time::Duration::from_secs(30), what).await.unwrap()
}

fn message() -> Value {
    json!({"model": "claude-sonnet-4-5", "max_tokens": 10, "stream": true, "messages": []})
}

#[tokio::test]
async fn an_answer_comes_through_byte_for_byte_and_its_usage_is_written_down() {
    let house = house(Script::Stream).await;
    let got = house.ask(TOKEN, &message()).await;
    assert_eq!((got.status, got.body.as_str()), (StatusCode::OK, STREAM));
    assert_eq!(got.headers["request-id"], "req_1");
    let usage = house.usage();
    assert_eq!(usage.len(), 1);
    assert_eq!(usage[0].cost, STREAM_COST);
    let (reservation, reserved) = house.books.reservations.lock().unwrap()[0].clone();
    assert_eq!((reservation.grant.agent, reservation.grant.task), (AgentId(7), TaskId(3)));
    assert_eq!(reserved, worst(&message()));
    assert!(reserved > STREAM_COST);
    let tokens = TokenUsage { input: 100, output: 10, cache_read: 1000, cache_write: 0 };
    assert_eq!(usage[0].tokens, tokens);
    assert!(usage[0].complete);
}

#[tokio::test]
async fn the_api_gets_the_real_key_and_the_body_as_it_was() {
    let house = house(Script::Stream).await;
    let body = r#"{ "max_tokens":64000,"model":"claude-sonnet-4-5",  "messages":[] }"#;
    house.books.change(TOKEN, |grant| grant.budgets = [Micros(9_000_000); 4]);
    house.send(request(Method::POST, "/v1/messages?beta=true", TOKEN, body)).await;
    let seen = house.upstream.seen.lock().unwrap();
    let (target, headers, sent) = &seen[0];
    assert_eq!((target.as_str(), sent.as_ref()), ("/v1/messages?beta=true", body.as_bytes()));
    assert_eq!(headers["x-api-key"], REAL_KEY);
    assert_eq!(headers["anthropic-version"], "2023-06-01");
    assert!(!format!("{headers:?}").contains(TOKEN));
}

#[tokio::test]
async fn the_real_key_does_not_come_back_whatever_the_api_says() {
    let mut headers = HeaderMap::new();
    headers.insert("request-id", format!("r-{REAL_KEY}").parse().unwrap());
    headers.insert("x-debug", REAL_KEY.parse().unwrap());
    headers.insert("location", format!("http://127.0.0.1:1/{REAL_KEY}").parse().unwrap());
    for status in [StatusCode::UNAUTHORIZED, StatusCode::FOUND, StatusCode::BAD_GATEWAY] {
        let body = format!("invalid key {REAL_KEY}, sorry");
        let house = house(Script::Status(status, headers.clone(), body)).await;
        let got = house.ask(TOKEN, &message()).await;
        assert_eq!((got.status, got.body.as_str()), (status, "invalid key [redacted], sorry"));
        assert!(!format!("{:?}", got.headers).contains(REAL_KEY));
    }
}
