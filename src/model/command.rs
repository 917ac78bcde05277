//! What people can tell Baton to do.

use serde::{Deserialize, Serialize};

use super::Micros;

/// One command, parsed from a comment, a tick or the server's command line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum Command {
    /// Plan the issue (again).
    Plan,
    /// Accept the plan whose hash starts so; the newest one where none is given.
    Approve {
        /// At least six hexadecimal digits of the plan's hash.
        hash: Option<String>,
    },
    /// Plan again with these words.
    Revise {
        /// What should be different.
        text: String,
    },
    /// Turn the plan down and end the task.
    Reject {
        /// The reason, for the thread.
        why: String,
    },
    /// Answer an agent's question.
    Answer {
        /// Which of the task's questions, from 1.
        number: u32,
        /// An option's number, or words.
        text: String,
    },
    /// Open an issue for what an agent noticed outside of its task.
    FollowUp {
        /// Which of the thread's, from 1.
        number: u32,
    },
    /// Let the coder work on the open findings, or on a person's pull request where it was asked for.
    Fix,
    /// Review the pull request (again).
    Review,
    /// Look over the repository and open issues for what is found.
    Audit,
    /// Run the failed or parked stage again.
    Retry,
    /// Stop everything of this task and keep what there is.
    Stop {
        /// Kill its agents, rather than interrupt them.
        #[serde(default)]
        now: bool,
    },
    /// Go on after a stop or a parking.
    Resume,
    /// Let the task cost more, within the server's limit, and go on where that was what it lacked.
    Budget {
        /// By how much; none where it was not said so that it can be understood.
        add: Option<Micros>,
    },
    /// Let another provider play this task's agents from now on, and go on where quota was what it lacked.
    Provider {
        /// Which; none where none was named.
        provider: Option<String>,
    },
    /// Switch Baton off in this repository.
    Off,
    /// Switch it on again.
    On,
    /// Say where the task stands.
    Status,
    /// Say what can be done here, now.
    Help,
    /// Something was written after the prefix that is no command; answered, never run.
    Unknown {
        /// The word as typed, cut to 40 characters.
        word: String,
        /// The nearest command, where one is near.
        near: Option<String>,
    },
}

impl Command {
    /// The word that people type.
    #[must_use]
    pub fn word(&self) -> &str {
        match self {
            Self::Plan => "plan",
            Self::Approve { .. } => "approve",
            Self::Revise { .. } => "revise",
            Self::Reject { .. } => "reject",
            Self::Answer { .. } => "answer",
            Self::FollowUp { .. } => "follow-up",
            Self::Fix => "fix",
            Self::Review => "review",
            Self::Audit => "audit",
            Self::Retry => "retry",
            Self::Stop { .. } => "stop",
            Self::Resume => "resume",
            Self::Budget { .. } => "budget",
            Self::Provider { .. } => "provider",
            Self::Off => "off",
            Self::On => "on",
            Self::Status => "status",
            Self::Help => "help",
            Self::Unknown { word, .. } => word,
        }
    }

    /// All words that are commands, in the order that help lists them.
    pub const WORDS: [&'static str; 18] = [
        "plan",
        "approve",
        "revise",
        "reject",
        "answer",
        "follow-up",
        "fix",
        "review",
        "audit",
        "retry",
        "stop",
        "resume",
        "budget",
        "provider",
        "off",
        "on",
        "status",
        "help",
    ];
}

/// How a command reached Baton.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// Typed in a new comment.
    Typed,
    /// Typed into a comment by an edit: opens no gate and spends no money.
    Edited,
    /// A box of an asking comment was ticked.
    Tick,
    /// Given on the server's own command line, by whoever runs it.
    Operator,
}
