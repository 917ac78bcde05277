//! What is noted of an agent while it runs.

use sqlx::PgExecutor;

use super::super::{DbError, decode, error::one_row};
use crate::model::{
    AgentId, Barred, Micros, Policy, RepositoryId, Role, TaskId, Timestamp, TodoItem, Untrusted,
};

/// Notes that an agent's runner is there.
///
/// # Errors
/// [`DbError::Stale`] when the agent has ended.
pub async fn heartbeat(
    executor: impl PgExecutor<'_>,
    id: AgentId,
    now: Timestamp,
) -> Result<(), DbError> {
    let result = sqlx::query!(
        "UPDATE agents SET heartbeat_at = $2 WHERE id = $1 AND ended_at IS NULL",
        id.0,
        now,
    )
    .execute(executor)
    .await?;
    one_row(&result, "agent", id)
}

/// Keeps an agent's list, where its program told one, and its last words, for the progress comment.
///
/// # Errors
/// [`DbError::Stale`] when the agent has ended.
pub async fn set_progress(
    executor: impl PgExecutor<'_>,
    id: AgentId,
    todo: Option<&[TodoItem]>,
    last_line: Option<&Untrusted>,
    last_output_at: Timestamp,
) -> Result<(), DbError> {
    let result = sqlx::query!(
        "UPDATE agents SET todo = coalesce($2, todo), last_line = $3, last_output_at = $4, heartbeat_at = $4
         WHERE id = $1 AND ended_at IS NULL",
        id.0,
        todo.map(|todo| decode::write(&todo)),
        last_line.map(|line| decode::storable(&line.0)),
        last_output_at,
    )
    .execute(executor)
    .await?;
    one_row(&result, "agent", id)
}

/// Keeps the SHA-256 of the token that an agent shows to the gateway and the tools.
///
/// # Errors
/// [`DbError::Stale`] when the agent has ended.
pub async fn set_token_hash(
    executor: impl PgExecutor<'_>,
    id: AgentId,
    hash: &[u8; 32],
) -> Result<(), DbError> {
    let result = sqlx::query!(
        "UPDATE agents SET token_hash = $2 WHERE id = $1 AND ended_at IS NULL",
        id.0,
        hash,
    )
    .execute(executor)
    .await?;
    one_row(&result, "agent", id)
}

/// What an agent may do at the gateway, by the rows that say so.
#[derive(Debug, Clone, PartialEq)]
pub struct Grant {
    /// Who.
    pub agent: AgentId,
    /// For which task.
    pub task: TaskId,
    /// In which repository.
    pub repository: RepositoryId,
    /// Who it plays.
    pub role: Role,
    /// The model that it was started with.
    pub model: String,
    /// How many requests it has made.
    pub requests: u32,
    /// What its task may cost.
    pub budget: Micros,
    /// The policy that holds for its task.
    pub policy: Policy,
    /// Whether somebody who may not push gave its agents words.
    pub outsiders: bool,
}

/// Finds the open agent of a token, and what holds for it: one statement, as each request asks.
///
/// # Errors
/// When the database is away or a row cannot be read.
pub async fn by_token_hash(
    executor: impl PgExecutor<'_>,
    hash: &[u8; 32],
) -> Result<Option<Grant>, DbError> {
    let row = sqlx::query!(
        r#"SELECT a.id, a.task_id, t.repository_id, s.key, a.role, a.model, a.requests, t.budget_micros,
             t.policy, jsonb_array_length(coalesce(t.input -> 'outsiders', '[]')) > 0 AS "outsiders!"
         FROM agents a JOIN stages s ON s.id = a.stage_id JOIN tasks t ON t.id = a.task_id
         WHERE a.token_hash = $1 AND a.ended_at IS NULL"#,
        hash,
    );
    let Some(row) = row.fetch_optional(executor).await? else { return Ok(None) };
    Ok(Some(Grant {
        agent: AgentId(row.id),
        task: TaskId(row.task_id),
        repository: RepositoryId(row.repository_id),
        role: decode::role(row.key, row.role)?,
        model: row.model,
        requests: decode::number("requests", row.requests)?,
        budget: Micros(row.budget_micros),
        policy: decode::read("task policy", row.policy)?,
        outsiders: row.outsiders,
    }))
}

/// Lets an agent that was entered start at a moment at the earliest, or as soon as it can.
///
/// # Errors
/// [`DbError::Stale`] when it has ended.
pub async fn set_not_before(
    executor: impl PgExecutor<'_>,
    id: AgentId,
    not_before: Option<Timestamp>,
) -> Result<(), DbError> {
    let result = sqlx::query!(
        "UPDATE agents SET not_before = $2 WHERE id = $1 AND ended_at IS NULL",
        id.0,
        not_before,
    )
    .execute(executor)
    .await?;
    one_row(&result, "agent", id)
}

/// Keeps what the gateway refused an agent so far.
///
/// # Errors
/// [`DbError::Stale`] when the agent has ended.
pub async fn set_refused(
    executor: impl PgExecutor<'_>,
    id: AgentId,
    refused: &[Barred],
) -> Result<(), DbError> {
    let result = sqlx::query!(
        "UPDATE agents SET refused = $2 WHERE id = $1 AND ended_at IS NULL",
        id.0,
        decode::write(&refused),
    )
    .execute(executor)
    .await?;
    one_row(&result, "agent", id)
}
