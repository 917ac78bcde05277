//! `approvals`: who opened which gate, and until when that holds.

use sqlx::PgExecutor;

use super::{DbError, decode};
use crate::model::{Approval, EventId, PlanHash, TaskId, Timestamp};

/// Keeps an approval; a second one of the same person for the same plan changes nothing.
///
/// # Errors
/// When the database is away.
pub async fn insert(
    executor: impl PgExecutor<'_>,
    task: TaskId,
    approval: &Approval,
    event: Option<EventId>,
) -> Result<(), DbError> {
    sqlx::query!(
        "INSERT INTO approvals (task_id, plan, actor_id, actor, permission, event_id, at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (task_id, plan, actor_id) WHERE died_at IS NULL DO NOTHING",
        task.0,
        approval.plan.as_str(),
        approval.actor.id.0,
        decode::write(&approval.actor),
        decode::write_name(&approval.permission),
        event.map(|id| id.0),
        approval.at,
    )
    .execute(executor)
    .await?;
    Ok(())
}

/// Ends all approvals of a task: what they were bound to has changed.
///
/// # Errors
/// When the database is away.
pub async fn kill_all(
    executor: impl PgExecutor<'_>,
    task: TaskId,
    now: Timestamp,
) -> Result<u64, DbError> {
    let result = sqlx::query!(
        "UPDATE approvals SET died_at = $2 WHERE task_id = $1 AND died_at IS NULL",
        task.0,
        now,
    )
    .execute(executor)
    .await?;
    Ok(result.rows_affected())
}

/// Lists the approvals of a task that still hold, oldest first.
///
/// # Errors
/// When the database is away or a row cannot be read.
pub async fn list_alive(
    executor: impl PgExecutor<'_>,
    task: TaskId,
) -> Result<Vec<Approval>, DbError> {
    let rows = sqlx::query!(
        "SELECT plan, actor, permission, at FROM approvals
         WHERE task_id = $1 AND died_at IS NULL ORDER BY id",
        task.0,
    );
    rows.fetch_all(executor)
        .await?
        .into_iter()
        .map(|row| {
            Ok(Approval {
                plan: decode::text("plan hash", row.plan, PlanHash::new)?,
                actor: decode::read("approver", row.actor)?,
                permission: decode::read_name("permission", row.permission)?,
                at: row.at,
            })
        })
        .collect()
}
