//! The gateway's socket and its life cycle.

use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use chrono::TimeDelta;
use tokio::net::UnixListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::model::{AgentId, Barred, Limited, Timestamp};

use super::agents::Agents;
use super::relay::{self, Shared, Upstream};
use super::settings::Settings;

/// How long open requests may go on when the gateway is stopped. Agents are stopped before it, so
/// there should be none.
const GRACE: Duration = Duration::from_secs(3);

/// How long a connection to the API may take.
const CONNECT: Duration = Duration::from_secs(15);

/// How long the API may say nothing; it sends a ping every few seconds while it thinks.
const SILENCE: Duration = Duration::from_secs(600);

/// The gateway cannot start.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// The socket cannot be made: choose another path or put its folder right.
    #[error("cannot listen on {path}: {source}")]
    Socket {
        /// The socket.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The HTTP client cannot be made: put the proxy or the certificates right.
    #[error("cannot prepare the way to the model's API: {0}")]
    Client(reqwest::Error),
}

/// A running gateway.
pub struct Gateway {
    shared: Arc<Shared>,
    accepting: CancellationToken,
    server: JoinHandle<std::io::Result<()>>,
    settings: Settings,
}

impl Gateway {
    /// Binds the socket, in the place of one that a dead process left, and begins to serve.
    ///
    /// # Errors
    /// When the socket cannot be bound or the HTTP client cannot be made.
    pub fn start(
        settings: Settings,
        agents: Arc<dyn Agents>,
        clock: Clock,
    ) -> Result<Self, GatewayError> {
        Self::start_beside(settings, agents, clock, Router::new())
    }

    /// The same with other paths on the same socket: an agent has no other way out.
    ///
    /// # Errors
    /// When the socket cannot be bound or the HTTP client cannot be made.
    pub fn start_beside(
        settings: Settings,
        agents: Arc<dyn Agents>,
        clock: Clock,
        others: Router,
    ) -> Result<Self, GatewayError> {
        let client = client(&settings).map_err(GatewayError::Client)?;
        let listener = listen(&settings.socket, settings.mode).map_err(|source| {
            GatewayError::Socket { path: settings.socket.display().to_string(), source }
        })?;
        let shared = Arc::new(Shared {
            agents,
            anthropic: settings.anthropic.clone().map(Upstream::new),
            openai: settings.openai.clone().map(Upstream::new),
            prices: settings.prices.clone(),
            clock,
            client,
            running: TaskTracker::new(),
            stop: CancellationToken::new(),
            limited: Mutex::default(),
            refused: Mutex::default(),
        });
        let accepting = CancellationToken::new();
        let router = Router::new().fallback(relay::serve).with_state(Arc::clone(&shared));
        let router = router.merge(others);
        let server = axum::serve(listener, router)
            .with_graceful_shutdown(accepting.clone().cancelled_owned());
        let server = tokio::spawn(async move { server.await });
        Ok(Self { shared, accepting, server, settings })
    }

    /// The socket that agents reach it by.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.settings.socket
    }

    /// Tells, also after the gateway went, when asking again makes sense.
    pub fn quota_back(&self) -> impl Fn() -> Timestamp + Send + Sync + 'static {
        let shared = Arc::clone(&self.shared);
        move || {
            let now = shared.clock.now();
            shared.back_at(now).unwrap_or(now + QUOTA_REST)
        }
    }

    /// Tells, also after the gateway went, which limit an agent met last, if no request of its was
    /// answered since then; the second time it is forgotten.
    pub fn limited(&self) -> impl Fn(AgentId) -> Option<Limited> + Send + Sync + 'static {
        let shared = Arc::clone(&self.shared);
        move |agent| shared.take_limited(agent)
    }

    /// Tells, also after the gateway went, which ways out an agent tried since that was last asked.
    pub fn refused(&self) -> impl Fn(AgentId) -> Vec<Barred> + Send + Sync + 'static {
        let shared = Arc::clone(&self.shared);
        move |agent| shared.take_refused(agent)
    }

    /// Stops: takes no more requests, lets open ones go on for three seconds, ends them, and returns
    /// when all usage is written down.
    pub async fn stop(mut self) {
        self.accepting.cancel();
        if tokio::time::timeout(GRACE, &mut self.server).await.is_err() {
            self.server.abort();
        }
        self.shared.stop.cancel();
        self.shared.running.close();
        self.shared.running.wait().await;
        let _ = std::fs::remove_file(&self.settings.socket);
    }
}

/// How long an agent's task rests when the API gives no more and does not say until when.
const QUOTA_REST: TimeDelta = TimeDelta::minutes(15);

/// Redirects are not followed: they would carry the credential elsewhere.
fn client(settings: &Settings) -> Result<reqwest::Client, reqwest::Error> {
    let builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT)
        .read_timeout(SILENCE)
        .no_proxy();
    match &settings.proxy {
        Some(proxy) => builder.proxy(reqwest::Proxy::all(proxy)?).build(),
        None => builder.build(),
    }
}

fn listen(path: &Path, mode: u32) -> std::io::Result<UnixListener> {
    if let Some(folder) = path.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o711).create(folder)?;
    }
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => std::fs::remove_file(path)?,
        Ok(_) => return Err(std::io::Error::other("something that is no socket is in its place")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
    Ok(listener)
}
