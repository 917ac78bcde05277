//! `reports`: which GitHub objects a task has, and whether they say what they should.

use sqlx::PgExecutor;

use super::{DbError, decode, error::one_row};
use crate::model::{CommentId, ReportId, ReportKind, TaskId, Timestamp};

/// One GitHub object of a task.
#[derive(Debug, Clone)]
pub struct Report {
    /// Its row.
    pub id: ReportId,
    /// Of which task.
    pub task: TaskId,
    /// Which object.
    pub kind: ReportKind,
    /// Grows whenever it may have to say something else.
    pub wanted_version: i64,
    /// The version that was last made true; 0 before the first.
    pub applied_version: i64,
    /// The hash of what was last said.
    pub applied_hash: Option<String>,
    /// GitHub's number of the object, once it is there.
    pub github_id: Option<i64>,
    /// GitHub's GraphQL id of the object, where it is needed.
    pub node_id: Option<String>,
    /// Not before.
    pub retry_at: Option<Timestamp>,
    /// Why the last try failed.
    pub error: Option<String>,
}

/// What GitHub holds after a report was made true.
#[derive(Debug, Clone, Default)]
pub struct Applied {
    /// The wanted version that was rendered.
    pub version: i64,
    /// The hash of what was said.
    pub hash: String,
    /// GitHub's number of the object; none keeps the known one.
    pub github_id: Option<i64>,
    /// GitHub's GraphQL id of the object; none keeps the known one.
    pub node_id: Option<String>,
}

/// Notes that an object may have to say something else, making its row if needed.
///
/// # Errors
/// When the database is away.
pub async fn raise(
    executor: impl PgExecutor<'_>,
    task: TaskId,
    kind: &ReportKind,
    now: Timestamp,
) -> Result<ReportId, DbError> {
    let key = kind.key();
    // What lags keeps the moment since when it lags.
    let id = sqlx::query_scalar!(
        "INSERT INTO reports AS r (task_id, kind, subject, about, wanted_at)
         VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (task_id, kind, subject) DO UPDATE SET wanted_version = r.wanted_version + 1,
             wanted_at = CASE WHEN r.applied_version < r.wanted_version THEN r.wanted_at ELSE $5 END
         RETURNING id",
        task.0,
        key.kind,
        key.subject,
        decode::write(kind),
        now,
    );
    Ok(ReportId(id.fetch_one(executor).await?))
}

/// Loads a report.
///
/// # Errors
/// [`DbError::Absent`] when there is none of that id.
pub async fn load(executor: impl PgExecutor<'_>, id: ReportId) -> Result<Report, DbError> {
    let row = sqlx::query!(
        "SELECT task_id, about, wanted_version, applied_version, applied_hash, github_id, node_id,
             retry_at, error
         FROM reports WHERE id = $1",
        id.0,
    )
    .fetch_optional(executor)
    .await?
    .ok_or_else(|| DbError::absent("report", id))?;
    Ok(Report {
        id,
        task: TaskId(row.task_id),
        kind: decode::read("kind of report", row.about)?,
        wanted_version: row.wanted_version,
        applied_version: row.applied_version,
        applied_hash: row.applied_hash,
        github_id: row.github_id,
        node_id: row.node_id,
        retry_at: row.retry_at,
        error: row.error,
    })
}

/// Notes what GitHub holds now. A version that was raised meanwhile stays to be said.
///
/// # Errors
/// [`DbError::Stale`] when a later version was applied by somebody else.
pub async fn applied(
    executor: impl PgExecutor<'_>,
    id: ReportId,
    applied: &Applied,
    now: Timestamp,
) -> Result<(), DbError> {
    let result = sqlx::query!(
        "UPDATE reports SET applied_version = $2, applied_hash = $3, applied_at = $6,
             github_id = coalesce($4, github_id), node_id = coalesce($5, node_id),
             retry_at = NULL, error = NULL,
             wanted_at = CASE WHEN wanted_version > $2 THEN $6 ELSE wanted_at END
         WHERE id = $1 AND applied_version <= $2",
        id.0,
        applied.version,
        applied.hash,
        applied.github_id,
        applied.node_id,
        now,
    )
    .execute(executor)
    .await?;
    one_row(&result, "report", id)
}

/// Notes why a report could not be made true, and when to try again.
///
/// # Errors
/// [`DbError::Stale`] when there is no such report.
pub async fn set_error(
    executor: impl PgExecutor<'_>,
    id: ReportId,
    error: &str,
    retry_at: Option<Timestamp>,
) -> Result<(), DbError> {
    let result = sqlx::query!(
        "UPDATE reports SET error = $2, retry_at = $3 WHERE id = $1",
        id.0,
        decode::storable(error),
        retry_at,
    )
    .execute(executor)
    .await?;
    one_row(&result, "report", id)
}

/// Lists reports that do not say what they should and may be tried now, longest lagging first.
///
/// # Errors
/// When the database is away.
pub async fn list_lagging(
    executor: impl PgExecutor<'_>,
    now: Timestamp,
    limit: i64,
) -> Result<Vec<ReportId>, DbError> {
    let ids = sqlx::query_scalar!(
        "SELECT id FROM reports
         WHERE applied_version < wanted_version AND (retry_at IS NULL OR retry_at <= $1)
         ORDER BY wanted_at LIMIT $2",
        now,
        limit,
    );
    Ok(ids.fetch_all(executor).await?.into_iter().map(ReportId).collect())
}

/// Counts a task's reports that GitHub has not taken since before a moment.
///
/// # Errors
/// When the database is away.
pub async fn count_failing_since(
    executor: impl PgExecutor<'_>,
    task: TaskId,
    before: Timestamp,
) -> Result<i64, DbError> {
    let count = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM reports
           WHERE task_id = $1 AND applied_version < wanted_version AND wanted_at < $2
               AND error IS NOT NULL"#,
        task.0,
        before,
    );
    Ok(count.fetch_one(executor).await?)
}

/// Counts reports that lag since before a moment: an alarm when it is five minutes ago. Where Baton is
/// switched off, silence is what was asked for.
///
/// # Errors
/// When the database is away.
pub async fn count_lagging_since(
    executor: impl PgExecutor<'_>,
    before: Timestamp,
) -> Result<i64, DbError> {
    let count = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM reports
           JOIN tasks ON tasks.id = task_id JOIN repositories ON repositories.id = repository_id
           WHERE applied_version < wanted_version AND wanted_at < $1
               AND NOT off AND removed_at IS NULL"#,
        before,
    );
    Ok(count.fetch_one(executor).await?)
}

/// Lists where Baton asked: the asking comment of each plan number, newest last.
///
/// # Errors
/// When the database is away or a row cannot be read.
pub async fn list_asked(
    executor: impl PgExecutor<'_>,
    task: TaskId,
) -> Result<Vec<(u32, CommentId)>, DbError> {
    let rows = sqlx::query!(
        r#"SELECT subject::integer AS "number!", github_id AS "github_id!" FROM reports
           WHERE task_id = $1 AND kind = 'asking' AND github_id IS NOT NULL ORDER BY 1"#,
        task.0,
    );
    rows.fetch_all(executor)
        .await?
        .into_iter()
        .map(|row| Ok((decode::number("plan number", row.number)?, CommentId(row.github_id))))
        .collect()
}
