//! Commands of a repository that Baton itself runs: what for, and what came out.

use serde::{Deserialize, Serialize};

use super::{CommandRunId, Sha, StageKey, Timestamp, Untrusted};

/// What the repository's commands are run for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunKind {
    /// Fetching what is needed to build, on the default branch.
    Setup,
    /// Evidence on a change.
    Test,
    /// Bringing it out.
    Deploy,
    /// Evidence on what is out.
    Verify,
}

impl RunKind {
    /// The name in SQL.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Setup => "setup",
            Self::Test => "test",
            Self::Deploy => "deploy",
            Self::Verify => "verify",
        }
    }
}

/// Commands of the repository that Baton runs, and what came out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandRun {
    /// Its row.
    pub id: CommandRunId,
    /// For which stage.
    pub stage: StageKey,
    /// What for.
    pub kind: RunKind,
    /// The commands, one shell each, in order; the first failure ends the run.
    pub commands: Vec<String>,
    /// On which commit.
    pub sha: Sha,
    /// Where it stands.
    pub state: RunState,
    /// When it was asked for.
    pub at: Timestamp,
}

/// Where a run stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum RunState {
    /// Waits or runs.
    Pending,
    /// Over.
    Ended {
        /// What came out of each command that ran.
        results: Vec<CommandResult>,
        /// Whether all ran and left 0.
        passed: bool,
    },
    /// It could not be run, or Baton died under it: nobody knows how far it came.
    Broken {
        /// Why.
        reason: String,
    },
}

/// What came out of one command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandResult {
    /// The command.
    pub command: String,
    /// Its exit code; none where a signal or a watchdog ended it.
    pub exit: Option<i32>,
    /// The end of what it printed, secrets taken out, at most 16 KiB.
    pub output: Untrusted,
    /// How long it took, in milliseconds.
    pub millis: u64,
}
