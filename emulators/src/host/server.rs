//! The host itself: takes uploads, changes releases over, forwards.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::{Mutex, MutexGuard};

use super::forward::{Forwarder, PREFIX};
use super::process::Process;
use super::release::{MOST_BYTES, Release, Upload};
use crate::listener::Listener;

/// The largest upload that is read, in bytes: JSON writes some characters as several.
const LARGEST_UPLOAD: usize = 2 * MOST_BYTES;

/// What a host is started with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The bearer token that may upload.
    pub token: String,
    /// Where releases are kept, each in a folder of its own; made if absent.
    pub data_dir: PathBuf,
}

impl Settings {
    /// A free port of the loopback address.
    pub fn local(token: impl Into<String>, data_dir: impl Into<PathBuf>) -> Self {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self { listen, token: token.into(), data_dir: data_dir.into() }
    }
}

/// One release that has run or runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Deployed {
    /// The commit, as uploaded.
    pub sha: String,
    /// Its own address; gone when it no longer runs.
    pub url: String,
    /// Whether it is the one that `/service/` reaches, and is alive.
    pub running: bool,
}

/// A running host; dropping it kills what it runs.
#[derive(Debug)]
pub struct Host {
    listener: Listener,
    shared: Arc<Shared>,
}

/// What the handlers share.
#[derive(Debug)]
struct Shared {
    token: String,
    data_dir: PathBuf,
    forwarder: Forwarder,
    /// Held while a release is changed over, so that there is one change at a time.
    deploying: Mutex<()>,
    fleet: Mutex<Fleet>,
}

/// The release that runs, and all there were.
#[derive(Debug, Default)]
struct Fleet {
    current: Option<Process>,
    deployed: Vec<Deployed>,
}

impl Host {
    /// Starts a host; fails when the address or the folder cannot be used.
    pub async fn start(settings: Settings) -> io::Result<Self> {
        let Settings { listen, token, data_dir } = settings;
        tokio::fs::create_dir_all(&data_dir).await?;
        let shared = Arc::new(Shared {
            token,
            data_dir,
            forwarder: Forwarder::new(),
            deploying: Mutex::default(),
            fleet: Mutex::default(),
        });
        let router = Router::new()
            .route("/releases", post(upload))
            .route("/status", get(status))
            .route(PREFIX, any(forward))
            .route(&format!("{PREFIX}/"), any(forward))
            .route(&format!("{PREFIX}/{{*path}}"), any(forward))
            .method_not_allowed_fallback(unknown)
            .fallback(unknown)
            .with_state(Arc::clone(&shared));
        Ok(Self { listener: Listener::start(listen, router).await?, shared })
    }

    /// What `DEPLOY_URL` should be, without a slash at its end.
    pub fn url(&self) -> String {
        format!("http://{}", self.listener.address())
    }

    /// What `SERVICE_URL` should be: the same for every release, without a slash at its end.
    pub fn service_url(&self) -> String {
        format!("{}{PREFIX}", self.url())
    }

    /// Every release so far, oldest first.
    pub async fn deployed(&self) -> Vec<Deployed> {
        self.shared.fleet().await.listed()
    }

    /// Ends the running release, the server and all connections.
    pub async fn shutdown(self) {
        let Self { listener, shared } = self;
        listener.shutdown().await;
        let current = shared.fleet().await.current.take();
        if let Some(process) = current {
            process.stop().await;
        }
    }
}

impl Shared {
    async fn fleet(&self) -> MutexGuard<'_, Fleet> {
        self.fleet.lock().await
    }

    /// Writes and starts a release, then lets it take over.
    async fn deploy(&self, release: &Release) -> Result<Deployed, String> {
        let _one_at_a_time = self.deploying.lock().await;
        let number = self.fleet().await.deployed.len() + 1;
        // The random part keeps a release apart from what an earlier host left in the folder.
        let random = uuid::Uuid::new_v4().simple();
        let folder = self.data_dir.join(format!("{number}-{}-{random}", release.sha));
        release
            .write(&folder)
            .await
            .map_err(|error| format!("the files cannot be written: {error}"))?;
        let process = Process::start(release, &folder).await?;
        let url = format!("http://{}", process.address);
        let deployed = Deployed { sha: release.sha.clone(), url, running: true };
        let previous = self.fleet().await.take_over(process, deployed.clone());
        if let Some(previous) = previous {
            previous.stop().await;
        }
        Ok(deployed)
    }
}

impl Fleet {
    /// Makes a release the current one; gives the one before.
    fn take_over(&mut self, process: Process, deployed: Deployed) -> Option<Process> {
        for earlier in &mut self.deployed {
            earlier.running = false;
        }
        self.deployed.push(deployed);
        self.current.replace(process)
    }

    /// All releases, with the truth about the last one.
    fn listed(&mut self) -> Vec<Deployed> {
        let alive = self.current.as_mut().is_some_and(Process::is_running);
        if let Some(last) = self.deployed.last_mut() {
            last.running = alive;
        }
        self.deployed.clone()
    }
}

/// `POST /releases`.
async fn upload(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    if !is_allowed(request.headers(), &shared.token) {
        return refuse(StatusCode::UNAUTHORIZED, "the token is missing or wrong");
    }
    let Ok(bytes) = axum::body::to_bytes(request.into_body(), LARGEST_UPLOAD).await else {
        return refuse(StatusCode::PAYLOAD_TOO_LARGE, "the upload is too large");
    };
    let checked = serde_json::from_slice::<Upload>(&bytes)
        .map_err(|error| error.to_string())
        .and_then(Release::check);
    let release = match checked {
        Ok(release) => release,
        Err(reason) => return refuse(StatusCode::UNPROCESSABLE_ENTITY, &reason),
    };
    match shared.deploy(&release).await {
        Ok(Deployed { url, sha, .. }) => {
            (StatusCode::CREATED, axum::Json(json!({"url": url, "sha": sha}))).into_response()
        }
        Err(reason) => refuse(StatusCode::BAD_GATEWAY, &reason),
    }
}

/// `GET /status`.
async fn status(State(shared): State<Arc<Shared>>) -> axum::Json<Value> {
    let releases = shared.fleet().await.listed();
    let running = releases.iter().find(|release| release.running).map(|release| &release.sha);
    axum::Json(json!({"running": running, "releases": releases}))
}

/// Anything below `/service`.
async fn forward(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let target = shared.fleet().await.current.as_ref().map(|process| process.address);
    let Some(target) = target else {
        return refuse(StatusCode::SERVICE_UNAVAILABLE, "nothing is deployed yet");
    };
    let answer = shared.forwarder.forward(request, target).await;
    answer.unwrap_or_else(|reason| refuse(StatusCode::BAD_GATEWAY, &reason))
}

/// Anything the host does not know.
async fn unknown(request: Request) -> Response {
    let reason = format!("the host has no {} {}", request.method(), request.uri().path());
    refuse(StatusCode::NOT_FOUND, &reason)
}

fn is_allowed(headers: &HeaderMap, token: &str) -> bool {
    let sent = headers.get("authorization").and_then(|value| value.to_str().ok());
    sent.and_then(|value| value.strip_prefix("Bearer ")) == Some(token)
}

fn refuse(status: StatusCode, reason: &str) -> Response {
    (status, axum::Json(json!({"error": reason}))).into_response()
}
