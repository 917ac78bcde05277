//! All rows of a task at once: what a `Situation` is made of.

use sqlx::PgConnection;

use super::{
    DbError, agents, approvals, command_runs, deployments, events, fetches, findings, follow_ups,
    plans, questions, reports, repositories, stages, tasks,
};
use crate::model::{
    Agent, Approval, AuditWish, CommandRun, CommentId, Deployment, Fetched, Finding, FollowUp,
    Plan, Policy, Question, Repository, Stage, Task, TaskId,
};

/// A task with everything that the database holds about it.
#[derive(Debug, Clone)]
pub struct LoadedTask {
    /// Where it is.
    pub repository: Repository,
    /// The policy it began with.
    pub policy: Policy,
    /// The task.
    pub task: Task,
    /// Its stages, in the order of the workflow.
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
    pub follow_ups: Vec<FollowUp>,
    /// The audits that its agents wanted, oldest first.
    pub audit_wishes: Vec<AuditWish>,
    /// Its agents, oldest first.
    pub agents: Vec<Agent>,
    /// Its command runs, oldest first.
    pub runs: Vec<CommandRun>,
    /// What its agents and runs asked of hosts, oldest first.
    pub fetches: Vec<Fetched>,
    /// Its deployments, oldest first.
    pub deployments: Vec<Deployment>,
    /// Where Baton asked: the asking comment of each plan number, newest last.
    pub asked: Vec<(u32, CommentId)>,
}

/// Loads a task with everything. To be of one moment, the caller holds the task's lock or a
/// repeatable-read transaction.
///
/// # Errors
/// [`DbError::Absent`] when there is none of that id.
pub async fn load(connection: &mut PgConnection, task: TaskId) -> Result<LoadedTask, DbError> {
    let tasks::LoadedRow { repository, policy, task } = tasks::load(&mut *connection, task).await?;
    let id = task.id;
    Ok(LoadedTask {
        repository: repositories::load(&mut *connection, repository).await?,
        policy,
        task,
        stages: stages::list(&mut *connection, id).await?,
        plans: plans::list(&mut *connection, id).await?,
        approvals: approvals::list_alive(&mut *connection, id).await?,
        findings: findings::list(&mut *connection, id).await?,
        questions: questions::list(&mut *connection, id).await?,
        follow_ups: follow_ups::list(&mut *connection, id).await?,
        audit_wishes: events::list_audit_wishes(&mut *connection, id).await?,
        agents: (agents::list(&mut *connection, id).await?)
            .into_iter()
            .map(|row| row.agent)
            .collect(),
        runs: command_runs::list(&mut *connection, id).await?,
        fetches: fetches::list(&mut *connection, id).await?,
        deployments: deployments::list(&mut *connection, id).await?,
        asked: reports::list_asked(&mut *connection, id).await?,
    })
}
