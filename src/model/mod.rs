//! The nouns of Baton: ids, events, commands, jobs, states and what is known of a task.
//!
//! Pure data and the rules that belong to it (legal transitions, validating constructors). Nothing
//! here talks to a database, a network, a clock or a disk; every other module may use it.

mod act;
mod agent;
mod approval;
mod audit_wish;
mod ceiling;
mod command;
mod egress;
mod event;
mod follow_up;
mod footprint;
mod ids;
mod job;
mod letter;
mod limited;
mod money;
mod outcome;
mod policy;
pub mod preset;
mod protected;
mod question;
mod report;
mod restarts;
mod role;
mod role_policy;
mod room;
mod run;
#[cfg(test)]
pub mod sample;
mod server;
mod situation;
mod state;
mod subtask;
mod tally;
mod text;
mod tool;
mod web;

pub use act::{Act, NotHere, Reaction, Reply};
pub use agent::{AgentEvent, Inputs, Message, TodoItem, TodoState, TokenUsage};
pub use approval::{Approval, Approved, Difference};
pub use audit_wish::AuditWish;
pub use ceiling::{Ceiling, Excess};
pub use command::{Command, Form};
pub use egress::{Blocked, EgressRule, Fetch, Fetched, Fetcher, HostRule, SET_UP};
pub use event::{Actor, Cause, Event, NewEvent, Permission, Person, Subject, Trigger, What};
pub use follow_up::{Emission, FollowUp};
pub use footprint::{Footprint, size};
pub use ids::*;
pub use job::{Job, Lane, NewJob, Share, Sweep};
pub use letter::{Addressee, Letter, LetterKind};
pub use limited::{Barred, BudgetScope, Limited, Shortage};
pub use money::{BUDGET_SPENT, Micros};
pub use outcome::{
    AnalysisOutcome, AuditFinding, AuditOutcome, CodeOutcome, CriterionVerdict, DeployOutcome,
    Outcome, PlanOutcome, PlanStep, ReviewFinding, ReviewOutcome, Severity, Verdict, VerifyOutcome,
};
pub use policy::{
    AfterQuota, BuildPolicy, DeployPolicy, Keep, Limits, MergePolicy, Policy, PushPolicy, Until,
    usual_model,
};
pub use preset::Preset;
pub use protected::Protected;
pub use question::{Answer, Fallback, Question};
pub use report::{
    Annotation, AnnotationLevel, CheckStatus, Conclusion, DeploymentState, Desired, ReportKey,
    ReportKind, ReviewComment,
};
pub use restarts::{Mishap, Restarts};
pub use role::Role;
pub use role_policy::{Effort, ProgramTool, RolePolicy};
pub use room::{Lack, Machine, Need};
pub use run::{CommandResult, CommandRun, RunKind, RunState};
pub use server::Server;
pub use situation::{
    Agent, Deployment, Facts, Finding, FindingState, InputComment, IssueFacts, Plan, PullFacts,
    Repository, Situation, Stage, Task, TaskInput, TaskOrigin,
};
pub use state::{
    AgentState, CancelledBy, End, FailKind, ForkProblem, InvalidTransition, ParkReason, Refusal,
    StageKey, StageState, Stop, TaskState, WaitFor, Watchdog,
};
pub use subtask::{Part, StepRole, Subtask};
pub use tally::Tally;
pub use text::{Untrusted, cut};
pub use tool::{TOOLS_PATH, Tool};
pub use web::{Web, WebTerms, WebTool, WebTools};

/// A moment in UTC. Baton takes it from its `Clock`, never from the operating system directly.
pub type Timestamp = chrono::DateTime<chrono::Utc>;
