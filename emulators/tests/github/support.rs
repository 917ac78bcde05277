//! A stand-in with one repository, a client that calls it as the App does, and a receiver.

use std::net::SocketAddr;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use chrono::{DateTime, TimeDelta};
use emulators::github::{
    AppKey, AppRegistration, GitHub, RepositoryOptions, Role, Settings, generate_app_key,
};
use serde_json::{Value, json};
use tempfile::TempDir;

static KEY: LazyLock<AppKey> = LazyLock::new(|| generate_app_key().unwrap());

pub const REPO: &str = "octo/widget";
pub const SECRET: &str = "s3cret";
pub const PATIENCE: Duration = Duration::from_secs(5);

/// A webhook as it arrived.
#[derive(Clone, Debug)]
pub struct Arrival {
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Arrival {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// `event.action`.
    pub fn name(&self) -> String {
        let action = self.json()["action"].as_str().map(|action| format!(".{action}"));
        format!("{}{}", self.header("x-github-event"), action.unwrap_or_default())
    }
}

#[derive(Clone, Default)]
pub struct Receiver {
    pub arrivals: Arc<Mutex<Vec<Arrival>>>,
    pub refuse: Arc<Mutex<bool>>,
}

impl Receiver {
    pub fn names(&self) -> Vec<String> {
        self.arrivals.lock().unwrap().iter().map(Arrival::name).collect()
    }
}

async fn receive(
    State(receiver): State<Receiver>,
    headers: HeaderMap,
    body: bytes::Bytes,
) -> StatusCode {
    receiver.arrivals.lock().unwrap().push(Arrival { headers, body: body.to_vec() });
    if *receiver.refuse.lock().unwrap() {
        StatusCode::INTERNAL_SERVER_ERROR
    } else {
        StatusCode::ACCEPTED
    }
}

pub struct Scene {
    pub github: GitHub,
    pub receiver: Receiver,
    pub http: reqwest::Client,
    pub installation: u64,
    pub token: String,
    seconds: Arc<AtomicI64>,
    _data: TempDir,
}

/// An answer of the API.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Value,
}

/// `octo/widget` with the App installed, `octo` its owner, `mona` a maintainer.
pub async fn scene() -> Scene {
    let receiver = Receiver::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hook = format!("http://{}/webhook", listener.local_addr().unwrap());
    let router = axum::Router::new().fallback(receive).with_state(receiver.clone());
    tokio::spawn(async { axum::serve(listener, router).await });
    let data = tempfile::tempdir().unwrap();
    let seconds = Arc::new(AtomicI64::new(1_800_000_000));
    let ticking = Arc::clone(&seconds);
    let settings = Settings {
        data_dir: data.path().to_owned(),
        webhook_url: Some(hook),
        webhook_secret: SECRET.to_owned(),
        app: AppRegistration {
            id: 7,
            slug: "baton".to_owned(),
            public_key_pem: KEY.public_pem.clone(),
            bot_user_id: 77,
        },
        clock: Arc::new(move || {
            DateTime::UNIX_EPOCH + TimeDelta::seconds(ticking.load(Ordering::SeqCst))
        }),
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
    };
    let github = GitHub::start(settings).await.unwrap();
    github.add_user("octo");
    github.add_user("mona");
    let files: &[(&str, &[u8], bool)] =
        &[("README.md", b"# widget\n", false), ("src/a.rs", b"one\ntwo\nthree\n", false)];
    github.add_repository("octo", "widget", files, RepositoryOptions::default()).unwrap();
    github.grant(REPO, "mona", Role::Maintain).unwrap();
    let installation = github.install("octo", &["widget"]).unwrap();
    let mut scene = Scene {
        github,
        receiver,
        http: reqwest::Client::builder().user_agent("tests").build().unwrap(),
        installation,
        token: String::new(),
        seconds,
        _data: data,
    };
    scene.token = scene.mint(json!({})).await;
    scene
}

impl Scene {
    pub fn pass(&self, seconds: i64) {
        self.seconds.fetch_add(seconds, Ordering::SeqCst);
    }

    pub fn jwt_with(&self, issuer: &Value, life: i64) -> String {
        let now = self.seconds.load(Ordering::SeqCst);
        let claims = json!({ "iss": issuer, "iat": now - 60, "exp": now + life });
        let key = jsonwebtoken::EncodingKey::from_rsa_pem(KEY.private_pem.as_bytes()).unwrap();
        let header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::RS256);
        jsonwebtoken::encode(&header, &claims, &key).unwrap()
    }

    pub fn jwt(&self) -> String {
        self.jwt_with(&json!(7), 540)
    }

    pub async fn mint(&self, body: Value) -> String {
        let answer = self.try_mint(body).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        answer.body["token"].as_str().unwrap().to_owned()
    }

    pub async fn try_mint(&self, body: Value) -> Answer {
        let path = format!("/app/installations/{}/access_tokens", self.installation);
        self.call_as(&self.jwt(), "POST", &path, Some(body)).await
    }

    pub async fn call_as(
        &self,
        token: &str,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> Answer {
        let url =
            if path.starts_with("http") { path.to_owned() } else { self.github.api_url() + path };
        let method = method.parse().unwrap();
        let mut request = self.http.request(method, url).bearer_auth(token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Answer { status, headers, body }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.call_as(&self.token, "GET", path, None).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.call_as(&self.token, "POST", path, Some(body)).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.call_as(&self.token, "PATCH", path, Some(body)).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.call_as(&self.token, "PUT", path, Some(body)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.call_as(&self.token, "DELETE", path, None).await
    }

    pub async fn graphql(&self, query: &str, variables: Value) -> Answer {
        self.post("/graphql", json!({ "query": query, "variables": variables })).await
    }

    /// Waits until so many webhooks have been answered.
    pub async fn delivered(&self, count: usize) {
        let settled = |github: &GitHub| {
            github.deliveries().iter().filter(|known| known.status_code.is_some()).count() >= count
        };
        assert!(self.github.wait_for(PATIENCE, settled).await, "{:?}", self.receiver.names());
    }

    /// Waits until every webhook has been answered, and gives their names in order of arrival.
    pub async fn arrived(&self) -> Vec<String> {
        let settled =
            |github: &GitHub| github.deliveries().iter().all(|known| known.status_code.is_some());
        assert!(self.github.wait_for(PATIENCE, settled).await);
        self.receiver.names()
    }

    /// A branch `topic` with one changed line, pushed by mona.
    pub fn topic(&self) -> String {
        let files: &[(&str, &[u8], bool)] = &[("src/a.rs", b"one\nzwei\nthree\n", false)];
        self.github.as_user("mona").push_files(REPO, "topic", files, "change").unwrap()
    }

    /// A pull request of that branch, opened by the App.
    pub async fn own_pull(&self, draft: bool) -> u64 {
        self.topic();
        let body = json!({ "title": "Change", "head": "topic", "base": "main", "draft": draft });
        let answer = self.post("/repos/octo/widget/pulls", body).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        answer.body["number"].as_u64().unwrap()
    }

    pub fn git(&self, folder: &std::path::Path, arguments: &[&str]) -> Output {
        let mut command = Command::new("git");
        command.args(arguments).current_dir(folder).env_clear().env("HOME", folder);
        command.env("PATH", std::env::var_os("PATH").unwrap());
        command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_TERMINAL_PROMPT", "0");
        for role in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{role}_NAME"), "t").env(format!("GIT_{role}_EMAIL"), "t@t");
        }
        command.output().unwrap()
    }

    pub fn clone_url(&self, token: &str) -> String {
        self.clone_url_of(REPO, token)
    }

    pub fn clone_url_of(&self, repo: &str, token: &str) -> String {
        let address = self.github.api_url();
        let host = address.trim_start_matches("http://");
        format!("http://x-access-token:{token}@{host}/{repo}.git")
    }
}
