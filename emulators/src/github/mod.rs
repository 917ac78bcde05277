//! A stateful stand-in for GitHub: REST, GraphQL, webhooks, git over HTTP, and a page to look at.
//!
//! It keeps accounts, repositories (real bare ones), issues, pull requests, reviews, checks and
//! deployments; it enforces tokens, permissions and limits, and refuses what GitHub refuses. The
//! demo and the tests run Baton against it. It is no mock: it counts nothing and expects nothing.
//!
//! [`GitHub`] is the running server. [`GitHub::as_user`] plays people, the looking functions give
//! copies of what is there, [`GitHub::faults`] misbehaves on demand.
//!
//! Inside: `server` takes requests and hands them to `routes`, which read and answer in GitHub's
//! words; what happens to things, whoever does it, is in `issues`, `pulls`, `forks`, `merge`, `reviews`,
//! `checks`, `deployments` and `pushes`, all on the one `state::State`; `hooks` tells of it.

mod answer;
mod auth;
mod build;
mod checks;
mod deployments;
mod diff;
mod faults;
mod forks;
mod git;
mod git_http;
mod graphql;
mod graphql_mutations;
mod graphql_values;
mod handle;
mod hooks;
mod issues;
mod json;
mod json_code;
mod json_issues;
mod json_pulls;
mod keys;
mod look;
mod markdown;
mod merge;
mod model;
mod page;
mod people;
mod pulls;
mod pushes;
mod reactions;
mod reviews;
mod routes;
mod server;
mod state;
mod world;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

pub use answer::Refusal;
pub use faults::{Doubling, Faults};
pub use git::File;
pub use handle::GitHub;
pub use hooks::DeliveryRecord;
pub use keys::{AppKey, generate_app_key};
pub use model::{
    Account, AccountKind, CheckRun, CheckSuite, Closed, Comment, CommitStatus, Deployment,
    DeploymentStatus, Issue, Label, Mergeable, Merged, Pull, Reaction, Review, ReviewComment, Role,
    Time,
};
pub use people::{LineComment, Person};
pub use server::{Phase, Probe, ProbePoint, RecordedRequest, TokenUse};
pub use world::{RepoHandle, RepositoryOptions};

/// Tells the time.
pub type Clock = Arc<dyn Fn() -> Time + Send + Sync>;

/// What GitHub knows of the App.
#[derive(Clone, Debug)]
pub struct AppRegistration {
    /// The App's id, the issuer of its JWTs.
    pub id: u64,
    /// The slug; its bot's login is `slug[bot]`.
    pub slug: String,
    /// The public half of the App's key in PEM; JWTs are RS256.
    pub public_key_pem: String,
    /// The account id of the App's bot.
    pub bot_user_id: u64,
}

/// What the stand-in is started with.
#[derive(Clone)]
pub struct Settings {
    /// Where the bare repositories live.
    pub data_dir: PathBuf,
    /// Where webhooks go; none are made without it.
    pub webhook_url: Option<String>,
    /// What webhooks are signed with.
    pub webhook_secret: String,
    /// The App.
    pub app: AppRegistration,
    /// What time it is.
    pub clock: Clock,
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
}

/// The permissions that the App is registered with unless it is given others.
pub fn default_permissions() -> BTreeMap<String, String> {
    [
        ("actions", "read"),
        ("checks", "write"),
        ("contents", "write"),
        ("deployments", "write"),
        ("issues", "write"),
        ("metadata", "read"),
        ("pull_requests", "write"),
        ("statuses", "read"),
    ]
    .map(|(name, level)| (name.to_owned(), level.to_owned()))
    .into()
}
