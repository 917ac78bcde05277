//! The nouns of Baton: ids, events, commands, jobs, states and what is known of a task.
//!
//! Pure data and the rules that belong to it (legal transitions, validating constructors). Nothing
//! here talks to a database, a network, a clock or a disk; every other module may use it.

mod act;
mod agent;
mod command;
mod event;
mod ids;
mod job;
mod money;
mod outcome;
mod policy;
mod report;
#[cfg(test)]
pub mod sample;
mod situation;
mod state;
mod text;

pub use act::{Act, NotHere, Reaction, Reply};
pub use agent::{AgentEvent, Inputs, Message, TodoItem, TodoState, TokenUsage};
pub use command::{Command, Form};
pub use event::{Actor, Cause, Event, NewEvent, Permission, Person, Subject, Trigger, What};
pub use ids::*;
pub use job::{Job, Lane, NewJob, Sweep};
pub use money::{BUDGET_SPENT, Micros};
pub use outcome::{
    AuditFinding, AuditOutcome, CodeOutcome, CriterionVerdict, DeployOutcome, Outcome, PlanOutcome,
    PlanStep, ReviewFinding, ReviewOutcome, Severity, Verdict, VerifyOutcome,
};
pub use policy::{DeployPolicy, Limits, MergePolicy, Policy, RolePolicy, Until, usual_model};
pub use report::{
    Annotation, AnnotationLevel, CheckStatus, Conclusion, DeploymentState, Desired, ReportKey,
    ReportKind, ReviewComment,
};
pub use situation::{
    Agent, Approval, CommandResult, CommandRun, Deployment, Facts, Finding, FindingState,
    InputComment, IssueFacts, Plan, PullFacts, Repository, RunKind, RunState, Server, Situation,
    Stage, Task, TaskInput, TaskOrigin,
};
pub use state::{
    AgentState, CancelledBy, End, FailKind, InvalidTransition, ParkReason, Refusal, Role, StageKey,
    StageState, Stop, TaskState, WaitFor, Watchdog,
};
pub use text::{Untrusted, cut};

/// A moment in UTC. Baton takes it from its `Clock`, never from the operating system directly.
pub type Timestamp = chrono::DateTime<chrono::Utc>;
