//! How agents are asked to end, and their end.

use sqlx::PgExecutor;

use super::super::{DbError, decode, error::one_row};
use crate::model::{
    AgentId, AgentState, CancelledBy, End, Limited, Outcome, Sha, Stop, TaskId, Timestamp,
};

/// How an agent ended and what is left of it.
#[derive(Debug, Clone)]
pub struct Finished {
    /// How.
    pub end: End,
    /// What it concluded.
    pub outcome: Option<Outcome>,
    /// The commit that it left, taken into the mirror.
    pub head: Option<Sha>,
    /// The limit that ended it, if one did.
    pub limited: Option<Limited>,
}

impl Finished {
    /// An end that left nothing.
    #[must_use]
    pub fn only(end: End) -> Self {
        Self { end, outcome: None, head: None, limited: None }
    }
}

/// Ends an agent; its gateway token is worth nothing from here on.
///
/// Call it in the transaction that finishes the agent's job: the job's lease is the fence.
///
/// # Errors
/// [`DbError::Stale`] when it has ended before.
pub async fn finish(
    executor: impl PgExecutor<'_>,
    id: AgentId,
    finished: Finished,
    now: Timestamp,
) -> Result<(), DbError> {
    let result = sqlx::query!(
        "UPDATE agents SET state = 'ended', state_data = $2, outcome = $3, head = $4, ended_at = $5,
             token_hash = NULL, memory_bytes = 0, waits_for = NULL, limited = $6
         WHERE id = $1 AND ended_at IS NULL",
        id.0,
        decode::write(&AgentState::Ended(finished.end)),
        finished.outcome.as_ref().map(decode::write),
        finished.head.as_ref().map(Sha::as_str),
        now,
        finished.limited.as_ref().map(decode::write),
    )
    .execute(executor)
    .await?;
    one_row(&result, "agent", id)
}

/// Forgets the commits that a task's coders left, save the one that was published: nobody goes on
/// from them.
///
/// # Errors
/// When the database is away.
pub async fn discard_unpublished(
    executor: impl PgExecutor<'_>,
    task: TaskId,
    published: Option<&Sha>,
) -> Result<(), DbError> {
    sqlx::query!(
        "UPDATE agents SET head = NULL
         WHERE task_id = $1 AND ended_at IS NOT NULL AND head IS DISTINCT FROM $2",
        task.0,
        published.map(Sha::as_str),
    )
    .execute(executor)
    .await?;
    Ok(())
}

/// Asks all open agents of a task to end, and gives them; a kill is never softened.
///
/// # Errors
/// When the database is away.
pub async fn want(
    executor: impl PgExecutor<'_>,
    task: TaskId,
    stop: Stop,
    by: &CancelledBy,
) -> Result<Vec<AgentId>, DbError> {
    let ids = sqlx::query_scalar!(
        "UPDATE agents SET wanted = CASE wanted WHEN 'kill' THEN 'kill' ELSE $2 END,
             wanted_by = coalesce(wanted_by, $3)
         WHERE task_id = $1 AND ended_at IS NULL RETURNING id",
        task.0,
        decode::write_name(&stop),
        decode::write(by),
    );
    Ok(ids.fetch_all(executor).await?.into_iter().map(AgentId).collect())
}

/// Asks one open agent to end, and tells whether there was one of that id; a kill is never softened.
///
/// # Errors
/// When the database is away.
pub async fn want_one(
    executor: impl PgExecutor<'_>,
    id: AgentId,
    stop: Stop,
    by: &CancelledBy,
) -> Result<bool, DbError> {
    let result = sqlx::query!(
        "UPDATE agents SET wanted = CASE wanted WHEN 'kill' THEN 'kill' ELSE $2 END,
             wanted_by = coalesce(wanted_by, $3)
         WHERE id = $1 AND ended_at IS NULL",
        id.0,
        decode::write_name(&stop),
        decode::write(by),
    );
    Ok(result.execute(executor).await?.rows_affected() == 1)
}

/// Tells whether somebody wants an agent to end, how and who; none while it may go on.
///
/// # Errors
/// [`DbError::Absent`] when there is none of that id.
pub async fn wanted(
    executor: impl PgExecutor<'_>,
    id: AgentId,
) -> Result<Option<(Stop, CancelledBy)>, DbError> {
    let row = sqlx::query!("SELECT wanted, wanted_by FROM agents WHERE id = $1", id.0)
        .fetch_optional(executor)
        .await?
        .ok_or_else(|| DbError::absent("agent", id))?;
    let (Some(wanted), Some(by)) = (row.wanted, row.wanted_by) else { return Ok(None) };
    Ok(Some((decode::read_name("stop", wanted)?, decode::read("who stops", by)?)))
}
