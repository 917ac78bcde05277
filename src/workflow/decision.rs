//! What a decision consists of.

use serde::{Deserialize, Serialize};

use crate::model::{
    Act, AgentId, Answer, Approval, BranchName, CancelledBy, DeploymentState, Environment, Finding,
    InputHash, Inputs, Message, Micros, Part, Person, Plan, QuestionId, ReportKind, RunKind, Sha,
    StageKey, StageState, Stop, TaskInput, TaskOrigin, TaskState,
};

/// What happens next, and by which rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// The rule's name: what `why` shows.
    pub rule: String,
    /// What to make true, in this order, in one transaction.
    pub effects: Vec<Effect>,
}

/// One thing to make true.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "effect", rename_all = "snake_case")]
pub enum Effect {
    /// A task begins; the effects that follow are about it.
    Open(NewTask),
    /// The task takes this state.
    Task {
        /// Which.
        next: TaskState,
    },
    /// The agents of this task get other words to read; its approvals die.
    Input {
        /// The words.
        input: TaskInput,
        /// Their hash.
        hash: InputHash,
    },
    /// Somebody without write access gave the agents words to follow.
    Outsider {
        /// Their login.
        login: String,
    },
    /// One more round, or as many as said.
    Rounds {
        /// The new number.
        rounds: u32,
    },
    /// The task may cost so much from now on.
    Budget {
        /// In all.
        budget: Micros,
    },
    /// The task's agents are played by another provider from now on.
    Provider {
        /// Which.
        provider: String,
    },
    /// The task's pull request is known, or its head moved.
    Pull {
        /// Its number.
        number: u64,
        /// Its head.
        head: Sha,
    },
    /// The task's change is in the default branch.
    Merged {
        /// As this commit.
        commit: Sha,
    },
    /// A stage takes this state.
    Stage {
        /// Which stage.
        key: StageKey,
        /// Which state.
        next: StageState,
    },
    /// A new agent plays a stage, which is running from now on.
    StartAgent {
        /// Which stage.
        stage: StageKey,
        /// What of it, and as whom, where a plan divides it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        part: Option<Part>,
        /// Whose session goes on; a new one where none.
        resumes: Option<AgentId>,
        /// Why.
        inputs: Inputs,
        /// From which commit.
        base: Sha,
    },
    /// An agent that waits for its time starts as soon as it can.
    StartNow {
        /// Which.
        agent: AgentId,
    },
    /// All agents of the task are asked to end.
    StopAgents {
        /// How.
        stop: Stop,
        /// By whom.
        by: CancelledBy,
    },
    /// A word into a live session.
    FollowUp {
        /// Whose.
        agent: AgentId,
        /// The word.
        message: Message,
    },
    /// Baton runs the repository's commands; the stage waits for them.
    StartRun {
        /// Which stage.
        stage: StageKey,
        /// Which commands.
        kind: RunKind,
        /// The commands.
        commands: Vec<String>,
        /// On which commit.
        sha: Sha,
    },
    /// An agent's change goes to GitHub; the stage is publishing.
    Publish {
        /// Which stage.
        stage: StageKey,
        /// Whose change.
        agent: AgentId,
        /// Its commit.
        head: Sha,
        /// To which branch.
        branch: BranchName,
    },
    /// What the coders made since the last push is given up: it can never go out.
    Discard,
    /// A plan was made.
    Plan(Plan),
    /// Somebody opened the gate.
    Approve(Approval),
    /// Somebody answered an agent's question, or its deadline passed.
    Answer {
        /// Which question.
        question: QuestionId,
        /// The answer.
        answer: Answer,
    },
    /// A finding was made, repeated or settled.
    Finding(Finding),
    /// A deployment begins or goes on.
    Deployment {
        /// Where to.
        environment: Environment,
        /// What.
        sha: Sha,
        /// Which try.
        attempt: u32,
        /// How far it is.
        state: DeploymentState,
    },
    /// One write to GitHub that is no desired state.
    Act(Act),
    /// An object on GitHub may have to say something else.
    Raise(ReportKind),
    /// The repository is switched off or on.
    Switch {
        /// Off.
        off: bool,
    },
}

/// A task that begins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewTask {
    /// What it begins with.
    pub origin: TaskOrigin,
    /// The issue or pull request.
    pub number: u64,
    /// What its agents get to read.
    pub input: TaskInput,
    /// The hash of that.
    pub input_hash: InputHash,
    /// Who asked.
    pub requested_by: Option<Person>,
    /// A person's pull request, when that is what it is about.
    pub pull: Option<(u64, Sha)>,
}
