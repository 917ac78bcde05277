//! The App as a whole: who it is, and the door to everything else.

use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;
use tokio::sync::OnceCell;

use super::client::{Call, Caller, Client};
use super::connection::Connection;
use super::jwt::Signer;
use super::path::segment;
use super::pause::Pauses;
use super::token::{Grant, Key, Tokens};
use super::wire::Account;
use super::{Counters, GitHubError, Repo};
use crate::clock::Clock;
use crate::model::{ActorId, InstallationId, Repository, Timestamp};

/// How to reach GitHub and as which App.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `https://api.github.com`, or `https://host/api/v3` of a GitHub Enterprise Server.
    pub base_url: String,
    /// The App's number.
    pub app_id: u64,
    /// Its RSA private key in PEM.
    pub private_key_pem: SecretString,
    /// How long one request may take.
    pub timeout: Duration,
    /// What GitHub's operators see in their logs; GitHub refuses requests without one.
    pub user_agent: String,
}

/// Who the App is on its GitHub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppIdentity {
    /// Its number.
    pub app_id: u64,
    /// What people mention.
    pub slug: String,
    /// The account by which it writes.
    pub bot: ActorId,
    /// The account that registered it.
    pub owner_login: String,
}

/// The App; clones share tokens, pauses and counters.
#[derive(Debug, Clone)]
pub struct App {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    client: Client,
    identity: OnceCell<AppIdentity>,
}

#[derive(Deserialize)]
struct AppAnswer {
    id: u64,
    slug: String,
    owner: Option<Account>,
}

impl App {
    /// Prepares the App; sends nothing. Has to be called inside a tokio runtime.
    ///
    /// # Errors
    /// `Settings` when the private key is none, or the base URL.
    pub fn new(settings: Settings, clock: Clock) -> Result<Self, GitHubError> {
        let Settings { base_url, app_id, private_key_pem, timeout, user_agent } = settings;
        let client = Client {
            connection: Connection::new(&base_url, timeout, &user_agent)?,
            pauses: Pauses::new(clock.clone()),
            counters: Counters::default(),
            signer: Signer::new(app_id, &private_key_pem, clock.clone())?,
            tokens: Tokens::new(clock),
            gates: std::sync::Mutex::default(),
        };
        Ok(Self { inner: Arc::new(Inner { client, identity: OnceCell::new() }) })
    }

    pub(super) fn client(&self) -> &Client {
        &self.inner.client
    }

    /// Who the App is; asked of GitHub once.
    ///
    /// # Errors
    /// `Unauthorized` when id and key do not belong together; and those of every reading call.
    pub async fn identity(&self) -> Result<&AppIdentity, GitHubError> {
        self.inner.identity.get_or_try_init(|| self.ask_identity()).await
    }

    async fn ask_identity(&self) -> Result<AppIdentity, GitHubError> {
        let client = self.client();
        let app: AppAnswer = client.read(Caller::App, &Call::get("/app")).await?.value;
        let path = format!("/users/{}", segment(&format!("{}[bot]", app.slug)));
        // GitHub takes no App signature here; without a token it counts by address, 60 an hour.
        let caller = self.some_installation().await?.unwrap_or(Caller::Anyone);
        let bot: Account = client.read(caller, &Call::get(path)).await?.value;
        Ok(AppIdentity {
            app_id: app.id,
            slug: app.slug,
            bot: ActorId(bot.id),
            owner_login: app.owner.map(|owner| owner.login).unwrap_or_default(),
        })
    }

    /// Any installation that works, as a reader of what everybody may read.
    async fn some_installation(&self) -> Result<Option<Caller>, GitHubError> {
        let installations = self.installations().await?;
        let working = installations.into_iter().find(|installation| !installation.suspended);
        Ok(working.map(|installation| Self::metadata_reader(installation.id)))
    }

    /// Reads names and settings of all that an installation reaches.
    pub(super) fn metadata_reader(installation: InstallationId) -> Caller {
        Caller::Installation(Key { installation, repository: None, grant: Grant::Metadata })
    }

    /// The handle of one repository; its tokens reach no other. Sends nothing.
    #[must_use]
    pub fn repository(&self, repository: &Repository) -> Repo {
        Repo::new(self.clone(), repository)
    }

    /// Takes in that another replica was told to pause; a shorter pause changes nothing.
    pub fn observe_pause(&self, installation: InstallationId, until: Timestamp) {
        self.client().pauses.observe(installation, until);
    }

    /// The pauses that GitHub imposed since the last call, for the other replicas to observe.
    #[must_use]
    pub fn take_pauses(&self) -> Vec<(InstallationId, Timestamp)> {
        self.client().pauses.take()
    }

    /// Until when an installation is paused, as far as this process knows.
    #[must_use]
    pub fn paused_until(&self, installation: InstallationId) -> Option<Timestamp> {
        self.client().pauses.until(Some(installation))
    }

    /// How often GitHub was asked.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.client().counters
    }
}
