//! What operators and maintainers set: pauses, limits, stopping on a failure.

use std::fmt;

use sqlx::{PgConnection, PgExecutor};

use super::{Claimed, QueueError, Wake};
use crate::model::{Lane, RepositoryId, Timestamp};

/// What a setting is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Everything.
    All,
    /// One lane.
    Lane(Lane),
    /// One repository.
    Repository(RepositoryId),
}

/// The form in SQL.
impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => Ok(()),
            Self::Lane(lane) => write!(f, "lane:{}", lane.name()),
            Self::Repository(id) => write!(f, "repo:{id}"),
        }
    }
}

/// What is set for one scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScopeSettings {
    /// `''`, `lane:agent`, `repo:123`.
    pub scope: String,
    /// Whether nothing of it is claimed.
    pub paused: bool,
    /// Why.
    pub reason: Option<String>,
    /// How many of its jobs may run at once in the agent lane.
    pub max_running: Option<i32>,
    /// Whether a failed job pauses it.
    pub stop_on_failure: bool,
}

/// Pauses a scope: what runs goes on, nothing more is claimed.
///
/// # Errors
/// When the database is away.
pub async fn pause(
    executor: impl PgExecutor<'_>,
    scope: Scope,
    reason: &str,
    now: Timestamp,
) -> Result<(), QueueError> {
    sqlx::query!(
        "INSERT INTO queue_settings (scope, paused, reason, changed_at) VALUES ($1, true, $2, $3)
         ON CONFLICT (scope) DO UPDATE SET paused = true, reason = $2, changed_at = $3",
        scope.to_string(),
        reason,
        now,
    )
    .execute(executor)
    .await?;
    Ok(())
}

/// Ends the pause of a scope.
///
/// # Errors
/// When the database is away.
pub async fn resume(
    executor: impl PgExecutor<'_>,
    scope: Scope,
    now: Timestamp,
) -> Result<Wake, QueueError> {
    sqlx::query!(
        "UPDATE queue_settings SET paused = false, reason = NULL, changed_at = $2 WHERE scope = $1",
        scope.to_string(),
        now,
    )
    .execute(executor)
    .await?;
    Ok(Wake::of(Lane::ALL))
}

/// Sets how many jobs of a scope may run at once in the agent lane; none lifts it.
///
/// # Errors
/// When the database is away.
pub async fn set_max_running(
    executor: impl PgExecutor<'_>,
    scope: Scope,
    max_running: Option<u32>,
    now: Timestamp,
) -> Result<Wake, QueueError> {
    sqlx::query!(
        "INSERT INTO queue_settings (scope, max_running, changed_at) VALUES ($1, $2, $3)
         ON CONFLICT (scope) DO UPDATE SET max_running = $2, changed_at = $3",
        scope.to_string(),
        max_running.map(|it| i32::try_from(it).unwrap_or(i32::MAX)),
        now,
    )
    .execute(executor)
    .await?;
    Ok(Wake::of([Lane::Agent]))
}

/// Sets whether a failed job pauses a scope.
///
/// # Errors
/// When the database is away.
pub async fn set_stop_on_failure(
    executor: impl PgExecutor<'_>,
    scope: Scope,
    stop_on_failure: bool,
    now: Timestamp,
) -> Result<(), QueueError> {
    sqlx::query!(
        "INSERT INTO queue_settings (scope, stop_on_failure, changed_at) VALUES ($1, $2, $3)
         ON CONFLICT (scope) DO UPDATE SET stop_on_failure = $2, changed_at = $3",
        scope.to_string(),
        stop_on_failure,
        now,
    )
    .execute(executor)
    .await?;
    Ok(())
}

/// Gives the reason why nothing starts in a repository: its own pause, or that of everything.
///
/// # Errors
/// When the database is away.
pub async fn paused(
    executor: impl PgExecutor<'_>,
    repository: Option<RepositoryId>,
) -> Result<Option<String>, QueueError> {
    let own = repository.map(|id| Scope::Repository(id).to_string()).unwrap_or_default();
    let reason = sqlx::query_scalar!(
        r#"SELECT coalesce(reason, 'paused') AS "reason!" FROM queue_settings
           WHERE paused AND scope IN ('', 'lane:agent', $1) ORDER BY scope LIMIT 1"#,
        own,
    );
    Ok(reason.fetch_optional(executor).await?)
}

/// Lists what is set.
///
/// # Errors
/// When the database is away.
pub async fn list_settings(
    executor: impl PgExecutor<'_>,
) -> Result<Vec<ScopeSettings>, QueueError> {
    let settings = sqlx::query_as!(
        ScopeSettings,
        "SELECT scope, paused, reason, max_running, stop_on_failure FROM queue_settings
         ORDER BY scope"
    );
    Ok(settings.fetch_all(executor).await?)
}

/// Pauses what is set to stop on a failure.
pub(super) async fn stop_after_failure(
    connection: &mut PgConnection,
    claimed: &Claimed,
    now: Timestamp,
) -> Result<(), QueueError> {
    let mut scopes = vec![Scope::All.to_string(), Scope::Lane(claimed.job.lane()).to_string()];
    scopes.extend(claimed.repository.map(|id| Scope::Repository(id).to_string()));
    sqlx::query!(
        "UPDATE queue_settings SET paused = true, reason = $2, changed_at = $3
         WHERE scope = ANY ($1) AND stop_on_failure AND NOT paused",
        &scopes,
        format!("job {} ({}) failed", claimed.id, claimed.job.kind()),
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}
