//! `workspaces`: the folders that agents work in, so that none is forgotten.

use sqlx::PgExecutor;

use super::{DbError, error::one_row, nodes::NodeId};
use crate::model::{AgentId, RepositoryId, TaskId, Timestamp};

/// Row id of a workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct WorkspaceId(pub i64);

/// What may happen to a workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkspaceState {
    /// An agent may be in it.
    Ready,
    /// Nobody is in it; a later agent of the task may use it.
    Idle,
    /// It is being deleted.
    Removing,
}

impl WorkspaceState {
    fn name(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Idle => "idle",
            Self::Removing => "removing",
        }
    }
}

/// A workspace that is to be.
#[derive(Debug, Clone)]
pub struct NewWorkspace {
    /// Of which repository.
    pub repository: RepositoryId,
    /// For which task.
    pub task: TaskId,
    /// For which agent, where it is one's alone.
    pub agent: Option<AgentId>,
    /// On which machine.
    pub node: NodeId,
    /// Its folder.
    pub path: String,
    /// Now.
    pub now: Timestamp,
}

/// A workspace as it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workspace {
    /// Its row.
    pub id: WorkspaceId,
    /// Of which task.
    pub task: TaskId,
    /// Of which agent.
    pub agent: Option<AgentId>,
    /// Its folder.
    pub path: String,
}

/// Enters a workspace before its folder is made; the same folder again gives the same row.
///
/// # Errors
/// When the database is away.
pub async fn insert(
    executor: impl PgExecutor<'_>,
    workspace: &NewWorkspace,
) -> Result<WorkspaceId, DbError> {
    let NewWorkspace { repository, task, agent, node, path, now } = workspace;
    let id = sqlx::query_scalar!(
        "INSERT INTO workspaces (repository_id, task_id, agent_id, node_id, path, used_at)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (node_id, path) DO UPDATE
         SET repository_id = $1, task_id = $2, agent_id = $3, state = 'ready', used_at = $6
         RETURNING id",
        repository.0,
        task.0,
        agent.map(|id| id.0),
        node.0,
        path,
        now,
    );
    Ok(WorkspaceId(id.fetch_one(executor).await?))
}

/// Notes what may happen to a workspace.
///
/// # Errors
/// [`DbError::Stale`] when it is deleted.
pub async fn mark(
    executor: impl PgExecutor<'_>,
    id: WorkspaceId,
    state: WorkspaceState,
    now: Timestamp,
) -> Result<(), DbError> {
    let result = sqlx::query!(
        "UPDATE workspaces SET state = $2, used_at = $3 WHERE id = $1",
        id.0,
        state.name(),
        now,
    )
    .execute(executor)
    .await?;
    one_row(&result, "workspace", id.0)
}

/// Forgets a workspace whose folder is gone.
///
/// # Errors
/// When the database is away.
pub async fn delete(executor: impl PgExecutor<'_>, id: WorkspaceId) -> Result<(), DbError> {
    sqlx::query!("DELETE FROM workspaces WHERE id = $1", id.0).execute(executor).await?;
    Ok(())
}

/// Lists the workspaces of a machine that nobody needs: of closed tasks, of ended agents, or being
/// deleted when Baton died.
///
/// # Errors
/// When the database is away.
pub async fn list_unneeded(
    executor: impl PgExecutor<'_>,
    node: NodeId,
) -> Result<Vec<Workspace>, DbError> {
    let rows = sqlx::query!(
        "SELECT w.id, w.task_id, w.agent_id, w.path
         FROM workspaces w JOIN tasks t ON t.id = w.task_id LEFT JOIN agents a ON a.id = w.agent_id
         WHERE w.node_id = $1
             AND (w.state = 'removing' OR t.closed_at IS NOT NULL OR a.ended_at IS NOT NULL)
         ORDER BY w.id",
        node.0,
    );
    let rows = rows.fetch_all(executor).await?.into_iter();
    Ok(rows
        .map(|row| Workspace {
            id: WorkspaceId(row.id),
            task: TaskId(row.task_id),
            agent: row.agent_id.map(AgentId),
            path: row.path,
        })
        .collect())
}

/// Lists the folders that a machine is known to have: what else lies there can be deleted.
///
/// # Errors
/// When the database is away.
pub async fn list_paths(
    executor: impl PgExecutor<'_>,
    node: NodeId,
) -> Result<Vec<String>, DbError> {
    let paths =
        sqlx::query_scalar!("SELECT path FROM workspaces WHERE node_id = $1 ORDER BY path", node.0);
    Ok(paths.fetch_all(executor).await?)
}
