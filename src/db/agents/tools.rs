//! Who calls Baton's tools, and how often.

use sqlx::PgExecutor;

use super::super::{DbError, decode, error::one_row};
use crate::model::{AgentId, RepositoryId, Role, SessionId, TaskId, Timestamp, TodoItem, Tool};

/// An agent that is at work, as the tools see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Who.
    pub agent: AgentId,
    /// Its session: what it reads, whoever goes on with that has read.
    pub session: SessionId,
    /// Whom it plays.
    pub role: Role,
    /// For which task.
    pub task: TaskId,
    /// In which repository.
    pub repository: RepositoryId,
    /// What it may call.
    pub tools: Vec<Tool>,
}

/// Notes which tools an agent may call.
///
/// # Errors
/// [`DbError::Stale`] when the agent has ended.
pub async fn set_tools(
    executor: impl PgExecutor<'_>,
    id: AgentId,
    tools: &[Tool],
) -> Result<(), DbError> {
    let result = sqlx::query!(
        "UPDATE agents SET tools = $2 WHERE id = $1 AND ended_at IS NULL",
        id.0,
        decode::write(&tools),
    )
    .execute(executor)
    .await?;
    one_row(&result, "agent", id)
}

/// Finds the agent at work whose token has this SHA-256.
///
/// # Errors
/// When the database is away or the row cannot be read.
pub async fn caller(
    executor: impl PgExecutor<'_>,
    token_hash: &[u8; 32],
) -> Result<Option<Caller>, DbError> {
    let row = sqlx::query!(
        "SELECT a.id, a.session_id, a.task_id, t.repository_id, s.key, a.role, a.tools
         FROM agents a JOIN stages s ON s.id = a.stage_id JOIN tasks t ON t.id = a.task_id
         WHERE a.token_hash = $1 AND a.ended_at IS NULL",
        token_hash,
    )
    .fetch_optional(executor)
    .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Caller {
        agent: AgentId(row.id),
        session: SessionId(row.session_id),
        role: decode::role(row.key, row.role)?,
        task: TaskId(row.task_id),
        repository: RepositoryId(row.repository_id),
        tools: decode::read("agent's tools", row.tools)?,
    }))
}

/// Counts one call; false when the agent has used up as many as it may make, or has ended.
///
/// # Errors
/// When the database is away.
pub async fn count_tool_call(
    executor: impl PgExecutor<'_>,
    id: AgentId,
    most: u32,
) -> Result<bool, DbError> {
    let result = sqlx::query!(
        "UPDATE agents SET tool_calls = tool_calls + 1
         WHERE id = $1 AND ended_at IS NULL AND tool_calls < $2",
        id.0,
        decode::small(most),
    )
    .execute(executor)
    .await?;
    Ok(result.rows_affected() == 1)
}

/// Keeps an agent's list; false when it is the same as before.
///
/// # Errors
/// When the database is away.
pub async fn set_todo(
    executor: impl PgExecutor<'_>,
    id: AgentId,
    todo: &[TodoItem],
    now: Timestamp,
) -> Result<bool, DbError> {
    let result = sqlx::query!(
        "UPDATE agents SET todo = $2, last_output_at = $3
         WHERE id = $1 AND ended_at IS NULL AND todo <> $2",
        id.0,
        decode::write(&todo),
        now,
    )
    .execute(executor)
    .await?;
    Ok(result.rows_affected() == 1)
}
