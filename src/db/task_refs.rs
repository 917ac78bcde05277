//! `task_refs`: by what an event finds its task.

use sqlx::PgExecutor;

use super::DbError;
use crate::model::{RepositoryId, TaskId};

/// What a reference names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RefKind {
    /// An issue, by number.
    Issue,
    /// A pull request, by number.
    Pull,
    /// A branch, by name.
    Branch,
    /// A commit, by its id.
    Sha,
    /// A check run, by GitHub's id.
    Check,
    /// A deployment, by GitHub's id.
    Deployment,
    /// A comment, by GitHub's id.
    Comment,
}

impl RefKind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Issue => "issue",
            Self::Pull => "pull",
            Self::Branch => "branch",
            Self::Sha => "sha",
            Self::Check => "check",
            Self::Deployment => "deployment",
            Self::Comment => "comment",
        }
    }
}

/// Lets a task be found by a reference; a known one changes nothing.
///
/// # Errors
/// When the database is away.
pub async fn insert(
    executor: impl PgExecutor<'_>,
    repository: RepositoryId,
    kind: RefKind,
    reference: &str,
    task: TaskId,
) -> Result<(), DbError> {
    sqlx::query!(
        "INSERT INTO task_refs (repository_id, kind, ref, task_id) VALUES ($1, $2, $3, $4)
         ON CONFLICT DO NOTHING",
        repository.0,
        kind.name(),
        reference,
        task.0,
    )
    .execute(executor)
    .await?;
    Ok(())
}

/// Finds the open tasks of a reference, oldest first.
///
/// # Errors
/// When the database is away.
pub async fn find(
    executor: impl PgExecutor<'_>,
    repository: RepositoryId,
    kind: RefKind,
    reference: &str,
) -> Result<Vec<TaskId>, DbError> {
    let ids = sqlx::query_scalar!(
        "SELECT t.id FROM task_refs r JOIN tasks t ON t.id = r.task_id
         WHERE r.repository_id = $1 AND r.kind = $2 AND r.ref = $3 AND t.closed_at IS NULL
         ORDER BY t.id",
        repository.0,
        kind.name(),
        reference,
    );
    Ok(ids.fetch_all(executor).await?.into_iter().map(TaskId).collect())
}
