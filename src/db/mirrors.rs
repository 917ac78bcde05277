//! `mirrors`: which machine has which repository on its disk.

use sqlx::PgExecutor;

use super::{DbError, nodes::NodeId};
use crate::model::{RepositoryId, Timestamp};

/// Notes that a mirror was fetched.
///
/// # Errors
/// When the database is away.
pub async fn upsert(
    executor: impl PgExecutor<'_>,
    repository: RepositoryId,
    node: NodeId,
    path: &str,
    now: Timestamp,
) -> Result<(), DbError> {
    sqlx::query!(
        "INSERT INTO mirrors (repository_id, node_id, path, fetched_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (repository_id, node_id) DO UPDATE SET path = $3, fetched_at = $4",
        repository.0,
        node.0,
        path,
        now,
    )
    .execute(executor)
    .await?;
    Ok(())
}

/// Lists the mirrors of a machine whose repository is no longer installed.
///
/// # Errors
/// When the database is away.
pub async fn list_unneeded(
    executor: impl PgExecutor<'_>,
    node: NodeId,
) -> Result<Vec<(RepositoryId, String)>, DbError> {
    let rows = sqlx::query!(
        "SELECT m.repository_id, m.path FROM mirrors m JOIN repositories r ON r.id = m.repository_id
         WHERE m.node_id = $1 AND r.removed_at IS NOT NULL ORDER BY m.repository_id",
        node.0,
    );
    let rows = rows.fetch_all(executor).await?.into_iter();
    Ok(rows.map(|row| (RepositoryId(row.repository_id), row.path)).collect())
}

/// Forgets a mirror whose folder is gone.
///
/// # Errors
/// When the database is away.
pub async fn delete(
    executor: impl PgExecutor<'_>,
    repository: RepositoryId,
    node: NodeId,
) -> Result<(), DbError> {
    sqlx::query!(
        "DELETE FROM mirrors WHERE repository_id = $1 AND node_id = $2",
        repository.0,
        node.0,
    )
    .execute(executor)
    .await?;
    Ok(())
}
