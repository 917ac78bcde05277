//! Writes to GitHub that are no desired state: done once, by way of the ledger.

use serde::{Deserialize, Serialize};

use super::{AgentId, CommentId, Micros, Permission, QuestionId};

/// One act. The ledger's marker is looked up on GitHub before a repetition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "snake_case")]
pub enum Act {
    /// A reaction to a comment; GitHub keeps one of each kind per account.
    React {
        /// The comment.
        comment: CommentId,
        /// Which reaction.
        reaction: Reaction,
    },
    /// A comment of its own on an issue or pull request.
    Reply {
        /// Issue or pull request.
        number: u64,
        /// What it says; the words are found when it is said.
        reply: Reply,
    },
    /// A review of the form COMMENT: an App can give no other on its own pull request.
    Review {
        /// The pull request.
        pull: u64,
        /// Whose conclusion it is.
        agent: AgentId,
    },
    /// Takes the draft mark off (GraphQL only).
    ReadyForReview {
        /// The pull request.
        pull: u64,
    },
    /// Resolves the thread of a settled finding (GraphQL only).
    ResolveThread {
        /// The pull request.
        pull: u64,
        /// Which finding, from 1.
        finding: u32,
    },
    /// Opens the issue again after a failed verification.
    ReopenIssue {
        /// The issue.
        number: u64,
    },
    /// Opens an issue for an audit's finding.
    OpenIssue {
        /// Whose finding.
        agent: AgentId,
        /// Which of them, from 0.
        finding: usize,
    },
    /// Opens an issue for what an agent noticed outside of its task.
    OpenFollowUp {
        /// Its number on the thread.
        number: u32,
    },
    /// Takes a label off.
    Unlabel {
        /// Issue or pull request.
        number: u64,
        /// The label.
        label: String,
    },
}

impl Act {
    /// The name in SQL and logs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::React { .. } => "react",
            Self::Reply { .. } => "reply",
            Self::Review { .. } => "review",
            Self::ReadyForReview { .. } => "ready_for_review",
            Self::ResolveThread { .. } => "resolve_thread",
            Self::ReopenIssue { .. } => "reopen_issue",
            Self::OpenIssue { .. } => "open_issue",
            Self::OpenFollowUp { .. } => "open_follow_up",
            Self::Unlabel { .. } => "unlabel",
        }
    }
}

/// What a reply says. Closed, so that every one of them has its words in `report`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    /// What can be done here, now.
    Help,
    /// Where the task stands.
    Status,
    /// What was typed is no command.
    Unknown {
        /// The word as typed.
        word: String,
        /// The nearest command.
        near: Option<String>,
    },
    /// Whoever gave the command may not.
    NotAllowed {
        /// The command's word.
        command: String,
        /// What it takes.
        needs: Permission,
    },
    /// An edited comment cannot give this command.
    Edited {
        /// The command's word.
        command: String,
    },
    /// The command makes no sense here, now.
    NotHere {
        /// The command's word.
        command: String,
        /// Why.
        why: NotHere,
    },
    /// Baton is off in this repository now.
    SwitchedOff,
    /// Baton is on again.
    SwitchedOn,
    /// Nobody answered in time, so the agent's own default counts.
    AnsweredByDefault {
        /// Which question.
        question: QuestionId,
    },
    /// Nothing was found by an audit, or these many issues were opened.
    Audited {
        /// Whose conclusion it is.
        agent: AgentId,
    },
}

/// Why a command makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum NotHere {
    /// No task is on this thread.
    NoTask,
    /// The thread is no issue.
    NoIssue,
    /// The thread is no pull request.
    NoPull,
    /// No plan waits.
    NoPlan,
    /// The hash is not the newest plan's.
    OtherPlan {
        /// The newest plan's, short.
        current: String,
    },
    /// No plan waits, and the commit is not the one that waits, or was not named well enough.
    OtherCommit {
        /// The one that waits, by the digits that an approval has to name.
        current: String,
    },
    /// No question waits.
    NoQuestion,
    /// A question waits: it is answered first.
    Unanswered {
        /// Its number.
        question: u32,
    },
    /// The number is beyond the question's options.
    NoSuchOption {
        /// How many there are.
        options: u32,
    },
    /// No agent noticed anything under that number.
    NoFollowUp,
    /// There is an issue for it.
    OpenedAlready {
        /// Its number.
        issue: u64,
    },
    /// Baton is at it already.
    Busy,
    /// Nothing is open that could be fixed.
    NothingToFix,
    /// Nothing failed or was stopped.
    NothingToResume,
    /// The task is over.
    Over,
    /// The policy's `until` does not go so far.
    BeyondPolicy,
    /// The repository is switched off.
    Off,
    /// The account is not among those that the server serves.
    NotServed,
    /// The issue or pull request is closed.
    Closed,
    /// The server has not the provider that was named, or none was named.
    NoSuchProvider {
        /// Those that it has.
        have: Vec<String>,
    },
    /// It does not say how much money is to be added.
    NoAmount,
    /// The server lets no task cost so much.
    OverLimit {
        /// The most that it lets one cost.
        limit: Micros,
    },
}

/// The reactions that Baton gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reaction {
    /// Seen and accepted: 👀.
    Eyes,
    /// Done: 🚀.
    Rocket,
    /// Not done, a line says why: 😕.
    Confused,
}
