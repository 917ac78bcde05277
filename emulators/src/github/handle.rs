//! The handle of a running stand-in: start it, steer it, end it.

use std::future::IntoFuture;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::Settings;
use super::answer::Refusal;
use super::faults::Faults;
use super::hooks::deliver;
use super::people::Person;
use super::server::{Probe, World, serve};
use super::state::State;

/// A running stand-in for GitHub. It ends when this is dropped.
///
/// Repositories are named `owner/name` wherever a `repo` is asked for.
pub struct GitHub {
    pub(super) world: Arc<World>,
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    server: Option<JoinHandle<()>>,
    sender: JoinHandle<()>,
}

impl Drop for GitHub {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // The server may have ended already.
            stop.send(()).ok();
        }
        self.sender.abort();
    }
}

impl GitHub {
    /// Starts the server and the task that delivers webhooks.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn start(settings: Settings) -> io::Result<GitHub> {
        let listener = TcpListener::bind(settings.listen).await?;
        let address = listener.local_addr()?;
        let state = State::new(settings, format!("http://{address}"));
        let (batches, receiver) = mpsc::unbounded_channel();
        let world = Arc::new(World::new(state, batches));
        let sender = tokio::spawn(deliver(Arc::downgrade(&world), receiver));
        let (stop, stopped) = oneshot::channel::<()>();
        let router = Router::new().fallback(serve).with_state(Arc::clone(&world));
        let serving = axum::serve(listener, router)
            .with_graceful_shutdown(async {
                // Dropping the handle stops the server as well as telling it to.
                stopped.await.ok();
            })
            .into_future();
        let server = tokio::spawn(async {
            if let Err(error) = serving.await {
                tracing::error!(%error, "failed to serve");
            }
        });
        Ok(GitHub { world, address, stop: Some(stop), server: Some(server), sender })
    }

    /// Ends the server and waits for requests under way, a second at most.
    pub async fn shutdown(mut self) {
        if let Some(stop) = self.stop.take() {
            stop.send(()).ok();
        }
        if let Some(server) = self.server.take() {
            tokio::time::timeout(Duration::from_secs(1), server).await.ok();
        }
    }

    /// The address of everything: REST at `/`, GraphQL at `/graphql`, git at `/OWNER/NAME.git`,
    /// the page at [`GitHub::page_url`].
    pub fn api_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The page, with the token that opens it; a browser keeps it for what the page links to.
    pub fn page_url(&self) -> String {
        format!("{}/ui?token={}", self.api_url(), self.world.page_token)
    }

    /// Where webhooks go from now on.
    pub fn set_webhook_url(&self, url: &str) {
        self.world.change(|state| state.webhook_url = Some(url.to_owned()));
    }

    /// What webhooks are signed with from now on.
    pub fn set_webhook_secret(&self, secret: &str) {
        self.world.change(|state| secret.clone_into(&mut state.webhook_secret));
    }

    /// Plays a person, by login.
    pub fn as_user<'a>(&'a self, login: &'a str) -> Person<'a> {
        Person { world: &self.world, login }
    }

    /// Sets faults.
    pub fn faults(&self) -> Faults<'_> {
        Faults { world: &self.world }
    }

    /// Calls this around every API request from now on, or nothing.
    pub fn set_probe(&self, probe: Option<Probe>) {
        *self.world.probe.lock().unwrap_or_else(PoisonError::into_inner) = probe;
    }

    /// Counts changes of the state; await it to wake on the next one.
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.world.changed.subscribe()
    }

    /// Waits until the condition holds, looking again at every change; false when it took longer.
    pub async fn wait_for(
        &self,
        timeout: Duration,
        mut condition: impl FnMut(&GitHub) -> bool,
    ) -> bool {
        let mut changed = self.changed();
        let waiting = async {
            while !condition(self) {
                if changed.changed().await.is_err() {
                    return false;
                }
            }
            true
        };
        tokio::time::timeout(timeout, waiting).await.unwrap_or(false)
    }

    /// Sends a delivery again, as the button on the App's page does. False when there is none.
    pub fn redeliver(&self, id: u64) -> bool {
        self.world.change(|state| state.redeliver(id))
    }
}

/// The id of `owner/name`.
pub(crate) fn find(state: &State, repo: &str) -> Result<u64, Refusal> {
    let (owner, name) = repo.split_once('/').ok_or_else(Refusal::not_found)?;
    state.repository_id(owner, name).ok_or_else(Refusal::not_found)
}
