//! `deployments`: what was brought where.

use sqlx::PgExecutor;

use super::{DbError, decode};
use crate::model::{
    Deployment, DeploymentId, DeploymentState, Environment, Sha, TaskId, Timestamp,
};

/// Enters a deployment, or writes how far it is.
///
/// # Errors
/// When the database is away.
pub async fn save(
    executor: impl PgExecutor<'_>,
    task: TaskId,
    environment: &Environment,
    sha: &Sha,
    attempt: u32,
    state: DeploymentState,
    now: Timestamp,
) -> Result<DeploymentId, DbError> {
    let id = sqlx::query_scalar!(
        "INSERT INTO deployments (task_id, environment, sha, attempt, state, at)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (task_id, environment, sha, attempt) DO UPDATE SET state = $5
         RETURNING id",
        task.0,
        environment.as_str(),
        sha.as_str(),
        decode::small(attempt),
        decode::write_name(&state),
        now,
    );
    Ok(DeploymentId(id.fetch_one(executor).await?))
}

/// Lists the deployments of a task, oldest first.
///
/// # Errors
/// When the database is away or a row cannot be read.
pub async fn list(executor: impl PgExecutor<'_>, task: TaskId) -> Result<Vec<Deployment>, DbError> {
    let rows = sqlx::query!(
        "SELECT id, environment, sha, attempt, state FROM deployments WHERE task_id = $1
         ORDER BY id",
        task.0,
    );
    rows.fetch_all(executor)
        .await?
        .into_iter()
        .map(|row| {
            Ok(Deployment {
                id: DeploymentId(row.id),
                environment: decode::text("environment", row.environment, Environment::new)?,
                sha: decode::text("commit", row.sha, Sha::new)?,
                attempt: decode::number("attempt", row.attempt)?,
                state: decode::read_name("deployment state", row.state)?,
            })
        })
        .collect()
}
