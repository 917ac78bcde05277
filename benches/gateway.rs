//! Figures of the gateway: how much later the first byte of a streamed answer comes through it than directly, of
//! the Messages API, of the Responses API, and of that with a search, whose body is rewritten on the way.
//!
//! `cargo bench --bench gateway`; `BATON_BENCH_REQUESTS` says with how many requests of each kind (1,000).
//! Direct and through the gateway take turns, each on a connection that is open already, in front of the
//! same server, with books in a private Postgres that keeps what it commits. A request is as large as one
//! in the midst of an agent's work.
#![expect(clippy::unwrap_used, reason = "a bench that cannot go on should say where")]

mod support;

use std::{
    path::Path,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::http::Uri;
use axum::response::IntoResponse;
use baton::{
    clock::Clock,
    db::{self, agents::NewAgent, tasks::NewTask},
    gateway::{Api, Credential, DatabaseAgents, Gateway, Price, Prices, Settings, token_hash},
    model::{
        InputHash, Inputs, Limits, Micros, Policy, RepositoryId, Role, RolePolicy, Sha, StageKey,
        StageState, TaskInput, TaskOrigin, WebTerms, WebTools,
    },
};
use http_body_util::{BodyExt, Full};
use hyper::body::Frame;
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixStream};

use support::Database;

const CLAUDE: &str = "claude-sonnet-4-5";
const GPT: &str = "gpt-5.5";
const TOKEN: &str = "token-of-the-bench";

/// The size of a request, in bytes.
const REQUEST: usize = 120_000;

/// Requests before any is counted.
const WARM: usize = 50;

const MESSAGES: [&str; 4] = [
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":100,\"output_tokens\":1}}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"text\":\"hi\"}}\n\n",
    "event: message_delta\ndata: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":10}}\n\n",
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
];

const RESPONSES: [&str; 3] = [
    "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"r\"}}\n\n",
    "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"hi\"}\n\n",
    "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"usage\":{\"input_tokens\":100,\"output_tokens\":10}}}\n\n",
];

#[tokio::main]
async fn main() {
    let requests: usize =
        std::env::var("BATON_BENCH_REQUESTS").ok().and_then(|it| it.parse().ok()).unwrap_or(1_000);
    let database = Database::start(20, 8).await;
    let (pool, folder) = (database.pool.clone(), tempfile::tempdir().unwrap());
    agent(&pool).await;

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = listener.local_addr().unwrap();
    let router = Router::new().fallback(streamed);
    let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let gateway = gateway(&pool, folder.path(), &format!("http://{upstream}"));
    let mut direct = over(TcpStream::connect(upstream).await.unwrap()).await;
    let mut through = over(UnixStream::connect(gateway.socket()).await.unwrap()).await;
    for (name, path, body) in asked() {
        let asked = (path, Bytes::from(body.to_string()));
        let mut times = [Vec::new(), Vec::new()];
        for round in 0..WARM + requests {
            for (times, sender) in times.iter_mut().zip([&mut direct, &mut through]) {
                let time = first_byte(sender, &asked).await;
                if round >= WARM {
                    times.push(time);
                }
            }
        }
        compare(name, times);
    }

    gateway.stop().await;
    serving.abort();
    database.stop().await;
}

/// What is asked for, each by its name.
fn asked() -> [(&'static str, &'static str, Value); 3] {
    let words = json!([{"role": "user", "content": "x".repeat(REQUEST)}]);
    let messages = json!({"model": CLAUDE, "max_tokens": 8_192, "stream": true, "messages": words});
    let responses = json!({
        "model": GPT, "max_output_tokens": 8_192, "stream": true, "store": false, "input": words,
    });
    let mut searching = responses.clone();
    searching["tools"] = json!([{"type": "web_search", "external_web_access": true}]);
    [
        ("Messages API", "/v1/messages", messages),
        ("Responses API", "/v1/responses", responses),
        ("Responses API with a search", "/v1/responses", searching),
    ]
}

fn compare(name: &str, [direct, through]: [Vec<Duration>; 2]) {
    let pairs = direct.iter().zip(&through);
    let later = pairs.map(|(direct, through)| through.saturating_sub(*direct)).collect();
    println!("{name}");
    for (name, times) in [
        ("first byte direct", direct),
        ("first byte through the gateway", through),
        ("first byte later, pair by pair", later),
    ] {
        tell(name, times);
    }
}

fn tell(name: &str, mut times: Vec<Duration>) {
    times.sort();
    let millis = |part: f64| times[(times.len() as f64 * part) as usize].as_secs_f64() * 1e3;
    println!("  {name}: median {:.2} ms, 95 % {:.2} ms", millis(0.5), millis(0.95));
}

async fn streamed(uri: Uri, _: Bytes) -> impl IntoResponse {
    let events = if uri.path() == "/v1/messages" { MESSAGES.iter() } else { RESPONSES.iter() };
    ([("content-type", "text/event-stream")], Body::new(Events(events)))
}

/// The events of the answer, one after the other.
struct Events(std::slice::Iter<'static, &'static str>);

impl HttpBody for Events {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let piece = self.0.next().map(|event| Bytes::from_static(event.as_bytes()));
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }
}

async fn over<S>(stream: S) -> SendRequest<Full<Bytes>>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

/// Asks, and gives how long the first byte of the answer took; reads the rest, too.
async fn first_byte(
    sender: &mut SendRequest<Full<Bytes>>,
    (path, body): &(&'static str, Bytes),
) -> Duration {
    let request = http::Request::post(*path)
        .header("host", "bench")
        .header("x-api-key", TOKEN)
        .header("content-type", "application/json")
        .body(Full::new(body.clone()))
        .unwrap();
    sender.ready().await.unwrap();
    let began = Instant::now();
    let answer = sender.send_request(request).await.unwrap();
    assert_eq!(answer.status(), 200);
    let mut body = answer.into_body();
    body.frame().await.unwrap().unwrap();
    let time = began.elapsed();
    body.collect().await.unwrap();
    time
}

fn gateway(pool: &PgPool, folder: &Path, base_url: &str) -> Gateway {
    let terms = WebTerms {
        price: Micros(10_000),
        most: 3,
        tokens: 20_000,
        domains: Vec::new(),
        live: false,
    };
    let api = |key: Credential, search| Api {
        base_url: base_url.to_owned(),
        credentials: vec![key],
        resting: Vec::new(),
        web: WebTools { search, fetch: None },
    };
    let price = Price::of_dollars(3.0, 15.0);
    let settings = Settings {
        socket: folder.join("gateway.sock"),
        mode: 0o600,
        anthropic: Some(api(Credential::ApiKey("the-real-key".into()), None)),
        openai: Some(api(Credential::Bearer("the-real-key".into()), Some(terms))),
        prices: Prices::new([CLAUDE, GPT].map(|model| (model.to_owned(), price)).into()),
        proxy: None,
    };
    let plenty = Micros(i64::MAX / 4);
    let limits = Limits {
        task: plenty,
        repository_day: plenty,
        server_day: plenty,
        requests: u32::MAX / 4,
        ..Limits::default()
    };
    let books = Arc::new(DatabaseAgents::new(pool.clone(), limits));
    Gateway::start(settings, books, Clock::system()).unwrap()
}

/// A running agent with a token and everything that it hangs on.
async fn agent(pool: &PgPool) {
    for statement in [
        "INSERT INTO installations (id, account_id, account) VALUES (3, 1, 'acme')",
        "INSERT INTO repositories (id, installation_id, owner, name, default_branch, private)
         VALUES (9, 3, 'acme', 'files', 'main', false)",
    ] {
        sqlx::query(statement).execute(pool).await.unwrap();
    }
    let now = Clock::system().now();
    let mut connection = pool.acquire().await.unwrap();
    let role = RolePolicy { models: vec![GPT.to_owned()], web: true, ..RolePolicy::default() };
    let task = NewTask {
        repository: RepositoryId(9),
        origin: TaskOrigin::Issue,
        number: 1,
        input: TaskInput::default(),
        input_hash: InputHash::new("0".repeat(64)).unwrap(),
        policy: Policy {
            budget: Micros(i64::MAX / 4),
            roles: [(Role::Coding, role)].into(),
            ..Policy::default()
        },
        requested_by: None,
        pull: None,
        now,
    };
    let task = db::tasks::open(&mut connection, task).await.unwrap();
    let (key, state) = (StageKey::Code, StageState::Blocked);
    let stage = db::stages::save(&mut *connection, task, key, &state, 1, None, now).await.unwrap();
    let agent = NewAgent {
        task,
        stage,
        part: None,
        provider: "claude".to_owned(),
        model: CLAUDE.to_owned(),
        resumes: None,
        inputs: Inputs::default(),
        base: Sha::new("a".repeat(40)).unwrap(),
        salt: uuid::Uuid::from_u128(1),
        now,
    };
    let agent = db::agents::insert(&mut connection, agent).await.unwrap();
    db::agents::set_token_hash(pool, agent, &token_hash(TOKEN)).await.unwrap();
}
