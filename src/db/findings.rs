//! `findings`: remarks that live through rounds.

use sqlx::PgExecutor;

use super::{DbError, decode, error::one_row};
use crate::model::{Finding, FindingState, TaskId, Untrusted};

/// Writes a finding under its number; its review thread is kept.
///
/// # Errors
/// When another number of the task has the same fingerprint, or the database is away.
pub async fn insert(
    executor: impl PgExecutor<'_>,
    task: TaskId,
    finding: &Finding,
) -> Result<(), DbError> {
    sqlx::query!(
        "INSERT INTO findings (task_id, number, fingerprint, severity, path, line, title, body,
             suggestion, state, first_round, last_round)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
         ON CONFLICT (task_id, number) DO UPDATE SET fingerprint = $3, severity = $4, path = $5,
             line = $6, title = $7, body = $8, suggestion = $9, state = $10, last_round = $12",
        task.0,
        decode::small(finding.number),
        decode::storable(&finding.fingerprint),
        decode::write_name(&finding.severity),
        decode::storable(&finding.path),
        decode::small(finding.line),
        decode::storable(&finding.title.0),
        decode::storable(&finding.body.0),
        finding.suggestion.as_ref().map(|text| decode::storable(&text.0)),
        decode::write_name(&finding.state),
        decode::small(finding.first_round),
        decode::small(finding.last_round),
    )
    .execute(executor)
    .await?;
    Ok(())
}

/// Notes whether a finding still stands.
///
/// # Errors
/// [`DbError::Stale`] when there is no such finding.
pub async fn mark(
    executor: impl PgExecutor<'_>,
    task: TaskId,
    number: u32,
    state: FindingState,
) -> Result<(), DbError> {
    let result = sqlx::query!(
        "UPDATE findings SET state = $3 WHERE task_id = $1 AND number = $2",
        task.0,
        decode::small(number),
        decode::write_name(&state),
    )
    .execute(executor)
    .await?;
    one_row(&result, "finding", number)
}

/// Lists the findings of a task, by number.
///
/// # Errors
/// When the database is away or a row cannot be read.
pub async fn list(executor: impl PgExecutor<'_>, task: TaskId) -> Result<Vec<Finding>, DbError> {
    let rows = sqlx::query!("SELECT * FROM findings WHERE task_id = $1 ORDER BY number", task.0);
    rows.fetch_all(executor)
        .await?
        .into_iter()
        .map(|row| {
            Ok(Finding {
                number: decode::number("finding number", row.number)?,
                fingerprint: row.fingerprint,
                severity: decode::read_name("severity", row.severity)?,
                path: row.path,
                line: decode::number("line", row.line)?,
                title: Untrusted(row.title),
                body: Untrusted(row.body),
                suggestion: row.suggestion.map(Untrusted),
                state: decode::read_name("finding state", row.state)?,
                first_round: decode::number("round", row.first_round)?,
                last_round: decode::number("round", row.last_round)?,
            })
        })
        .collect()
}

/// Gives the GraphQL id of a finding's review thread, once it is known.
///
/// # Errors
/// When the database is away.
pub async fn thread(
    executor: impl PgExecutor<'_>,
    task: TaskId,
    number: u32,
) -> Result<Option<String>, DbError> {
    let id = sqlx::query_scalar!(
        "SELECT thread_node_id FROM findings WHERE task_id = $1 AND number = $2",
        task.0,
        decode::small(number),
    );
    Ok(id.fetch_optional(executor).await?.flatten())
}

/// Keeps the GraphQL id of a finding's review thread.
///
/// # Errors
/// [`DbError::Stale`] when there is no such finding.
pub async fn set_thread(
    executor: impl PgExecutor<'_>,
    task: TaskId,
    number: u32,
    node_id: &str,
) -> Result<(), DbError> {
    let result = sqlx::query!(
        "UPDATE findings SET thread_node_id = $3 WHERE task_id = $1 AND number = $2",
        task.0,
        decode::small(number),
        node_id,
    )
    .execute(executor)
    .await?;
    one_row(&result, "finding", number)
}
