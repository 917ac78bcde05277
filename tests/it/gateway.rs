//! The gateway on a real socket, between agents' requests and a stand-in for the model's API.

mod openai;
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
    AgentGrant, Agents, AgentsError, Answer, Api, Bill, Credential, Gateway, Price, Prices,
    RequestUsage, Reservation, Reserved, Settings, Size, TokenHash, token_hash,
};
use baton::model::{
    AgentEvent, AgentId, BUDGET_SPENT, BudgetScope, Limited, Micros, RepositoryId, Role, SessionId,
    Shortage, TaskId, Timestamp, TokenUsage,
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

mod budgets;

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
            Ok(output) => {
                let reserved = reservation.bill.at_most(output);
                self.use_up(agent, reserved.0);
                reservations.push((reservation, reserved));
                Reserved::Held { number: i64::try_from(reservations.len()).unwrap(), output }
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
    Bill::new(Prices::published().of("claude-sonnet-4-5").unwrap(), size).at_most(max_output)
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
        }),
        openai: Some(Api {
            base_url: format!("http://{address}"),
            credentials: vec![Credential::Bearer(OPENAI_KEY.into())],
            resting: Vec::new(),
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
async fn a_token_of_nobody_is_unauthorized_and_is_not_tried_again() {
    let house = house(Script::Stream).await;
    let got = house.ask("wrong", &message()).await;
    assert_eq!(got.status, StatusCode::UNAUTHORIZED);
    assert_eq!(got.error().0, "authentication_error");
    assert_eq!(got.headers["x-should-retry"], "false");
    let real = house.ask(REAL_KEY, &message()).await;
    assert_eq!(real.status, StatusCode::UNAUTHORIZED);
    assert_eq!(house.requests_that_came_through(), 0);
}

#[tokio::test]
async fn whatever_is_not_listed_is_refused_by_name_and_reaches_nobody() {
    let house = house(Script::Stream).await;
    let image = json!({"type": "image", "source": {"type": "url", "url": "http://example.test"}});
    let cases = [
        ("mcp_servers", json!([{"type": "url"}]), "mcp_servers"),
        ("container", json!("c"), "container"),
        ("tools", json!([{"type": "web_search_20250305", "name": "w"}]), "web_search_20250305"),
        ("tools", json!([{"type": "code_execution_20250825"}]), "code_execution_20250825"),
        ("messages", json!([{"role": "user", "content": [image]}]), "url"),
        ("model", json!("claude-opus-4-8"), "claude-opus-4-8"),
        ("model", json!("unpriced"), "unpriced"),
    ];
    for (field, value, named) in cases {
        let mut body = message();
        body[field] = value;
        let got = house.ask(TOKEN, &body).await;
        assert_eq!(got.status, StatusCode::FORBIDDEN, "{field}");
        let (kind, words) = got.error();
        assert_eq!(kind, "permission_error");
        assert!(words.contains(named), "{words}");
    }
    let ended = house.ask("ended", &message()).await;
    assert_eq!(ended.status, StatusCode::FORBIDDEN);
    assert_eq!(house.requests_that_came_through(), 0);
}

#[tokio::test]
async fn other_paths_methods_and_queries_are_refused() {
    let house = house(Script::Stream).await;
    let cases = [
        (Method::GET, "/v1/messages"),
        (Method::POST, "/v1/files"),
        (Method::POST, "/v1/messages/batches"),
        (Method::GET, "/v1/models"),
        (Method::POST, "//v1/messages"),
        (Method::POST, "/v1/messages/../files"),
        (Method::POST, "/v1/messages?beta=true&x=1"),
        (Method::GET, "/"),
    ];
    for (method, path) in cases {
        let got = house.send(request(method, path, TOKEN, message().to_string())).await;
        assert_eq!(got.status, StatusCode::FORBIDDEN, "{path}");
        assert_eq!(got.error().0, "permission_error");
    }
    let alive = house.send(request(Method::HEAD, "/", "", "")).await;
    assert_eq!(alive.status, StatusCode::OK);
    assert_eq!(house.requests_that_came_through(), 0);
}

#[tokio::test]
async fn a_body_that_cannot_be_checked_is_refused() {
    let house = house(Script::Stream).await;
    let path = "/v1/messages";
    let garbage = house.send(request(Method::POST, path, TOKEN, "{")).await;
    assert_eq!(garbage.status, StatusCode::BAD_REQUEST);
    assert_eq!(garbage.error().0, "invalid_request_error");
    let large = house.send(request(Method::POST, path, TOKEN, vec![b' '; (32 << 20) + 1])).await;
    assert_eq!(large.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(large.error().0, "request_too_large");
    assert_eq!(house.requests_that_came_through(), 0);
}

#[tokio::test]
async fn a_spent_budget_refuses_the_very_next_request() {
    let house = house(Script::Stream).await;
    let (whole, left) = (worst(&message()), Micros(STREAM_COST.0 - 1));
    let limit = Micros(whole.0 + left.0);
    house.books.change(TOKEN, |grant| grant.budgets[3] = limit);
    assert_eq!(house.ask(TOKEN, &message()).await.status, StatusCode::OK);
    let got = house.ask(TOKEN, &message()).await;
    assert_eq!(got.status, StatusCode::FORBIDDEN);
    let (kind, words) = got.error();
    assert_eq!(kind, "billing_error");
    assert!(words.starts_with(BUDGET_SPENT), "{words}");
    assert!(words.contains("of the server's for today is left"), "{words}");
    assert_eq!(got.headers["x-should-retry"], "false");
    assert_eq!(house.requests_that_came_through(), 1);
    let left = Micros(limit.0 - STREAM_COST.0);
    let expected = Limited::Budget { scope: BudgetScope::ServerDay, left, needs: whole };
    let limited = house.gateway().limited();
    assert_eq!(limited(AgentId(7)), Some(expected));
    assert_eq!(limited(AgentId(7)), None, "it is told once");
}

#[tokio::test]
async fn an_answer_is_shortened_to_what_is_left_and_nothing_else_of_the_body_changes() {
    let house = house(Script::Stream).await;
    let sent =
        r#"{ "max_tokens" :32000,"model":"claude-sonnet-4-5","messages":[],"stream" : true}"#;
    let size = Size { bytes: sent.len() as u64, max_output: 32_000, ..Size::default() };
    let bill = Bill::new(Prices::published().of("claude-sonnet-4-5").unwrap(), size);
    house.books.change(TOKEN, |grant| grant.budgets[1] = bill.at_most(5_000));
    let got = house.send(request(Method::POST, "/v1/messages", TOKEN, sent)).await;
    assert_eq!((got.status, got.body.as_str()), (StatusCode::OK, STREAM));
    let seen = house.upstream.seen.lock().unwrap()[0].2.clone();
    assert_eq!(seen, sent.replace("32000", "5000").as_bytes());
    // What is left now is too little for an answer that is of use.
    house.books.change(TOKEN, |grant| grant.budgets[1] = Micros(STREAM_COST.0 + 4_000));
    let got = house.send(request(Method::POST, "/v1/messages", TOKEN, sent)).await;
    assert_eq!(got.error().0, "billing_error");
}

#[tokio::test]
async fn an_agent_makes_as_many_requests_as_it_may_and_no_more() {
    let house = house(Script::Stream).await;
    house.books.change(TOKEN, |grant| grant.most_requests = 2);
    for _ in 0..2 {
        assert_eq!(house.ask(TOKEN, &message()).await.status, StatusCode::OK);
    }
    let got = house.ask(TOKEN, &message()).await;
    assert_eq!((got.status, got.error().0.as_str()), (StatusCode::FORBIDDEN, "permission_error"));
    assert!(got.error().1.contains("all 2 requests"), "{}", got.body);
    assert_eq!(got.headers["x-should-retry"], "false");
    assert_eq!(house.requests_that_came_through(), 2);
    let limited = house.gateway().limited();
    assert_eq!(limited(AgentId(7)), Some(Limited::Requests { most: 2 }));
}

#[tokio::test]
async fn a_request_that_does_not_say_how_long_its_answer_may_be_is_refused() {
    let house = house(Script::Stream).await;
    let mut body = message();
    body.as_object_mut().unwrap().remove("max_tokens");
    let got = house.ask(TOKEN, &body).await;
    assert_eq!(
        (got.status, got.error().0.as_str()),
        (StatusCode::BAD_REQUEST, "invalid_request_error")
    );
    assert_eq!(house.requests_that_came_through(), 0);
}

#[tokio::test]
async fn counting_tokens_is_free_and_still_checked() {
    let house = house(Script::Stream).await;
    let path = "/v1/messages/count_tokens?beta=true";
    let got = house.send(request(Method::POST, path, TOKEN, message().to_string())).await;
    assert_eq!(got.status, StatusCode::OK);
    assert_eq!(house.usage(), []);
    let body = r#"{"model":"claude-sonnet-4-5","container":"x"}"#;
    let refused = house.send(request(Method::POST, path, TOKEN, body)).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert_eq!(house.requests_that_came_through(), 1);
}

#[tokio::test]
async fn requests_at_the_same_time_count_before_they_are_answered() {
    let (dropped, _hung_up) = mpsc::unbounded_channel();
    let house = house(Script::Hang(half(), dropped)).await;
    house.books.change(TOKEN, |grant| grant.budgets[0] = worst(&message()));
    let _first = house.begin().await;
    let second = house.ask(TOKEN, &message()).await;
    assert_eq!(second.error().0, "billing_error");
}

/// A refusal of the API for want of quota, for so many seconds.
fn no_quota(seconds: &str) -> Script {
    let mut headers = HeaderMap::new();
    headers.insert("retry-after", seconds.parse().unwrap());
    headers.insert("anthropic-ratelimit-unified-reset", "1".parse().unwrap());
    let body = r#"{"type":"error","error":{"type":"rate_limit_error","message":"slow down"}}"#;
    Script::Status(StatusCode::TOO_MANY_REQUESTS, headers, body.to_owned())
}

#[tokio::test]
async fn a_short_limit_of_the_api_passes_through_and_is_waited_for() {
    let house = house(no_quota("7")).await;
    let got = house.ask(TOKEN, &message()).await;
    assert_eq!(got.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(got.error(), ("rate_limit_error".to_owned(), "slow down".to_owned()));
    assert_eq!(got.headers["retry-after"], "7");
    assert_eq!(got.headers["anthropic-ratelimit-unified-reset"], "1");
    assert!(got.headers.get("x-should-retry").is_none());
    assert_eq!(house.cost(), [Micros::ZERO]);
    // Whoever asks too soon is told here, and the API is left alone.
    let again = house.ask(TOKEN, &message()).await;
    assert_eq!((again.status, again.error().0.as_str()), (got.status, "rate_limit_error"));
    assert!(again.headers["retry-after"].to_str().unwrap().parse::<u32>().unwrap() <= 7);
    assert!(again.headers.get("x-should-retry").is_none());
    assert_eq!(house.requests_that_came_through(), 1);
    let known = house.gateway().quota_back()();
    let limited = house.gateway().limited()(AgentId(7));
    let expected = Limited::Quota { until: known, shortage: Shortage::Quota };
    assert_eq!(limited, Some(expected));
}

#[tokio::test]
async fn a_long_limit_of_the_api_is_not_waited_for() {
    let house = house(no_quota("3600")).await;
    for _ in 0..2 {
        let got = house.ask(TOKEN, &message()).await;
        assert_eq!(got.status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(got.headers["x-should-retry"], "false");
    }
    assert_eq!(house.requests_that_came_through(), 1);
    let back = house.gateway().quota_back()() - Clock::system().now();
    assert!((3_500..=3_600).contains(&back.num_seconds()), "{back}");
}

#[tokio::test]
async fn what_one_credential_gets_too_little_for_is_asked_with_the_next() {
    let (first, second) = (Credential::ApiKey("first".into()), Credential::Bearer("second".into()));
    let script = Script::OnlyFor("second", Box::new(no_quota("600")));
    let house = house_of(script, books(), None, vec![first.clone(), second]).await;
    for _ in 0..2 {
        let got = house.ask(TOKEN, &message()).await;
        assert_eq!((got.status, got.body.as_str()), (StatusCode::OK, STREAM));
    }
    let seen = house.upstream.seen.lock().unwrap();
    let keys = seen.iter().map(|(_, headers, _)| {
        let key = headers.get("x-api-key").or(headers.get("authorization")).unwrap();
        key.to_str().unwrap().to_owned()
    });
    assert_eq!(keys.collect::<Vec<_>>(), ["first", "Bearer second", "Bearer second"]);
    assert_eq!(house.gateway().limited()(AgentId(7)), None);
    let resting = house.books.resting.lock().unwrap().clone();
    assert_eq!(resting, [(first.name(), "quota".to_owned())]);
    drop(seen);
    assert_eq!(house.cost(), [STREAM_COST, STREAM_COST]);
}

#[tokio::test]
async fn an_empty_account_and_a_busy_provider_are_told_apart() {
    let empty = r#"{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low"}}"#;
    let cases = [
        (StatusCode::BAD_REQUEST, empty, Shortage::Credit, Some("false")),
        (StatusCode::from_u16(529).unwrap(), "{}", Shortage::Overloaded, None),
    ];
    for (status, body, why, retried) in cases {
        let house = house(Script::Status(status, HeaderMap::new(), body.to_owned())).await;
        let got = house.ask(TOKEN, &message()).await;
        assert_eq!((got.status, got.body.as_str()), (status, body));
        assert_eq!(got.headers.get("x-should-retry").map(|it| it.to_str().unwrap()), retried);
        let limited = house.gateway().limited()(AgentId(7));
        assert!(matches!(limited, Some(Limited::Quota { shortage, .. }) if shortage == why));
        assert_eq!(house.books.resting.lock().unwrap().len(), usize::from(why == Shortage::Credit));
    }
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

#[tokio::test]
async fn an_agent_that_hangs_up_ends_the_request_and_still_pays() {
    let (dropped, mut hung_up) = mpsc::unbounded_channel();
    let mut house = house(Script::Hang(half(), dropped)).await;
    let connection = house.begin().await;
    assert!(hung_up.try_recv().is_err());
    drop(connection);
    patiently(hung_up.recv()).await.unwrap();
    patiently(house.gateway.take().unwrap().stop()).await;
    let usage = house.usage();
    assert_eq!((usage.len(), usage[0].tokens.input, usage[0].complete), (1, 100, false));
}

#[tokio::test]
async fn usage_is_settled_before_the_last_event_is_passed_on() {
    let (dropped, _hung_up) = mpsc::unbounded_channel();
    let house = house(Script::Hang(STREAM, dropped)).await;
    let _open = house.begin().await;
    assert_eq!(house.cost(), [STREAM_COST]);
}

#[tokio::test]
async fn stopping_ends_what_hangs_writes_its_usage_down_and_takes_the_socket_away() {
    let (dropped, mut hung_up) = mpsc::unbounded_channel();
    let mut house = house(Script::Hang(half(), dropped)).await;
    let _connection = house.begin().await;
    patiently(house.gateway.take().unwrap().stop()).await;
    patiently(hung_up.recv()).await.unwrap();
    assert_eq!(house.usage().len(), 1);
    assert!(!house.folder.path().join("gateway.sock").exists());
}

#[tokio::test]
async fn an_api_out_of_reach_is_told_and_costs_nothing() {
    let nobody = "http://127.0.0.1:9".to_owned();
    let house = house_with(Script::Stream, books(), Some(nobody)).await;
    let got = house.ask(TOKEN, &message()).await;
    assert_eq!(got.status, StatusCode::BAD_GATEWAY);
    assert_eq!(got.error().0, "api_error");
    assert_eq!(house.cost(), [Micros::ZERO]);
}

#[tokio::test]
async fn books_out_of_reach_let_nothing_through() {
    let books = Books { broken: true, ..books() };
    let house = house_with(Script::Stream, books, None).await;
    let got = house.ask(TOKEN, &message()).await;
    assert_eq!(got.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(got.headers.get("x-should-retry").is_none());
    assert_eq!(house.requests_that_came_through(), 0);
}

#[tokio::test]
async fn the_socket_of_a_dead_process_is_replaced_and_a_file_is_not() {
    let house = house(Script::Stream).await;
    let path = house.folder.path().join("gateway.sock");
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o666);
    let settings = |socket| Settings {
        socket,
        mode: 0o600,
        anthropic: Some(Api {
            base_url: "http://127.0.0.1:9".to_owned(),
            credentials: vec![Credential::Bearer("x".into())],
            resting: Vec::new(),
        }),
        openai: None,
        prices: Prices::default(),
        proxy: None,
    };
    let agents = Arc::new(books());
    let second = Gateway::start(settings(path.clone()), agents, Clock::system()).unwrap();
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    second.stop().await;
    let file = house.folder.path().join("file");
    std::fs::write(&file, "kept").unwrap();
    let agents = Arc::new(books());
    assert!(Gateway::start(settings(file.clone()), agents, Clock::system()).is_err());
    assert_eq!(std::fs::read_to_string(file).unwrap(), "kept");
}

/// A stream in which the model gives its outcome.
fn outcome_stream() -> String {
    let usage = json!({"input_tokens": 100, "output_tokens": 1});
    let message = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5",
        "content": [], "stop_reason": null, "stop_sequence": null, "usage": usage,
    });
    let tool =
        json!({"type": "tool_use", "id": "toolu_1", "name": "StructuredOutput", "input": {}});
    let input = json!({"type": "input_json_delta", "partial_json": "{\"ok\":true}"});
    let delta = json!({"stop_reason": "tool_use", "stop_sequence": null});
    [
        json!({"type": "message_start", "message": message}),
        json!({"type": "content_block_start", "index": 0, "content_block": tool}),
        json!({"type": "content_block_delta", "index": 0, "delta": input}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": delta, "usage": {"output_tokens": 10}}),
        json!({"type": "message_stop"}),
    ]
    .iter()
    .map(|event| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap()))
    .collect()
}

/// What stands between an agent's loopback and the socket.
async fn bridge(socket: std::path::PathBuf) -> (u16, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let bridging = tokio::spawn(async move {
        while let Ok((mut agent, _)) = listener.accept().await {
            let mut gateway = UnixStream::connect(&socket).await.unwrap();
            tokio::spawn(async move {
                let _ = tokio::io::copy_bidirectional(&mut agent, &mut gateway).await;
            });
        }
    });
    (port, bridging)
}

/// Runs the pinned Claude Code for one turn and returns everything that it told.
async fn run_claude(program: &str, house: &House, tools: &[&str]) -> Vec<AgentEvent> {
    let (port, bridging) = bridge(house.gateway().socket().to_owned()).await;
    let folder = |name: &str| {
        let path = house.folder.path().join(name);
        std::fs::create_dir_all(&path).unwrap();
        path
    };
    let config_dir = folder("config");
    let workdir = folder("work");
    let launch = Launch {
        role: Role::Reviewer,
        model: "claude-sonnet-4-5".to_owned(),
        system: "WORDS-FOR-THE-SYSTEM".to_owned(),
        prompt: "/not-a-command go".to_owned(),
        schema: Some(json!({"type": "object", "properties": {"ok": {"type": "boolean"}}})),
        tools: tools.iter().map(|tool| (*tool).to_owned()).collect(),
        tool_server: None,
        session: SessionId(uuid::Uuid::new_v4()),
        resume: false,
        gateway_url: format!("http://127.0.0.1:{port}"),
        token: TOKEN.into(),
        workdir: workdir.clone(),
        config_dir: config_dir.clone(),
        home: folder("home"),
        scratch: folder("scratch"),
        search_path: "/usr/bin:/bin".to_owned(),
        max_turns: Some(5),
    };
    let mut provider = ProviderKind::Claude.begin(launch);
    let command = provider.launch();
    for file in &command.files {
        std::fs::write(config_dir.join(&file.path), &file.content).unwrap();
    }
    let mut child = tokio::process::Command::new(program)
        .args(&command.arguments)
        .env_clear()
        .envs(command.environment.clone())
        .current_dir(&workdir)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    for line in provider.opening() {
        input.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }
    let mut told = Vec::new();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut input = Some(input);
    while let Some(line) = lines.next_line().await.unwrap() {
        for step in provider.line(line.as_bytes()) {
            if let Step::Event(event) = step {
                if matches!(event, AgentEvent::Finished { .. }) {
                    input = None;
                }
                told.push(event);
            }
        }
    }
    drop(input);
    child.wait().await.unwrap();
    bridging.abort();
    assert!(config_dir.join(&command.session_file).is_file(), "the session is elsewhere");
    told
}

/// Notices when another version of the program behaves in another way. Run it with the program's
/// path in `BATON_TEST_CLAUDE`.
#[tokio::test]
#[ignore = "needs Claude Code 2.1.329"]
async fn the_pinned_claude_code_works_through_the_gateway() {
    let program = std::env::var("BATON_TEST_CLAUDE").unwrap();
    for tools in [&["Read", "Grep", "Glob"][..], &["Read", "Edit", "Write", "Bash"]] {
        let house = house(Script::Text(outcome_stream())).await;
        let told = run_claude(&program, &house, tools).await;
        let Some(AgentEvent::Finished { result, .. }) = told.last() else {
            panic!("no end: {told:?}");
        };
        assert_eq!(*result, Ok(Some(json!({"ok": true}))));
        let costs: Vec<&AgentEvent> =
            told.iter().filter(|event| matches!(event, AgentEvent::Cost(_))).collect();
        assert_eq!(costs, [&AgentEvent::Cost(Micros(450))]);
        assert_eq!(house.cost(), [Micros(450)]);
        let seen = house.upstream.seen.lock().unwrap();
        let body: Value = serde_json::from_slice(&seen[0].2).unwrap();
        assert!(body["system"].to_string().contains("WORDS-FOR-THE-SYSTEM"));
        assert!(body["messages"].to_string().contains("/not-a-command go"));
        let mut offered: Vec<&str> = body["tools"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|tool| tool["name"].as_str())
            .collect();
        offered.retain(|name| !matches!(*name, "StructuredOutput" | "TodoWrite"));
        let mut expected = tools.to_vec();
        offered.sort_unstable();
        expected.sort_unstable();
        assert_eq!(offered, expected);
    }
}

/// How Claude Code ends at a limit, and that it does not try again by itself.
async fn claude_fails_at_once(program: &str, house: &House) -> String {
    let told = run_claude(program, house, &["Read"]).await;
    let Some(AgentEvent::Finished { result: Err(kind), .. }) = told.last() else {
        panic!("no failure: {told:?}");
    };
    assert!(!told.iter().any(|event| matches!(event, AgentEvent::Retrying { .. })), "{told:?}");
    format!("{kind:?}")
}

#[tokio::test]
#[ignore = "needs Claude Code 2.1.329"]
async fn claude_code_tells_every_limit_at_once() {
    let program = std::env::var("BATON_TEST_CLAUDE").unwrap();
    let broke = house(Script::Stream).await;
    broke.books.change(TOKEN, |grant| grant.budgets[1] = Micros(0));
    let told = claude_fails_at_once(&program, &broke).await;
    assert!(told.contains(BUDGET_SPENT), "{told}");
    let limited = broke.gateway().limited()(AgentId(7));
    assert!(matches!(limited, Some(Limited::Budget { scope: BudgetScope::Task, .. })));

    let used_up = house(Script::Stream).await;
    used_up.books.change(TOKEN, |grant| grant.most_requests = 0);
    let told = claude_fails_at_once(&program, &used_up).await;
    assert!(told.contains("all 0 requests"), "{told}");

    let foreign = house(Script::Stream).await;
    foreign.books.change(TOKEN, |grant| grant.models.clear());
    let told = claude_fails_at_once(&program, &foreign).await;
    assert!(told.contains("claude-sonnet-4-5"), "{told}");

    let resting = house(no_quota("3600")).await;
    claude_fails_at_once(&program, &resting).await;
    assert_eq!(resting.requests_that_came_through(), 1);
    let limited = resting.gateway().limited()(AgentId(7));
    assert!(matches!(limited, Some(Limited::Quota { shortage: Shortage::Quota, .. })));
}

#[tokio::test]
#[ignore = "needs Claude Code 2.1.329"]
async fn claude_code_works_with_answers_that_are_shortened() {
    let program = std::env::var("BATON_TEST_CLAUDE").unwrap();
    let house = house(Script::Text(outcome_stream())).await;
    house.books.change(TOKEN, |grant| grant.budgets[0] = Micros(400_000));
    let told = run_claude(&program, &house, &["Read"]).await;
    let Some(AgentEvent::Finished { result, .. }) = told.last() else {
        panic!("no end: {told:?}");
    };
    assert_eq!(*result, Ok(Some(json!({"ok": true}))));
    let seen = house.upstream.seen.lock().unwrap();
    let body: Value = serde_json::from_slice(&seen[0].2).unwrap();
    let (reservation, reserved) = house.books.reservations.lock().unwrap()[0].clone();
    let allowed = body["max_tokens"].as_u64().unwrap();
    assert!(allowed < reservation.bill.wanted(), "{allowed} of {}", reservation.bill.wanted());
    let thinking = body["thinking"]["budget_tokens"].as_u64().unwrap_or_default();
    assert!(thinking < allowed, "the API refuses that: {thinking} of {allowed} for thinking");
    assert_eq!(reserved, reservation.bill.at_most(allowed));
    assert!(reserved <= Micros(400_000), "{reserved}");
}

#[tokio::test]
async fn lines_in_postgres_hold_what_they_are_told() {
    let database = TestDatabase::new().await;
    let pool = database.pool.clone();
    let agent = budgets::agent(&pool, 1).await;
    let store = Arc::new(baton::logs::DatabaseLines(pool.clone()));
    let redactor = baton::logs::Redactor::new(["open-sesame"]);
    let settings = baton::logs::LogSettings::default();
    let logs = baton::logs::Logs::start(store, redactor, Clock::system(), settings);
    let mut writer = logs.open(agent);
    writer.line(baton::logs::LogStream::Output, b"open-sesame \0").await;
    drop(writer);
    logs.stop().await;
    let rows: Vec<(i64, String, String)> =
        sqlx::query_as("SELECT seq, stream, text FROM agent_lines").fetch_all(&pool).await.unwrap();
    assert_eq!(rows, [(1, "out".to_owned(), "[redacted] \u{FFFD}".to_owned())]);
}
