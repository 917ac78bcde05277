//! `decisions`: which event was decided how for which task; what `why` shows.

use serde::Serialize;
use sqlx::PgExecutor;

use super::{DbError, decode};
use crate::model::{EventId, Facts, TaskId, Timestamp};

/// One decision as it was kept.
#[derive(Debug, Clone)]
pub struct StoredDecision {
    /// On which event.
    pub event: EventId,
    /// What the event was, by its public name.
    pub event_name: String,
    /// When.
    pub at: Timestamp,
    /// By which rule.
    pub rule: String,
    /// What GitHub had said.
    pub facts: Facts,
    /// The decision itself, as its module wrote it.
    pub decision: serde_json::Value,
}

/// Keeps a decision; false when this event was decided for this task before.
///
/// # Errors
/// When the database is away.
pub async fn insert(
    executor: impl PgExecutor<'_>,
    task: TaskId,
    event: EventId,
    at: Timestamp,
    rule: &str,
    facts: &Facts,
    decision: &impl Serialize,
) -> Result<bool, DbError> {
    let result = sqlx::query!(
        "INSERT INTO decisions (task_id, event_id, at, rule, facts, decision)
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
        task.0,
        event.0,
        at,
        rule,
        decode::write(facts),
        decode::write(decision),
    )
    .execute(executor)
    .await?;
    Ok(result.rows_affected() == 1)
}

/// Tells whether an event was decided for a task.
///
/// # Errors
/// When the database is away.
pub async fn exists(
    executor: impl PgExecutor<'_>,
    task: TaskId,
    event: EventId,
) -> Result<bool, DbError> {
    let exists = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM decisions WHERE task_id = $1 AND event_id = $2) AS "it!""#,
        task.0,
        event.0,
    );
    Ok(exists.fetch_one(executor).await?)
}

/// Lists the decisions of a task, oldest first.
///
/// # Errors
/// When the database is away or a row cannot be read.
pub async fn list(
    executor: impl PgExecutor<'_>,
    task: TaskId,
) -> Result<Vec<StoredDecision>, DbError> {
    let rows = sqlx::query!(
        "SELECT d.event_id, e.kind, d.at, d.rule, d.facts, d.decision
         FROM decisions d JOIN events e ON e.id = d.event_id
         WHERE d.task_id = $1 ORDER BY d.at, d.event_id",
        task.0,
    );
    rows.fetch_all(executor)
        .await?
        .into_iter()
        .map(|row| {
            Ok(StoredDecision {
                event: EventId(row.event_id),
                event_name: row.kind,
                at: row.at,
                rule: row.rule,
                facts: decode::read("facts", row.facts)?,
                decision: row.decision,
            })
        })
        .collect()
}
