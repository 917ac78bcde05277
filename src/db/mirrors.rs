//! What speaks for keeping a repository's mirror on a disk.

use sqlx::PgExecutor;

use super::DbError;
use crate::model::RepositoryId;

/// Who may still need a mirror.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MirrorUse {
    /// Baton no longer serves the repository.
    pub removed: bool,
    /// A task of it is not over: commits that were never pushed may be in the mirror alone.
    pub open: bool,
    /// An agent or a run of it is queued or at work.
    pub at_work: bool,
}

/// Says what speaks for keeping a mirror; nothing is known of a repository that was never entered.
///
/// # Errors
/// When the database is away.
pub async fn mirror_use(
    executor: impl PgExecutor<'_>,
    repository: RepositoryId,
) -> Result<Option<MirrorUse>, DbError> {
    let found = sqlx::query_as!(
        MirrorUse,
        r#"SELECT r.removed_at IS NOT NULL OR i.deleted_at IS NOT NULL AS "removed!",
               EXISTS (SELECT FROM tasks t WHERE t.repository_id = r.id AND t.closed_at IS NULL)
                   AS "open!",
               EXISTS (SELECT FROM tasks t JOIN agents a ON a.task_id = t.id
                       WHERE t.repository_id = r.id AND a.ended_at IS NULL)
                   OR EXISTS (SELECT FROM tasks t JOIN command_runs c ON c.task_id = t.id
                       WHERE t.repository_id = r.id AND c.ended_at IS NULL) AS "at_work!"
           FROM repositories r JOIN installations i ON i.id = r.installation_id
           WHERE r.id = $1"#,
        repository.0,
    );
    Ok(found.fetch_optional(executor).await?)
}
