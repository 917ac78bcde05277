//! What the queue holds.

use serde::{Deserialize, Serialize};

use super::{
    AgentId, CommandRunId, DeliveryGuid, EventId, LedgerId, ReportId, StageId, TaskId, Timestamp,
};

/// One entry of the queue. Closed: `pipeline::run` has one arm each.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "job", rename_all = "snake_case")]
pub enum Job {
    /// Read a stored delivery.
    ParseDelivery {
        /// Which.
        guid: DeliveryGuid,
    },
    /// Find the tasks that an event concerns.
    Route {
        /// Which event.
        event: EventId,
    },
    /// Decide what an event means for a task, or for a task to be.
    Decide {
        /// The event.
        event: EventId,
        /// The task; none where the event may open one.
        task: Option<TaskId>,
    },
    /// Run an agent to its end.
    RunAgent {
        /// Which.
        agent: AgentId,
    },
    /// Run the repository's own commands.
    RunCommands {
        /// Which run.
        run: CommandRunId,
    },
    /// Check a change, push it, see that it has a pull request.
    Publish {
        /// The stage whose change it is.
        stage: StageId,
        /// The agent that made it.
        agent: AgentId,
    },
    /// Do one write to GitHub that is no desired state.
    Perform {
        /// Its ledger row.
        act: LedgerId,
    },
    /// Make one GitHub object say what it should.
    Say {
        /// Which report.
        report: ReportId,
    },
    /// Put right what signals missed.
    Sweep(Sweep),
}

/// Reconcilers: idempotent, without input, woken by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "sweep", rename_all = "snake_case")]
pub enum Sweep {
    /// Pull the deliveries that GitHub could not hand over.
    Deliveries,
    /// Compare open tasks with what GitHub shows.
    OpenTasks,
    /// Say what was left unsaid.
    Reports,
    /// End agents whose Baton died, and delete workspaces that nobody uses.
    Agents,
    /// Resume what waits for a time.
    Deadlines,
    /// Drop what is past its retention.
    Retention,
}

impl Sweep {
    /// All reconcilers.
    pub const ALL: [Self; 6] = [
        Self::Deliveries,
        Self::OpenTasks,
        Self::Reports,
        Self::Agents,
        Self::Deadlines,
        Self::Retention,
    ];

    /// The name in SQL and logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Deliveries => "deliveries",
            Self::OpenTasks => "open_tasks",
            Self::Reports => "reports",
            Self::Agents => "agents",
            Self::Deadlines => "deadlines",
            Self::Retention => "retention",
        }
    }
}

/// Which workers take a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lane {
    /// Short work in the database: claimed in batches.
    Quick,
    /// Deciding, which may ask GitHub: keyed by task.
    Decide,
    /// Writing to GitHub: keyed by report or act.
    Say,
    /// Minutes of work: claimed singly.
    Agent,
    /// Reconcilers.
    Sweep,
}

impl Lane {
    /// All lanes.
    pub const ALL: [Self; 5] = [Self::Quick, Self::Decide, Self::Say, Self::Agent, Self::Sweep];

    /// The name in SQL.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Quick => "quick",
            Self::Decide => "decide",
            Self::Say => "say",
            Self::Agent => "agent",
            Self::Sweep => "sweep",
        }
    }
}

impl Job {
    /// The name in SQL and logs.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::ParseDelivery { .. } => "parse_delivery",
            Self::Route { .. } => "route",
            Self::Decide { .. } => "decide",
            Self::RunAgent { .. } => "run_agent",
            Self::RunCommands { .. } => "run_commands",
            Self::Publish { .. } => "publish",
            Self::Perform { .. } => "perform",
            Self::Say { .. } => "say",
            Self::Sweep(_) => "sweep",
        }
    }

    /// Its lane.
    #[must_use]
    pub fn lane(&self) -> Lane {
        match self {
            Self::ParseDelivery { .. } | Self::Route { .. } => Lane::Quick,
            Self::Decide { .. } => Lane::Decide,
            Self::Perform { .. } | Self::Say { .. } | Self::Publish { .. } => Lane::Say,
            Self::RunAgent { .. } | Self::RunCommands { .. } => Lane::Agent,
            Self::Sweep(_) => Lane::Sweep,
        }
    }

    /// How often it is tried before it counts as failed.
    ///
    /// An agent or a command that was started is never started again by its job: the pipeline sees in
    /// the agent's row that its Baton died under it, and only a decision starts another.
    #[must_use]
    pub fn max_attempts(&self) -> u16 {
        match self {
            Self::ParseDelivery { .. } | Self::Route { .. } | Self::Sweep(_) => 10,
            // Nobody else hears of what a lost decision would have said: it outlasts days of trouble.
            Self::Decide { .. } => 1000,
            Self::RunAgent { .. }
            | Self::RunCommands { .. }
            | Self::Publish { .. }
            | Self::Perform { .. }
            | Self::Say { .. } => 25,
        }
    }
}

/// A job to be enqueued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewJob {
    /// What to do.
    pub job: Job,
    /// Jobs of one key run one after another, in the order of their ids; `task:7`, `report:3`.
    pub key: Option<String>,
    /// While a job with this word waits unclaimed, another one is not added.
    pub dedup: Option<String>,
    /// Smaller runs first; 0 is usual.
    pub priority: i16,
    /// For the limits per repository.
    pub repository: Option<super::RepositoryId>,
    /// What it has a share in; counts in the agent lane only.
    pub shares: Vec<Share>,
    /// Not before.
    pub run_at: Timestamp,
}

impl NewJob {
    /// Has a report's object say what it should; once, however often that is wanted before it begins.
    #[must_use]
    pub fn say(
        report: ReportId,
        repository: Option<super::RepositoryId>,
        run_at: Timestamp,
    ) -> Self {
        Self {
            job: Job::Say { report },
            key: Some(format!("report:{report}")),
            dedup: Some(format!("say:{report}")),
            priority: 0,
            repository,
            shares: Vec::new(),
            run_at,
        }
    }
}

/// A share in something of which only so many jobs may run at once: a role, a provider, what a repository
/// allows itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// Of what: `role:coding`, `provider:claude`, `repo:7`. Up to the colon it says what is short.
    pub name: String,
    /// How many.
    pub most: u32,
}
