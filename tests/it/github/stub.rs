//! A server of few words: tells who asked what, and answers as the test says.

use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, Response};
use baton::clock::Clock;
use baton::github::{App, Repo, Settings};
use baton::model::{BranchName, InstallationId, Repository, RepositoryId, RepositoryName};
use http_body_util::BodyExt;
use secrecy::SecretString;
use serde_json::{Value, json};

/// One key for all tests: making one takes a while.
pub static KEY: LazyLock<String> =
    LazyLock::new(|| emulators::github::generate_app_key().unwrap().private_pem);

/// One request as it arrived.
#[derive(Debug, Clone)]
pub struct Asked {
    pub method: String,
    /// With its query.
    pub path: String,
    pub authorization: String,
    pub user_agent: String,
    pub body: Value,
}

/// One answer: status, headers, body.
pub type Said = (u16, Vec<(&'static str, String)>, Value);

/// What the server does with a request that is not for a token.
pub type Behaviour = dyn FnMut(&Asked) -> Said + Send;

/// A running server; it ends with the test's runtime.
pub struct Stub {
    pub url: String,
    pub clock: Clock,
    asked: Arc<Mutex<Vec<Asked>>>,
}

/// A plain answer.
pub fn said(status: u16, body: Value) -> Said {
    (status, Vec::new(), body)
}

impl Stub {
    /// Starts it. Tokens are `token-1`, `token-2`, … and live an hour.
    pub async fn start(mut behaviour: impl FnMut(&Asked) -> Said + Send + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let clock = Clock::system();
        let asked = Arc::new(Mutex::new(Vec::<Asked>::new()));
        let (mut minted, time) = (0, clock.clone());
        let answer = move |asked: &Asked| {
            if !asked.path.ends_with("/access_tokens") {
                return behaviour(asked);
            }
            minted += 1;
            let expires_at = time.now() + chrono::TimeDelta::hours(1);
            said(201, json!({ "token": format!("token-{minted}"), "expires_at": expires_at }))
        };
        let answer: Arc<Mutex<Box<Behaviour>>> = Arc::new(Mutex::new(Box::new(answer)));
        let heard = asked.clone();
        let router = axum::Router::new().fallback(move |request: Request<Body>| {
            let (answer, heard) = (answer.clone(), heard.clone());
            async move {
                let asked = read(request).await;
                heard.lock().unwrap().push(asked.clone());
                write(answer.lock().unwrap()(&asked))
            }
        });
        tokio::spawn(axum::serve(listener, router).into_future());
        Self { url, clock, asked }
    }

    /// The App, as it reaches this server.
    pub fn app(&self) -> App {
        let settings = Settings {
            base_url: self.url.clone(),
            app_id: 4711,
            private_key_pem: SecretString::from(KEY.clone()),
            timeout: Duration::from_secs(10),
            user_agent: "baton/test".to_owned(),
        };
        App::new(settings, self.clock.clone()).unwrap()
    }

    /// The repository `octo/tools` of installation 1.
    pub fn repo(&self) -> Repo {
        self.app().repository(&repository(7))
    }

    /// What was asked so far, requests for tokens left out.
    pub fn asked(&self) -> Vec<Asked> {
        self.all(|asked| !asked.path.ends_with("/access_tokens"))
    }

    /// How often a token was asked for.
    pub fn minted(&self) -> Vec<Asked> {
        self.all(|asked| asked.path.ends_with("/access_tokens"))
    }

    fn all(&self, filter: impl Fn(&Asked) -> bool) -> Vec<Asked> {
        self.asked.lock().unwrap().iter().filter(|asked| filter(asked)).cloned().collect()
    }
}

/// A repository of installation 1.
pub fn repository(id: i64) -> Repository {
    Repository {
        id: RepositoryId(id),
        installation: InstallationId(1),
        name: RepositoryName::new("octo", "tools").unwrap(),
        default_branch: BranchName::new("main").unwrap(),
        private: false,
        off: false,
        policy_error: None,
    }
}

async fn read(request: Request<Body>) -> Asked {
    let (parts, body) = request.into_parts();
    let header = |name: &str| {
        parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
    };
    let bytes = body.collect().await.unwrap().to_bytes();
    Asked {
        method: parts.method.to_string(),
        path: parts.uri.to_string(),
        authorization: header("authorization"),
        user_agent: header("user-agent"),
        body: serde_json::from_slice(&bytes).unwrap_or_default(),
    }
}

fn write((status, headers, body): Said) -> Response<Body> {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(name, value);
    }
    response.body(Body::from(body.to_string())).unwrap()
}

/// `GET /app`, the installations and the bot: who the App is.
pub fn identity(asked: &Asked) -> Option<Said> {
    let body = match asked.path.split('?').next()? {
        "/app" => json!({ "id": 4711, "slug": "baton", "owner": { "id": 2, "login": "octo" } }),
        "/app/installations" => json!([]),
        "/users/baton%5Bbot%5D" => json!({ "id": 99, "login": "baton[bot]" }),
        _ => return None,
    };
    Some(said(200, body))
}
