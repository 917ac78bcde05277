//! `nodes`: the machines that run agents.

use sqlx::PgExecutor;

use super::DbError;
use crate::model::Timestamp;

/// Row id of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NodeId(pub i64);

/// Enters a node, or notes that it has started again.
///
/// # Errors
/// When the database is away.
pub async fn upsert(
    executor: impl PgExecutor<'_>,
    name: &str,
    sandboxes: &[String],
    now: Timestamp,
) -> Result<NodeId, DbError> {
    let id = sqlx::query_scalar!(
        "INSERT INTO nodes (name, started_at, heartbeat_at, sandboxes) VALUES ($1, $2, $2, $3)
         ON CONFLICT (name) DO UPDATE SET started_at = $2, heartbeat_at = $2, sandboxes = $3
         RETURNING id",
        name,
        now,
        serde_json::json!(sandboxes),
    );
    Ok(NodeId(id.fetch_one(executor).await?))
}

/// Notes that a node is alive.
///
/// # Errors
/// When the database is away.
pub async fn heartbeat(
    executor: impl PgExecutor<'_>,
    node: NodeId,
    now: Timestamp,
) -> Result<(), DbError> {
    sqlx::query!("UPDATE nodes SET heartbeat_at = $2 WHERE id = $1", node.0, now)
        .execute(executor)
        .await?;
    Ok(())
}
