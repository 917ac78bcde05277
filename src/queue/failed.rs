//! Jobs that did not end well: to be seen, and to be enqueued again.

use sqlx::{PgConnection, PgExecutor};

use super::{QueueError, Wake, enqueue};
use crate::model::{Job, JobId, NewJob, Timestamp};

/// A job that failed or was lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedJob {
    /// Its row in the history.
    pub id: JobId,
    /// Its public name.
    pub kind: String,
    /// Its serial key.
    pub key: Option<String>,
    /// How often it was tried.
    pub attempts: i16,
    /// Why it failed.
    pub error: Option<String>,
    /// When.
    pub ended_at: Timestamp,
}

/// Lists the newest jobs that failed or were lost since a moment.
///
/// # Errors
/// When the database is away.
pub async fn list_failed(
    executor: impl PgExecutor<'_>,
    since: Timestamp,
    limit: i64,
) -> Result<Vec<FailedJob>, QueueError> {
    let rows = sqlx::query!(
        "SELECT id, kind, key, attempts, error, ended_at FROM job_history
         WHERE result IN ('failed', 'lost') AND ended_at >= $1 ORDER BY ended_at DESC LIMIT $2",
        since,
        limit,
    );
    let rows = rows.fetch_all(executor).await?.into_iter();
    Ok(rows
        .map(|row| FailedJob {
            id: JobId(row.id),
            kind: row.kind,
            key: row.key,
            attempts: row.attempts,
            error: row.error,
            ended_at: row.ended_at,
        })
        .collect())
}

/// Enqueues a failed job again, with all its attempts; false when there is none of that id.
///
/// # Errors
/// When the database is away.
pub async fn enqueue_failed_again(
    connection: &mut PgConnection,
    id: JobId,
    now: Timestamp,
) -> Result<Option<Wake>, QueueError> {
    let row = sqlx::query!(
        "SELECT key, payload FROM job_history
         WHERE id = $1 AND result IN ('failed', 'lost') AND payload IS NOT NULL LIMIT 1",
        id.0,
    );
    let Some(row) = row.fetch_optional(&mut *connection).await? else { return Ok(None) };
    let Some(job) = row.payload.and_then(|it| serde_json::from_value::<Job>(it).ok()) else {
        return Ok(None);
    };
    // No longer a failure that somebody has to look at, and not to be enqueued twice.
    sqlx::query!(
        "UPDATE job_history SET result = 'superseded', payload = NULL
         WHERE id = $1 AND result IN ('failed', 'lost')",
        id.0,
    )
    .execute(&mut *connection)
    .await?;
    let (dedup, repository) = (None, None);
    let job = NewJob {
        job,
        key: row.key,
        dedup,
        priority: 0,
        repository,
        shares: Vec::new(),
        run_at: now,
    };
    Ok(Some(enqueue(connection, &[job]).await?))
}
