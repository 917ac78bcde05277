//! `plans`: what starters proposed.

use sqlx::PgExecutor;

use super::{DbError, decode};
use crate::model::{InputHash, Plan, PlanHash, TaskId, Timestamp};

/// Keeps a plan under its number.
///
/// # Errors
/// When that number is taken, or the database is away.
pub async fn insert(
    executor: impl PgExecutor<'_>,
    task: TaskId,
    plan: &Plan,
    now: Timestamp,
) -> Result<(), DbError> {
    sqlx::query!(
        "INSERT INTO plans (task_id, number, hash, input_hash, body, at)
         VALUES ($1, $2, $3, $4, $5, $6)",
        task.0,
        decode::small(plan.number),
        plan.hash.as_str(),
        plan.input_hash.as_str(),
        decode::write(&plan.body),
        now,
    )
    .execute(executor)
    .await?;
    Ok(())
}

/// Lists the plans of a task, oldest first.
///
/// # Errors
/// When the database is away or a row cannot be read.
pub async fn list(executor: impl PgExecutor<'_>, task: TaskId) -> Result<Vec<Plan>, DbError> {
    let rows = sqlx::query!(
        "SELECT number, hash, input_hash, body FROM plans WHERE task_id = $1 ORDER BY number",
        task.0,
    );
    rows.fetch_all(executor)
        .await?
        .into_iter()
        .map(|row| {
            Ok(Plan {
                number: decode::number("plan number", row.number)?,
                hash: decode::text("plan hash", row.hash, PlanHash::new)?,
                input_hash: decode::text("input hash", row.input_hash, InputHash::new)?,
                body: decode::read("plan", row.body)?,
            })
        })
        .collect()
}
