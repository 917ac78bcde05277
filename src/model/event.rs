//! One thing that happened.

use serde::{Deserialize, Serialize};

use super::{
    ActorId, AgentId, AuditWish, BranchName, CheckRunId, Command, CommandRunId, CommentId,
    DeliveryGuid, EventId, Form, Login, QuestionId, Refusal, RepositoryId, Sha, Timestamp,
};

/// A GitHub account that did something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// GitHub's numeric id: the identity.
    pub id: ActorId,
    /// The login at the time: for mentions only.
    pub login: Login,
}

/// Who did it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Actor {
    /// A person's account.
    Person(Person),
    /// Another App's or a bot's account: starts nothing unless policy names its id.
    Bot(Person),
    /// Baton itself, seen through GitHub.
    Own,
    /// Baton itself, from the inside: the end of an agent, a deadline.
    System,
    /// Whoever runs the server, by its command line.
    Operator,
}

impl Actor {
    /// The account, where there is one.
    #[must_use]
    pub fn account(&self) -> Option<&Person> {
        match self {
            Self::Person(person) | Self::Bot(person) => Some(person),
            Self::Own | Self::System | Self::Operator => None,
        }
    }
}

/// What made Baton notice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Cause {
    /// A webhook.
    Delivery {
        /// Its `X-GitHub-Delivery`.
        guid: DeliveryGuid,
    },
    /// An earlier event, by way of a job.
    Event {
        /// The event it came from.
        id: EventId,
        /// How many events lie between this one and the outside.
        depth: u32,
    },
    /// A reconciler that looked by itself.
    Sweep,
    /// The command line.
    Operator,
}

impl Cause {
    /// What follows from an earlier event.
    #[must_use]
    pub fn after(id: EventId, cause: &Self) -> Self {
        Self::Event { id, depth: cause.depth().saturating_add(1) }
    }

    /// How many events lie between what it made happen and the outside.
    #[must_use]
    pub fn depth(&self) -> u32 {
        match self {
            Self::Event { depth, .. } => *depth,
            Self::Delivery { .. } | Self::Sweep | Self::Operator => 0,
        }
    }
}

/// What the event is about: the key by which it finds its task.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", content = "id", rename_all = "snake_case")]
pub enum Subject {
    /// An issue by number.
    Issue(u64),
    /// A pull request by number.
    Pull(u64),
    /// A commit.
    Commit(Sha),
    /// A check run.
    Check(CheckRunId),
    /// A branch.
    Branch(BranchName),
    /// A task, from the inside.
    Task(super::TaskId),
    /// The repository as a whole.
    Repository,
}

/// How work was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// The label that keeps Baton on the thread.
    Label,
    /// The one-shot label `baton:plan`.
    PlanLabel,
    /// The one-shot label `baton:review`.
    ReviewLabel,
}

impl Trigger {
    /// The label's ending after Baton's name.
    #[must_use]
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Label => "",
            Self::PlanLabel => ":plan",
            Self::ReviewLabel => ":review",
        }
    }
}

/// What happened. Closed: a new case is a new row in the table of decisions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum What {
    /// A label asks for work on an issue or a pull request.
    TaskAssigned {
        /// Which label.
        trigger: Trigger,
    },
    /// The label was taken off.
    TaskUnassigned,
    /// Title or body of the issue changed.
    TaskEdited,
    /// The issue was closed.
    TaskClosed,
    /// The issue was opened again.
    TaskReopened,
    /// Somebody gave a command.
    CommandGiven {
        /// The command.
        command: Command,
        /// How it was given.
        form: Form,
        /// The comment that holds it; none from the command line.
        comment: Option<CommentId>,
    },
    /// A pull request was opened.
    PullOpened {
        /// Its head.
        head: Sha,
    },
    /// The head of a pull request moved.
    PullUpdated {
        /// The new head.
        head: Sha,
    },
    /// A pull request was merged.
    PullMerged {
        /// The commit that the base branch got.
        commit: Sha,
    },
    /// A pull request was closed unmerged.
    PullClosed,
    /// A pull request was opened again.
    PullReopened,
    /// A branch was deleted.
    BranchDeleted,
    /// The default branch got a change of `.github/baton.yml`.
    PolicyChanged,
    /// A repository was added to the installation.
    RepositoryAdded,
    /// A repository was taken from the installation, or the installation was suspended or deleted.
    RepositoryRemoved,
    /// An agent ended; how, is in its row.
    AgentFinished {
        /// The agent.
        agent: AgentId,
    },
    /// The commands that a stage waited for have ended; how, is in their row.
    CommandsFinished {
        /// The run.
        run: CommandRunId,
    },
    /// The agent's commit is on GitHub, in a pull request.
    PublishDone {
        /// The pull request.
        pull: u64,
        /// The pushed commit.
        head: Sha,
    },
    /// Nothing speaks against the agent's commit, but a person has to let it out.
    PublishHeld {
        /// The commit.
        head: Sha,
    },
    /// Policy or GitHub does not let the agent's commit out.
    PublishRefused {
        /// Why.
        refusal: Refusal,
    },
    /// No agent can start: the sandbox does not pass its self-test, or GitHub's writes fail.
    StartRefused {
        /// Which stage's agent.
        agent: AgentId,
        /// Why, with the remedy.
        reason: String,
    },
    /// An agent noticed something outside of its task.
    FollowUpNoted {
        /// Its number on the thread.
        number: u32,
    },
    /// An agent wants an audit of the change that it works on.
    AuditWanted {
        /// Whose wish, and what for.
        wish: AuditWish,
    },
    /// Nobody answered a question in time.
    DeadlinePassed {
        /// Which question.
        question: QuestionId,
    },
}

/// An event as it is found, before it has a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewEvent {
    /// When it happened, as far as the source tells; else when it was received.
    pub at: Timestamp,
    /// Where.
    pub repository: RepositoryId,
    /// About what.
    pub subject: Subject,
    /// By whom.
    pub actor: Actor,
    /// Why Baton knows.
    pub cause: Cause,
    /// The same thing told twice, even under two GUIDs, has the same key.
    pub dedup_key: String,
    /// What happened.
    pub what: What,
}

/// An event with its row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its row.
    pub id: EventId,
    /// When it happened.
    pub at: Timestamp,
    /// Where.
    pub repository: RepositoryId,
    /// About what.
    pub subject: Subject,
    /// By whom.
    pub actor: Actor,
    /// Why Baton knows.
    pub cause: Cause,
    /// What happened.
    pub what: What,
}

impl What {
    /// The name that SQL, logs and documents use.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::TaskAssigned { .. } => "task.assigned",
            Self::TaskUnassigned => "task.unassigned",
            Self::TaskEdited => "task.edited",
            Self::TaskClosed => "task.closed",
            Self::TaskReopened => "task.reopened",
            Self::CommandGiven { .. } => "command.given",
            Self::PullOpened { .. } => "pr.created",
            Self::PullUpdated { .. } => "pr.updated",
            Self::PullMerged { .. } => "pr.merged",
            Self::PullClosed => "pr.closed",
            Self::PullReopened => "pr.reopened",
            Self::BranchDeleted => "branch.deleted",
            Self::PolicyChanged => "policy.changed",
            Self::RepositoryAdded => "repository.added",
            Self::RepositoryRemoved => "repository.removed",
            Self::AgentFinished { .. } => "agent.finished",
            Self::CommandsFinished { .. } => "commands.finished",
            Self::PublishDone { .. } => "publish.done",
            Self::PublishHeld { .. } => "publish.held",
            Self::PublishRefused { .. } => "publish.refused",
            Self::StartRefused { .. } => "start.refused",
            Self::FollowUpNoted { .. } => "follow_up.noted",
            Self::AuditWanted { .. } => "audit.wanted",
            Self::DeadlinePassed { .. } => "deadline.passed",
        }
    }
}

/// What the API says a person may do, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Permission {
    /// Not even reading.
    None,
    /// Reading: every outsider on a public repository.
    Read,
    /// Labels and issues.
    Triage,
    /// Pushing.
    Write,
    /// Pushing and most settings.
    Maintain,
    /// Everything.
    Admin,
}
