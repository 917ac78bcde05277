//! What GitHub objects should say: desired state as data.

use serde::{Deserialize, Serialize};

use super::{AgentId, Environment, Sha, StageKey, Timestamp};

/// Which object of a task a report is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "kind", content = "of", rename_all = "snake_case")]
pub enum ReportKind {
    /// The one progress comment.
    Progress,
    /// The comment that asks for the approval of the plan with this number.
    Asking(u32),
    /// The comment that asks whether this commit may be pushed, with what it changes.
    AskingPush(Sha),
    /// The comment that asks a person an agent's question of this number.
    Question(u32),
    /// The comment that shows what an agent noticed outside of its task, with a box for each.
    FollowUps(AgentId),
    /// The check run of a stage on a commit.
    Check(StageKey, Sha),
    /// The labels of Baton's own on the issue.
    Labels,
    /// Title and text of Baton's pull request.
    Pull,
    /// The n-th deployment of a commit to an environment.
    Deployment {
        /// Where to.
        environment: Environment,
        /// What.
        sha: Sha,
        /// Which try, from 1.
        attempt: u32,
    },
    /// The word with which a finished or parked task ends; a new comment, so that it notifies. The
    /// number counts the ends.
    Closing(u32),
}

/// `(kind, subject)` as SQL has it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ReportKey {
    /// `progress`, `asking`, `check`, …
    pub kind: &'static str,
    /// What tells two of a kind apart; empty for those that exist once.
    pub subject: String,
}

impl ReportKind {
    /// The key in SQL.
    #[must_use]
    pub fn key(&self) -> ReportKey {
        let (kind, subject) = match self {
            Self::Progress => ("progress", String::new()),
            Self::Asking(number) => ("asking", number.to_string()),
            Self::AskingPush(sha) => ("asking_push", sha.to_string()),
            Self::Question(number) => ("question", number.to_string()),
            Self::FollowUps(agent) => ("follow_ups", agent.to_string()),
            Self::Check(stage, sha) => ("check", format!("{}:{sha}", stage.name())),
            Self::Labels => ("labels", String::new()),
            Self::Pull => ("pull", String::new()),
            Self::Deployment { environment, sha, attempt } => {
                ("deployment", format!("{environment}:{sha}:{attempt}"))
            }
            Self::Closing(number) => ("closing", number.to_string()),
        };
        ReportKey { kind, subject }
    }
}

/// What one GitHub object should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "object", rename_all = "snake_case")]
pub enum Desired {
    /// A comment on the task's thread.
    Comment {
        /// Markdown, at most 65,536 characters, marker included.
        body: String,
        /// Whether it is folded away as resolved.
        minimised: bool,
        /// Whether its text may be changed once posted. An asking comment's never is: a tick made
        /// meanwhile would be lost.
        frozen: bool,
    },
    /// A check run.
    Check {
        /// `baton / review`.
        name: String,
        /// On which commit.
        head: Sha,
        /// How far it is.
        status: CheckStatus,
        /// A line.
        title: String,
        /// Markdown, at most 65,535 characters.
        summary: String,
        /// Markdown, at most 65,535 characters: the last log lines, folded.
        text: String,
        /// Remarks on lines; sent 50 a request.
        annotations: Vec<Annotation>,
        /// When work began.
        started_at: Option<Timestamp>,
    },
    /// Labels on the issue.
    Labels {
        /// Must be there.
        present: Vec<String>,
        /// Must not.
        absent: Vec<String>,
    },
    /// The text of Baton's pull request.
    Pull {
        /// At most 256 characters.
        title: String,
        /// Markdown, at most 65,536 characters.
        body: String,
    },
    /// A deployment and its newest status.
    Deployment {
        /// Where to.
        environment: Environment,
        /// What.
        sha: Sha,
        /// How far it is.
        state: DeploymentState,
        /// A line, at most 140 characters.
        description: String,
    },
    /// Nothing has to be there (any more); what is there stays.
    Nothing,
}

/// How far a check is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckStatus {
    /// Waits for a lane.
    Queued,
    /// At work.
    InProgress,
    /// Over.
    Completed {
        /// How it came out.
        conclusion: Conclusion,
        /// When.
        at: Timestamp,
    },
}

/// How a check came out, in GitHub's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Conclusion {
    /// Good.
    Success,
    /// Something must change.
    Failure,
    /// Suggestions alone.
    Neutral,
    /// Stopped.
    Cancelled,
    /// A person must act.
    ActionRequired,
    /// A watchdog ended it.
    TimedOut,
    /// Not needed.
    Skipped,
}

/// How an annotation is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnnotationLevel {
    /// A suggestion.
    Notice,
    /// Worth a look.
    Warning,
    /// Must change.
    Failure,
}

/// A remark on a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Annotation {
    /// The file, from the repository's root.
    pub path: String,
    /// The line, from 1.
    pub line: u32,
    /// How it is shown.
    pub level: AnnotationLevel,
    /// At most 255 characters.
    pub title: String,
    /// At most 64 KiB.
    pub message: String,
}

/// How far a deployment is, in GitHub's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeploymentState {
    /// Waits.
    Queued,
    /// Its commands run.
    InProgress,
    /// The commands went through and verification, where there is any, passed.
    Success,
    /// The commands failed, or verification did.
    Failure,
}

/// One remark of a review, as it is posted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewComment {
    /// Number of the finding, from 1.
    pub finding: u32,
    /// The file, from the repository's root.
    pub path: String,
    /// The line in the new version, from 1.
    pub line: u32,
    /// Markdown, with a suggestion block where there is one.
    pub body: String,
}
