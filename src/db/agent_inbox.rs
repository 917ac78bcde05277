//! `agent_inbox`: words for sessions that are running.

use sqlx::PgExecutor;

use super::{DbError, decode};
use crate::model::{AgentId, Message, Timestamp};

/// Puts a word into an agent's inbox.
///
/// # Errors
/// When the database is away, or there is no such agent.
pub async fn insert(
    executor: impl PgExecutor<'_>,
    agent: AgentId,
    message: &Message,
    now: Timestamp,
) -> Result<(), DbError> {
    sqlx::query!(
        "INSERT INTO agent_inbox (agent_id, message, at) VALUES ($1, $2, $3)",
        agent.0,
        decode::write(message),
        now,
    )
    .execute(executor)
    .await?;
    Ok(())
}

/// Takes what was not delivered yet, oldest first, with its number, and marks it delivered.
///
/// # Errors
/// When the database is away or a message cannot be read.
pub async fn take_undelivered(
    executor: impl PgExecutor<'_>,
    agent: AgentId,
    now: Timestamp,
) -> Result<Vec<(i64, Message)>, DbError> {
    let mut rows = sqlx::query!(
        "UPDATE agent_inbox SET delivered_at = $2 WHERE agent_id = $1 AND delivered_at IS NULL
         RETURNING id, message",
        agent.0,
        now,
    )
    .fetch_all(executor)
    .await?;
    rows.sort_by_key(|row| row.id);
    rows.into_iter().map(|row| Ok((row.id, decode::read("message", row.message)?))).collect()
}

/// Lists what was marked delivered, oldest first.
///
/// # Errors
/// When the database is away or a message cannot be read.
pub async fn list_delivered(
    executor: impl PgExecutor<'_>,
    agent: AgentId,
) -> Result<Vec<(i64, Message)>, DbError> {
    let rows = sqlx::query!(
        "SELECT id, message FROM agent_inbox WHERE agent_id = $1 AND delivered_at IS NOT NULL
         ORDER BY id",
        agent.0,
    );
    let rows = rows.fetch_all(executor).await?.into_iter();
    rows.map(|row| Ok((row.id, decode::read("message", row.message)?))).collect()
}

/// Lists what was said to the agents of other parts of an agent's plan, delivered or not, oldest first.
///
/// # Errors
/// When the database is away or a message cannot be read.
pub async fn list_told_before(
    executor: impl PgExecutor<'_>,
    agent: AgentId,
) -> Result<Vec<Message>, DbError> {
    let rows = sqlx::query_scalar!(
        "SELECT i.message FROM agents a
         JOIN agents o ON o.stage_id = a.stage_id AND o.id < a.id AND o.session_id <> a.session_id
         JOIN agent_inbox i ON i.agent_id = o.id
         WHERE a.id = $1 AND o.subtask IS NOT NULL ORDER BY i.id",
        agent.0,
    );
    let rows = rows.fetch_all(executor).await?.into_iter();
    rows.map(|message| decode::read("message", message)).collect()
}
