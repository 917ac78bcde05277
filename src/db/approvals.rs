//! `approvals`: who opened which gate, and until when that holds.

use sqlx::PgExecutor;

use super::{DbError, decode};
use crate::model::{Approval, Approved, EventId, PlanHash, Sha, TaskId, Timestamp};

/// Keeps an approval; a second one of the same person for the same thing changes nothing.
///
/// # Errors
/// When the database is away.
pub async fn insert(
    executor: impl PgExecutor<'_>,
    task: TaskId,
    approval: &Approval,
    event: Option<EventId>,
) -> Result<(), DbError> {
    let (plan, sha) = match &approval.of {
        Approved::Plan(plan) => (Some(plan.as_str()), None),
        Approved::Push(sha) => (None, Some(sha.as_str())),
    };
    sqlx::query!(
        "INSERT INTO approvals (task_id, plan, sha, actor_id, actor, permission, event_id, at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT DO NOTHING",
        task.0,
        plan,
        sha,
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

/// Ends the approvals to push any other commit than this: the head has changed.
///
/// # Errors
/// When the database is away.
pub async fn kill_pushes_but(
    executor: impl PgExecutor<'_>,
    task: TaskId,
    head: Option<&Sha>,
    now: Timestamp,
) -> Result<u64, DbError> {
    let result = sqlx::query!(
        "UPDATE approvals SET died_at = $3
         WHERE task_id = $1 AND died_at IS NULL AND sha IS DISTINCT FROM $2 AND sha IS NOT NULL",
        task.0,
        head.map(Sha::as_str),
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
        "SELECT plan, sha, actor, permission, at FROM approvals
         WHERE task_id = $1 AND died_at IS NULL ORDER BY id",
        task.0,
    );
    rows.fetch_all(executor)
        .await?
        .into_iter()
        .map(|row| {
            Ok(Approval {
                of: match (row.plan, row.sha) {
                    (Some(plan), _) => {
                        Approved::Plan(decode::text("plan hash", plan, PlanHash::new)?)
                    }
                    (None, sha) => Approved::Push(decode::text(
                        "approved commit",
                        sha.unwrap_or_default(),
                        Sha::new,
                    )?),
                },
                actor: decode::read("approver", row.actor)?,
                permission: decode::read_name("permission", row.permission)?,
                at: row.at,
            })
        })
        .collect()
}
