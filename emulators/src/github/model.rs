//! The nouns the stand-in keeps: plain data, cloned out to whoever looks.
//!
//! Times are UTC, ids are unique over all kinds, people and bots are named by account id.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use chrono::{DateTime, Utc};
use serde_json::Value;

/// A point in the stand-in's time.
pub type Time = DateTime<Utc>;

/// What an account is; GitHub's `type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountKind {
    /// A person.
    User,
    /// An organization.
    Organization,
    /// The actor of an App.
    Bot,
}

/// A person, an organization or a bot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The numeric id, which never changes.
    pub id: u64,
    /// The login; a bot's ends in `[bot]`.
    pub login: String,
    /// What the account is.
    pub kind: AccountKind,
}

/// A collaborator's role in a repository, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// May read.
    Read,
    /// May label and close; shows as `read` in `permission`.
    Triage,
    /// May push.
    Write,
    /// May manage the repository; shows as `write` in `permission`.
    Maintain,
    /// May do everything.
    Admin,
}

impl Role {
    /// The `role_name` GitHub shows.
    pub fn name(self) -> &'static str {
        match self {
            Role::Read => "read",
            Role::Triage => "triage",
            Role::Write => "write",
            Role::Maintain => "maintain",
            Role::Admin => "admin",
        }
    }

    /// The legacy `permission` word: maintain shows as write, triage as read.
    pub fn legacy_permission(self) -> &'static str {
        match self {
            Role::Read | Role::Triage => "read",
            Role::Write | Role::Maintain => "write",
            Role::Admin => "admin",
        }
    }
}

/// A repository label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The numeric id.
    pub id: u64,
    /// The name, unique in the repository whatever its case.
    pub name: String,
    /// Six hexadecimal digits.
    pub color: String,
    /// At most 100 characters.
    pub description: Option<String>,
}

/// One emoji reaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reaction {
    /// The numeric id.
    pub id: u64,
    /// One of the eight words GitHub knows (`eyes`, `rocket`, …).
    pub content: String,
    /// Who reacted.
    pub user: u64,
    /// When.
    pub created_at: Time,
}

/// A comment on an issue or on a pull request's conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comment {
    /// The numeric id.
    pub id: u64,
    /// Markdown.
    pub body: String,
    /// Who wrote it.
    pub author: u64,
    /// When it was written.
    pub created_at: Time,
    /// When it was last edited.
    pub updated_at: Time,
    /// The classifier it was minimised with.
    pub minimized: Option<String>,
    /// Reactions, oldest first.
    pub reactions: Vec<Reaction>,
}

/// How an issue came to be closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// When.
    pub at: Time,
    /// Who closed it.
    pub by: u64,
    /// `completed`, `not_planned` or `duplicate`.
    pub reason: String,
}

/// An issue, or the issue side of a pull request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issue {
    /// The numeric id.
    pub id: u64,
    /// The number in its repository.
    pub number: u64,
    /// The title.
    pub title: String,
    /// Markdown; empty when there is none.
    pub body: String,
    /// Who opened it.
    pub author: u64,
    /// When it was opened.
    pub created_at: Time,
    /// When anything last changed.
    pub updated_at: Time,
    /// Set while it is closed.
    pub closed: Option<Closed>,
    /// Names of its labels, in the order they were added.
    pub labels: Vec<String>,
    /// Comments, oldest first.
    pub comments: Vec<Comment>,
    /// Reactions to the body.
    pub reactions: Vec<Reaction>,
    /// Set when it is a pull request.
    pub pull: Option<Pull>,
}

impl Issue {
    /// Whether it is open.
    pub fn is_open(&self) -> bool {
        self.closed.is_none()
    }

    /// GitHub's word for its state.
    pub fn state(&self) -> &'static str {
        if self.is_open() { "open" } else { "closed" }
    }
}

/// How a pull request was merged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merged {
    /// The commit on the base branch.
    pub sha: String,
    /// When.
    pub at: Time,
    /// Who merged it.
    pub by: u64,
}

/// What is known of whether a pull request merges cleanly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mergeable {
    /// Nobody asked since the head or base moved; the next question still gets `null`.
    Unasked,
    /// Worked out: whether it merges without conflict.
    Known(bool),
}

/// The pull request side of an issue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pull {
    /// The numeric id, another than the issue's.
    pub id: u64,
    /// The repository merged from: its own, or a fork.
    pub head_repository: u64,
    /// The branch merged from.
    pub head_branch: String,
    /// Its tip as the pull request knows it.
    pub head_sha: String,
    /// The branch merged into.
    pub base_branch: String,
    /// The base's tip when the pull request was opened.
    pub base_sha: String,
    /// Whether it is a draft.
    pub draft: bool,
    /// Set once merged.
    pub merged: Option<Merged>,
    /// Whether it merges cleanly.
    pub mergeable: Mergeable,
    /// Reviews, oldest first.
    pub reviews: Vec<Review>,
    /// Comments on lines, oldest first.
    pub review_comments: Vec<ReviewComment>,
    /// Accounts asked for a review.
    pub requested_reviewers: Vec<u64>,
}

/// A submitted review.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Review {
    /// The numeric id.
    pub id: u64,
    /// Who reviewed.
    pub author: u64,
    /// Markdown; may be empty for an approval.
    pub body: String,
    /// `COMMENTED`, `APPROVED`, `CHANGES_REQUESTED` or `DISMISSED`.
    pub state: String,
    /// The head it was given on.
    pub commit_id: String,
    /// When.
    pub submitted_at: Time,
    /// The classifier it was minimised with.
    pub minimized: Option<String>,
}

/// A comment on a line of a pull request's diff.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReviewComment {
    /// The numeric id.
    pub id: u64,
    /// The review it belongs to.
    pub review: u64,
    /// Markdown.
    pub body: String,
    /// Who wrote it.
    pub author: u64,
    /// The file.
    pub path: String,
    /// The (last) line; `None` for a comment on the file.
    pub line: Option<u64>,
    /// The first line of a range.
    pub start_line: Option<u64>,
    /// `RIGHT` or `LEFT`.
    pub side: String,
    /// The head it was written on.
    pub commit_id: String,
    /// The hunk it stands in, up to its line.
    pub diff_hunk: String,
    /// The thread's first comment, unless it is that.
    pub in_reply_to: Option<u64>,
    /// Whether the thread is settled; kept on the thread's first comment.
    pub resolved_by: Option<u64>,
    /// The classifier it was minimised with.
    pub minimized: Option<String>,
    /// When it was written.
    pub created_at: Time,
    /// When it was last edited.
    pub updated_at: Time,
    /// Reactions, oldest first.
    pub reactions: Vec<Reaction>,
}

/// A check run.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckRun {
    /// The numeric id.
    pub id: u64,
    /// The suite it belongs to.
    pub suite: u64,
    /// The App that reports it: the registered App's slug, or another one's.
    pub app_slug: String,
    /// The name.
    pub name: String,
    /// The commit it judges.
    pub head_sha: String,
    /// `queued`, `in_progress` or `completed`.
    pub status: String,
    /// Set once completed.
    pub conclusion: Option<String>,
    /// The integrator's page.
    pub details_url: Option<String>,
    /// The integrator's reference.
    pub external_id: String,
    /// When the run began.
    pub started_at: Option<Time>,
    /// When it ended.
    pub completed_at: Option<Time>,
    /// Output title.
    pub title: Option<String>,
    /// Output summary, at most 65,535 characters.
    pub summary: Option<String>,
    /// Output text, at most 65,535 characters.
    pub text: Option<String>,
    /// Annotations: each update appends.
    pub annotations: Vec<Value>,
    /// Buttons.
    pub actions: Vec<Value>,
}

/// The check runs of one App on one commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckSuite {
    /// The numeric id.
    pub id: u64,
    /// The App it belongs to.
    pub app_slug: String,
    /// The commit.
    pub head_sha: String,
    /// The branch whose push made it, when known.
    pub head_branch: Option<String>,
    /// The branch's tip before.
    pub before: Option<String>,
    /// When it was made.
    pub created_at: Time,
}

/// A commit status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitStatus {
    /// The numeric id.
    pub id: u64,
    /// The commit.
    pub sha: String,
    /// `error`, `failure`, `pending` or `success`.
    pub state: String,
    /// The name.
    pub context: String,
    /// A short text.
    pub description: Option<String>,
    /// The reporter's page.
    pub target_url: Option<String>,
    /// Who reported it.
    pub creator: u64,
    /// When.
    pub created_at: Time,
}

/// A deployment.
#[derive(Clone, Debug, PartialEq)]
pub struct Deployment {
    /// The numeric id.
    pub id: u64,
    /// The ref as it was named.
    pub reference: String,
    /// The commit it named then.
    pub sha: String,
    /// The task, `deploy` by default.
    pub task: String,
    /// The environment.
    pub environment: String,
    /// A short text.
    pub description: Option<String>,
    /// Free data.
    pub payload: Value,
    /// Whether the environment goes away.
    pub transient: bool,
    /// Whether people see it.
    pub production: bool,
    /// Who asked for it.
    pub creator: u64,
    /// When.
    pub created_at: Time,
    /// Statuses, oldest first.
    pub statuses: Vec<DeploymentStatus>,
}

/// One status of a deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeploymentStatus {
    /// The numeric id.
    pub id: u64,
    /// `queued`, `in_progress`, `success`, `failure`, `error`, `inactive` or `pending`.
    pub state: String,
    /// At most 140 characters.
    pub description: String,
    /// Where the output is.
    pub log_url: String,
    /// Where the environment is.
    pub environment_url: String,
    /// The environment, when the status named another.
    pub environment: String,
    /// Who reported it.
    pub creator: u64,
    /// When.
    pub created_at: Time,
}

/// A push rule of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushRule {
    /// A full ref name, or a prefix of one ending in `*`.
    pub pattern: String,
    /// What the pusher is told.
    pub reason: String,
}

/// An old value a ref still shows through the API.
#[derive(Clone, Debug)]
pub(crate) struct Lag {
    pub reference: String,
    pub old: Option<String>,
    pub until: Instant,
}

/// A repository.
#[derive(Clone, Debug)]
pub(crate) struct Repository {
    pub id: u64,
    pub owner: u64,
    pub name: String,
    /// What it is a fork of.
    pub parent: Option<u64>,
    pub private: bool,
    pub drafts: bool,
    pub archived: bool,
    pub default_branch: String,
    pub created_at: Time,
    pub pushed_at: Time,
    pub path: PathBuf,
    pub refs: BTreeMap<String, String>,
    pub lags: Vec<Lag>,
    pub roles: BTreeMap<u64, Role>,
    pub labels: Vec<Label>,
    pub issues: BTreeMap<u64, Issue>,
    pub check_suites: Vec<CheckSuite>,
    pub check_runs: Vec<CheckRun>,
    pub statuses: Vec<CommitStatus>,
    pub deployments: Vec<Deployment>,
}

/// An installation of the App on an account.
#[derive(Clone, Debug)]
pub(crate) struct Installation {
    pub id: u64,
    pub account: u64,
    pub repositories: Vec<u64>,
    pub permissions: BTreeMap<String, String>,
    pub suspended_at: Option<Time>,
    pub created_at: Time,
}

/// An installation token.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub installation: u64,
    pub repositories: Option<Vec<u64>>,
    pub permissions: BTreeMap<String, String>,
    pub expires_at: Time,
}
