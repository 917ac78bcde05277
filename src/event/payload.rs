//! The few fields of GitHub's payloads that Baton reads.
//!
//! One struct for all events, everything optional: GitHub adds fields and actions at any time, and
//! leaves out or nulls what its own schema calls required. A wrong type is still an error.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::model::{ActorId, CommentId, InstallationId, RepositoryId, Timestamp};

#[derive(Debug, Default, Deserialize)]
pub(super) struct Payload {
    pub action: Option<String>,
    pub installation: Option<Installation>,
    pub repository: Option<Repository>,
    pub sender: Option<Account>,
    pub issue: Option<Issue>,
    pub comment: Option<Comment>,
    pub pull_request: Option<Pull>,
    pub review: Option<Review>,
    pub label: Option<Label>,
    pub changes: Option<Changes>,
    /// Pushes and deletions.
    #[serde(rename = "ref")]
    pub reference: Option<String>,
    pub ref_type: Option<String>,
    pub after: Option<String>,
    pub forced: Option<bool>,
    pub commits: Option<Vec<Commit>>,
    /// `installation`.
    pub repositories: Option<Vec<Repository>>,
    /// `installation_repositories`.
    pub repositories_added: Option<Vec<Repository>>,
    pub repositories_removed: Option<Vec<Repository>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Account {
    pub id: ActorId,
    pub login: Option<String>,
    #[serde(rename = "type")]
    pub kind: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Installation {
    pub id: InstallationId,
    pub account: Option<Account>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Repository {
    pub id: RepositoryId,
    pub full_name: Option<String>,
    pub default_branch: Option<String>,
    pub private: Option<bool>,
    pub owner: Option<Account>,
    #[serde(default, deserialize_with = "moment")]
    pub pushed_at: Option<Timestamp>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Issue {
    pub number: u64,
    /// Present where the issue is a pull request.
    pub pull_request: Option<Value>,
    #[serde(default, deserialize_with = "moment")]
    pub updated_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "moment")]
    pub closed_at: Option<Timestamp>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Comment {
    pub id: CommentId,
    pub body: Option<String>,
    pub user: Option<Account>,
    pub performed_via_github_app: Option<App>,
    #[serde(default, deserialize_with = "moment")]
    pub created_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "moment")]
    pub updated_at: Option<Timestamp>,
}

#[derive(Debug, Deserialize)]
pub(super) struct App {
    pub id: Option<u64>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Review {
    pub id: i64,
    pub body: Option<String>,
    #[serde(default, deserialize_with = "moment")]
    pub submitted_at: Option<Timestamp>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Pull {
    pub number: u64,
    pub head: Option<Head>,
    pub merged: Option<bool>,
    pub merge_commit_sha: Option<String>,
    #[serde(default, deserialize_with = "moment")]
    pub updated_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "moment")]
    pub closed_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "moment")]
    pub merged_at: Option<Timestamp>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Head {
    pub sha: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Label {
    pub name: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Changes {
    pub title: Option<Value>,
    pub body: Option<Before>,
    pub default_branch: Option<Value>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Before {
    pub from: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Commit {
    pub added: Option<Vec<String>>,
    pub removed: Option<Vec<String>>,
    pub modified: Option<Vec<String>>,
}

/// Reads a time as text or, as pushes and installations have it, in seconds; anything else is none.
fn moment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::String(text) => text.parse().ok(),
        Value::Number(seconds) => seconds.as_i64().and_then(|s| Timestamp::from_timestamp(s, 0)),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    })
}
