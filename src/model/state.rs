//! States of tasks, stages and agents, and which may follow which.

use serde::{Deserialize, Serialize};

use super::{
    ActorId, AgentId, CommandRunId, Excess, PlanHash, QuestionId, RepositoryName, Role, Sha,
    Timestamp,
};

/// A node of the workflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StageKey {
    /// What to do.
    Plan,
    /// Doing it.
    Code,
    /// Reading what was done.
    Review,
    /// Bringing it to users.
    Deploy,
    /// Seeing that it works there.
    Verify,
    /// Looking over the repository, on request.
    Audit,
}

impl StageKey {
    /// All stages, in the order of the default workflow.
    pub const ALL: [Self; 6] =
        [Self::Plan, Self::Code, Self::Review, Self::Deploy, Self::Verify, Self::Audit];

    /// The verb that people see, also in check names.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Code => "code",
            Self::Review => "review",
            Self::Deploy => "deploy",
            Self::Verify => "verify",
            Self::Audit => "audit",
        }
    }

    /// The stage of that name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|key| key.name() == name)
    }

    /// Who plays it.
    #[must_use]
    pub fn role(self) -> Role {
        match self {
            Self::Plan => Role::Starter,
            Self::Code => Role::Coding,
            Self::Review => Role::Reviewer,
            Self::Deploy => Role::Deployer,
            Self::Verify => Role::Verifier,
            Self::Audit => Role::Auditor,
        }
    }
}

/// Says that a state cannot follow another.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{subject} cannot go from {from} to {to}")]
pub struct InvalidTransition {
    /// Task, stage or agent.
    pub subject: &'static str,
    /// The state it was in.
    pub from: &'static str,
    /// The state it should have taken.
    pub to: &'static str,
}

/// Where a task stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", content = "data", rename_all = "snake_case")]
pub enum TaskState {
    /// Baton is at work.
    Open,
    /// A person or the world has to do something.
    Waiting(WaitFor),
    /// Stopped or out of means; a command goes on.
    Parked(ParkReason),
    /// Finished well.
    Done,
    /// Ended without result.
    Cancelled {
        /// By whom.
        by: CancelledBy,
    },
}

impl TaskState {
    /// The name in SQL.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Waiting(_) => "waiting",
            Self::Parked(_) => "parked",
            Self::Done => "done",
            Self::Cancelled { .. } => "cancelled",
        }
    }

    /// Whether nothing can follow.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Done | Self::Cancelled { .. })
    }

    /// Takes the next state.
    ///
    /// # Errors
    /// When this one is final and the next differs.
    pub fn to(self, next: Self) -> Result<Self, InvalidTransition> {
        if self.is_final() && self != next {
            return Err(InvalidTransition { subject: "task", from: self.name(), to: next.name() });
        }
        Ok(next)
    }
}

/// What a waiting task or stage waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "for", content = "what", rename_all = "snake_case")]
pub enum WaitFor {
    /// Somebody to approve this plan.
    PlanApproval(PlanHash),
    /// Somebody to let this commit be pushed.
    PushApproval(Sha),
    /// Somebody to answer this question.
    Answer(QuestionId),
    /// Somebody to merge this head.
    Merge(Sha),
}

/// Why a task is parked. What is there is kept, nothing more is spent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "why", content = "what", rename_all = "snake_case")]
pub enum ParkReason {
    /// The task's money is spent.
    Budget,
    /// The model's provider gives no more until then.
    Quota {
        /// When to try again.
        until: Timestamp,
    },
    /// Rounds are used up or bring nothing.
    NotConverging,
    /// A stage failed.
    Failed(StageKey),
    /// The change may not be pushed.
    Refused(Refusal),
    /// No sandbox passes its self-test.
    NoSandbox {
        /// What is missing and how to get it.
        remedy: String,
    },
    /// Somebody stopped it.
    Stopped(CancelledBy),
    /// The pull request was closed.
    PullClosed,
    /// The branch was deleted.
    BranchDeleted,
    /// The repository is switched off or no longer installed.
    Off,
}

/// Why a change is not let out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "rule", content = "what", rename_all = "snake_case")]
pub enum Refusal {
    /// A path that policy protects.
    ProtectedPath(String),
    /// Workflows need a permission that Baton does not ask for.
    Workflows(String),
    /// Too much.
    TooLarge {
        /// What is too large, in words with figures.
        what: String,
    },
    /// Something that looks like a secret, or is one.
    Secret {
        /// In which file.
        path: String,
    },
    /// A submodule was added or changed.
    Submodule(String),
    /// A symbolic link was added or changed.
    Symlink(String),
    /// A commit is by another author or committer than Baton's own account.
    ForeignAuthor {
        /// Which, short.
        commit: String,
    },
    /// A commit does not say which task and agent it is of.
    NoTrailer {
        /// Which, short.
        commit: String,
    },
    /// The agent committed nothing.
    Nothing,
    /// The branch holds commits that are not Baton's.
    BranchMoved,
    /// GitHub refused, in its own words.
    GitHub(String),
    /// It goes to a fork, and that cannot be pushed to.
    Fork {
        /// Which, as policy names it.
        name: RepositoryName,
        /// Why not.
        problem: ForkProblem,
    },
}

/// Why a fork cannot be pushed to. A person can mend each of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ForkProblem {
    /// The App is not installed on it, or there is no such repository: GitHub does not tell which.
    NotInstalled,
    /// The App's installation there is suspended.
    Suspended,
    /// The App's installation there may not write contents.
    ReadOnly,
    /// It is no fork of this repository.
    NoFork,
    /// Nothing can be written to it.
    Archived,
    /// It is private and in another account: GitHub opens no pull request from it.
    Hidden,
    /// It lacks workflows of this repository, which an App may not bring there.
    Behind,
}

impl Refusal {
    /// Whether only the form of the commits is wrong, which their coder can put right by itself.
    #[must_use]
    pub fn is_of_form(&self) -> bool {
        matches!(self, Self::ForeignAuthor { .. } | Self::NoTrailer { .. })
    }

    /// Whether it lies in the commits themselves, so that nothing built on them can ever go out.
    #[must_use]
    pub fn is_in_commits(&self) -> bool {
        match self {
            Self::ProtectedPath(_)
            | Self::Workflows(_)
            | Self::TooLarge { .. }
            | Self::Secret { .. }
            | Self::Submodule(_)
            | Self::Symlink(_)
            | Self::ForeignAuthor { .. }
            | Self::NoTrailer { .. } => true,
            Self::Nothing | Self::BranchMoved | Self::GitHub(_) | Self::Fork { .. } => false,
        }
    }
}

/// Where a stage stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", content = "data", rename_all = "snake_case")]
pub enum StageState {
    /// Needs an earlier stage.
    Blocked,
    /// An agent is queued or at work.
    Running(AgentId),
    /// Baton runs the repository's commands.
    Commands(CommandRunId),
    /// The agent's change is on its way to GitHub.
    Publishing {
        /// Whose change.
        from: AgentId,
        /// The commit.
        head: Sha,
    },
    /// A person has to act.
    Waiting(WaitFor),
    /// Went well.
    Passed,
    /// Went wrong.
    Failed(FailKind),
    /// Ended from outside.
    Cancelled,
}

impl StageState {
    /// The name in SQL.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Blocked => "blocked",
            Self::Running(_) => "running",
            Self::Commands(_) => "commands",
            Self::Publishing { .. } => "publishing",
            Self::Waiting(_) => "waiting",
            Self::Passed => "passed",
            Self::Failed(_) => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether Baton itself is doing something for the stage right now.
    #[must_use]
    pub fn is_active(&self) -> bool {
        matches!(self, Self::Running(_) | Self::Commands(_) | Self::Publishing { .. })
    }

    /// Takes the next state. Only what has a result may pass, and only what an agent or the
    /// repository's commands brought forth may be published, or the very commit that was asked for or
    /// kept for another try; everything else can begin at any time.
    ///
    /// # Errors
    /// When nothing was at work whose result the next state would be.
    pub fn to(self, next: Self) -> Result<Self, InvalidTransition> {
        let legal = match (&self, &next) {
            (Self::Running(_) | Self::Commands(_), Self::Publishing { .. }) => true,
            (Self::Waiting(WaitFor::PushApproval(asked)), Self::Publishing { head, .. }) => {
                asked == head
            }
            (Self::Failed(FailKind::Unpushed(kept)), Self::Publishing { head, .. }) => kept == head,
            (_, Self::Publishing { .. }) => false,
            (from, Self::Passed) => {
                from.is_active() || matches!(from, Self::Waiting(_) | Self::Passed)
            }
            (_, Self::Blocked | Self::Running(_) | Self::Commands(_) | Self::Waiting(_)) => true,
            (_, Self::Failed(_) | Self::Cancelled) => true,
        };
        if legal {
            Ok(next)
        } else {
            Err(InvalidTransition { subject: "stage", from: self.name(), to: next.name() })
        }
    }
}

/// Where an agent stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", content = "data", rename_all = "snake_case")]
pub enum AgentState {
    /// Waits for a lane.
    Queued,
    /// Its workspace and prompt are being made.
    Preparing,
    /// Its process runs.
    Running,
    /// Its change is being taken in.
    Finishing,
    /// Over.
    Ended(End),
}

impl AgentState {
    /// The name in SQL.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Preparing => "preparing",
            Self::Running => "running",
            Self::Finishing => "finishing",
            Self::Ended(_) => "ended",
        }
    }

    /// Takes the next state: only forward, and the end may come at any time, once.
    ///
    /// # Errors
    /// When the agent has ended, or would go back.
    pub fn to(self, next: Self) -> Result<Self, InvalidTransition> {
        let rank = |state: &Self| match state {
            Self::Queued => 0,
            Self::Preparing => 1,
            Self::Running => 2,
            Self::Finishing => 3,
            Self::Ended(_) => 4,
        };
        if rank(&next) > rank(&self) {
            Ok(next)
        } else {
            Err(InvalidTransition { subject: "agent", from: self.name(), to: next.name() })
        }
    }
}

/// How an agent ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "end", content = "data", rename_all = "snake_case")]
pub enum End {
    /// With a valid outcome.
    Succeeded,
    /// With a question to a person: its session goes on with the answer.
    Asked(QuestionId),
    /// The model's provider gives no more until then.
    OutOfQuota {
        /// When to try again.
        until: Timestamp,
    },
    /// Its money was spent.
    OutOfBudget,
    /// Without a valid outcome.
    Failed(FailKind),
    /// A watchdog ended it.
    TimedOut(Watchdog),
    /// Somebody ended it.
    Cancelled(CancelledBy),
    /// Baton died under it, or lost its lease.
    Lost,
}

/// Which watchdog.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Watchdog {
    /// It ran too long in all.
    Total,
    /// It said nothing for too long.
    Silence,
    /// It had ended its work and did not go.
    Linger,
}

/// How a running agent is asked to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    /// By the provider's own interrupt, the session kept.
    Interrupt,
    /// At once.
    Kill,
}

/// Who ended something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", content = "who", rename_all = "snake_case")]
pub enum CancelledBy {
    /// A person, by command, label or by closing.
    Person(ActorId),
    /// Whoever runs the server.
    Operator,
    /// Baton, which is being stopped: the agent goes on after the restart.
    Shutdown,
    /// Something made the work pointless.
    Superseded,
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "detail", rename_all = "snake_case")]
pub enum FailKind {
    /// The workspace or the program could not be set up.
    Setup(String),
    /// The provider's program failed, in its own words.
    Provider(String),
    /// The outcome is not of the role's form, also after one repair turn.
    InvalidOutcome(String),
    /// The model API refused.
    Model(String),
    /// The model API failed or did not answer, however often it was asked.
    Away(String),
    /// Baton's tool server could not be reached from inside.
    Tools(String),
    /// The repository's own commands failed.
    Commands,
    /// What was looked at is not good enough: a failed verification.
    Verdict,
    /// The process ended without a result.
    Crashed(String),
    /// This commit is good and could not be pushed, for a reason that does not lie in it.
    Unpushed(Sha),
    /// It took more of the machine than one may.
    Resources(Excess),
}
