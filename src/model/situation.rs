//! Everything that is known of a task when something has to be decided or said about it.

use serde::{Deserialize, Serialize};

use super::{
    ActorId, AgentId, AgentState, Approval, AuditWish, Barred, BranchName, CommandRun,
    CommandRunId, CommentId, DeploymentId, DeploymentState, Difference, Environment, Fetched,
    FollowUp, Footprint, InputHash, Inputs, InstallationId, Lack, Limited, Login, Micros, Outcome,
    Permission, Person, PlanHash, PlanOutcome, Policy, Question, RepositoryId, RepositoryName,
    Role, RunKind, Server, SessionId, Severity, Sha, StageId, StageKey, StageState, Stop, Tally,
    TaskId, TaskState, Timestamp, TodoItem, Untrusted,
};

/// Rows and facts, complete and of one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Situation {
    /// That moment.
    pub now: Timestamp,
    /// `BATON_NAME`: prefix of commands, labels, markers and checks.
    pub name: String,
    /// The App's slug: what people mention.
    pub slug: String,
    /// Where.
    pub repository: Repository,
    /// The policy that holds: the task's own once it has begun, else the repository's.
    pub policy: Policy,
    /// The task; none before it is opened.
    pub task: Option<Task>,
    /// Its stages.
    pub stages: Vec<Stage>,
    /// Its plans, oldest first.
    pub plans: Vec<Plan>,
    /// Its approvals that still hold.
    pub approvals: Vec<Approval>,
    /// Its findings, by number.
    pub findings: Vec<Finding>,
    /// The questions of its agents, by number.
    pub questions: Vec<Question>,
    /// What its agents noticed outside of it, by number.
    #[serde(default)]
    pub follow_ups: Vec<FollowUp>,
    /// The audits that its agents wanted, oldest first.
    pub audit_wishes: Vec<AuditWish>,
    /// Its agents, oldest first.
    pub agents: Vec<Agent>,
    /// Its command runs, oldest first.
    pub runs: Vec<CommandRun>,
    /// What its agents and runs asked of hosts, oldest first.
    #[serde(default)]
    pub fetches: Vec<Fetched>,
    /// Its deployments, oldest first.
    pub deployments: Vec<Deployment>,
    /// Where Baton asked: the asking comment of each plan number, newest last.
    pub asked: Vec<(u32, CommentId)>,
    /// The last things that an agent did, one a line; only where its check is to be said.
    pub tail: Option<(AgentId, Vec<Untrusted>)>,
    /// What the commit that waits for a push changes; only where it is to be said.
    pub difference: Option<Difference>,
    /// What the server is like.
    pub server: Server,
    /// What GitHub said just now.
    pub facts: Facts,
}

/// A repository that Baton is installed on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repository {
    /// GitHub's id.
    pub id: RepositoryId,
    /// By which installation.
    pub installation: InstallationId,
    /// `owner/name`.
    pub name: RepositoryName,
    /// Where policy comes from and pull requests go to.
    pub default_branch: BranchName,
    /// Whether outsiders cannot read it.
    pub private: bool,
    /// Whether a maintainer switched Baton off here.
    pub off: bool,
    /// The mistake in the newest policy file, if there is one; the last good version holds.
    pub policy_error: Option<String>,
}

/// One piece of work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// Its row.
    pub id: TaskId,
    /// What it began with.
    pub origin: TaskOrigin,
    /// The issue, or a person's pull request.
    pub number: u64,
    /// Which task of that thread, from 1.
    pub generation: u32,
    /// Where it stands.
    pub state: TaskState,
    /// Grows with each decision: the guard of every write.
    pub version: i64,
    /// What the agents get to read; approvals are bound to its hash.
    pub input: TaskInput,
    /// Its hash.
    pub input_hash: InputHash,
    /// How often a change went back to the coder, by whatever loop.
    pub rounds: u32,
    /// How often it may.
    pub max_rounds: u32,
    /// What it may cost.
    pub budget: Micros,
    /// What it has cost.
    pub spent: Micros,
    /// Who asked for it.
    pub requested_by: Option<Person>,
    /// Baton's pull request, or the person's.
    pub pull: Option<u64>,
    /// The branch of that pull request.
    pub branch: Option<BranchName>,
    /// The newest head that Baton pushed or was asked to read.
    pub head: Option<Sha>,
    /// What the default branch got by the merge.
    pub merged: Option<Sha>,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// How often it came to an end or was parked: numbers the closing words.
    pub endings: u32,
}

/// What a task began with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskOrigin {
    /// An issue: plan, code, review, and on.
    Issue,
    /// A person's pull request: review.
    Pull,
    /// A thread on which an audit was asked for.
    Audit,
}

/// The words that agents get, as they were when the label was set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskInput {
    /// Title of the issue or pull request.
    pub title: Untrusted,
    /// Its text.
    pub body: Untrusted,
    /// Who wrote it.
    pub author: String,
    /// Comments by people with triage or more.
    pub comments: Vec<InputComment>,
    /// Who of those whose words agents got had no write access at that moment, by login.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outsiders: Vec<String>,
}

/// One comment among the inputs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputComment {
    /// Login of its author.
    pub author: String,
    /// Its text.
    pub body: Untrusted,
}

/// One node of the workflow, with what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stage {
    /// Its row.
    pub id: StageId,
    /// Which.
    pub key: StageKey,
    /// Where it stands.
    pub state: StageState,
    /// How often it was started, from 1; 0 before.
    pub round: u32,
    /// The commit that it is about.
    pub head: Option<Sha>,
    /// When its state changed.
    pub changed_at: Timestamp,
}

/// A plan that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// From 1.
    pub number: u32,
    /// What an approval is bound to: covers the plan and the inputs' hash.
    pub hash: PlanHash,
    /// The inputs it was made from.
    pub input_hash: InputHash,
    /// The plan.
    pub body: PlanOutcome,
}

/// A remark that lives through rounds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// `F1` is 1.
    pub number: u32,
    /// The same remark in two rounds has the same.
    pub fingerprint: String,
    /// Its weight.
    pub severity: Severity,
    /// The file.
    pub path: String,
    /// The line in the version that was read.
    pub line: u32,
    /// A few words.
    pub title: Untrusted,
    /// The whole.
    pub body: Untrusted,
    /// What the line should read instead.
    pub suggestion: Option<Untrusted>,
    /// Whether it still stands.
    pub state: FindingState,
    /// The round of review that first had it.
    pub first_round: u32,
    /// The last one.
    pub last_round: u32,
}

/// Whether a finding still stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingState {
    /// It does.
    Open,
    /// A later review says it is settled.
    Settled,
}

/// One attempt at a stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Agent {
    /// Its row.
    pub id: AgentId,
    /// Of which stage.
    pub stage: StageKey,
    /// Who it plays.
    pub role: Role,
    /// Which subtask of the plan it plays, from 1; none where it plays its stage as a whole.
    #[serde(default)]
    pub subtask: Option<u32>,
    /// Which attempt at the stage, from 1.
    pub attempt: u32,
    /// `claude` or `command`.
    pub provider: String,
    /// The model's name.
    pub model: String,
    /// Its session.
    pub session: SessionId,
    /// The agent whose session it goes on with.
    pub resumes: Option<AgentId>,
    /// Why it was started.
    pub inputs: Inputs,
    /// The commit that it starts from.
    pub base: Sha,
    /// Where it stands.
    pub state: AgentState,
    /// What it concluded.
    pub outcome: Option<Outcome>,
    /// The commit that it left, taken into Baton's mirror.
    pub head: Option<Sha>,
    /// What it has cost.
    pub cost: Micros,
    /// What it took of its machine.
    #[serde(default)]
    pub footprint: Footprint,
    /// What its program told of its own work.
    #[serde(default)]
    pub tally: Tally,
    /// Why it does not start yet, where it is queued.
    #[serde(default)]
    pub waits_for: Option<Lack>,
    /// When it starts at the earliest, where one before it went wrong.
    #[serde(default)]
    pub not_before: Option<Timestamp>,
    /// Its list of what is done and left.
    pub todo: Vec<TodoItem>,
    /// Its last words.
    pub last_line: Option<Untrusted>,
    /// Whether somebody wants it to end.
    pub wanted: Option<Stop>,
    /// The limit at which the gateway refused its last request, if that ended it.
    pub limited: Option<Limited>,
    /// What else the gateway refused it.
    #[serde(default)]
    pub refused: Vec<Barred>,
    /// When its process started.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

/// One deployment of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployment {
    /// Its row.
    pub id: DeploymentId,
    /// Where to.
    pub environment: Environment,
    /// What.
    pub sha: Sha,
    /// Which try, from 1.
    pub attempt: u32,
    /// How far it is.
    pub state: DeploymentState,
}

/// What GitHub said, asked for by `workflow::facts_needed`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// What the event's actor may do.
    pub permission: Option<Permission>,
    /// The issue.
    pub issue: Option<IssueFacts>,
    /// The pull request.
    pub pull: Option<PullFacts>,
    /// The newest commit of the default branch.
    pub default_head: Option<Sha>,
}

/// An issue as GitHub shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssueFacts {
    /// Whether it is open.
    pub open: bool,
    /// Its labels.
    pub labels: Vec<String>,
    /// Text and comments that agents may get.
    pub input: TaskInput,
    /// Whether it is a pull request.
    pub is_pull: bool,
}

/// A pull request as GitHub shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullFacts {
    /// Its number.
    pub number: u64,
    /// Whether it is open.
    pub open: bool,
    /// What the base got by its merge.
    pub merged: Option<Sha>,
    /// Its head.
    pub head: Sha,
    /// Its head's branch; none when deleted or in another repository.
    pub branch: Option<BranchName>,
    /// Where it goes.
    pub base: BranchName,
    /// Whether it is a draft.
    pub draft: bool,
    /// Who opened it.
    pub author: ActorId,
    /// Their login.
    pub author_login: Login,
}

impl Situation {
    /// Whether an agent of the task made the commit, not a person.
    #[must_use]
    pub fn is_made_here(&self, commit: &Sha) -> bool {
        self.agents.iter().any(|agent| agent.head.as_ref() == Some(commit))
    }

    /// The stage of that key.
    #[must_use]
    pub fn stage(&self, key: StageKey) -> Option<&Stage> {
        self.stages.iter().find(|stage| stage.key == key)
    }

    /// The agent of that id.
    #[must_use]
    pub fn agent(&self, id: AgentId) -> Option<&Agent> {
        self.agents.iter().find(|agent| agent.id == id)
    }

    /// Whether policy let one of its agents ask for the web, whose words are nobody's who may push.
    #[must_use]
    pub fn reads_the_web(&self) -> bool {
        let asks = |agent: &Agent| self.policy.roles.get(&agent.role).is_some_and(|role| role.web);
        self.agents.iter().any(asks)
    }

    /// The newest agent of a stage.
    #[must_use]
    pub fn last_agent(&self, key: StageKey) -> Option<&Agent> {
        self.agents.iter().rev().find(|agent| agent.stage == key)
    }

    /// The newest run of a kind.
    #[must_use]
    pub fn last_run(&self, kind: RunKind) -> Option<&CommandRun> {
        self.runs.iter().rev().find(|run| run.kind == kind)
    }

    /// The run of that id.
    #[must_use]
    pub fn run(&self, id: CommandRunId) -> Option<&CommandRun> {
        self.runs.iter().find(|run| run.id == id)
    }

    /// The newest plan.
    #[must_use]
    pub fn plan(&self) -> Option<&Plan> {
        self.plans.last()
    }
}

impl TaskOrigin {
    /// The name in SQL.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Issue => "issue",
            Self::Pull => "pull",
            Self::Audit => "audit",
        }
    }
}
