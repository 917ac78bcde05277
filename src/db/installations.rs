//! `installations`: accounts that have the App.

use sqlx::PgExecutor;

use super::DbError;
use crate::model::{ActorId, InstallationId, Login, Timestamp};

/// One installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    /// GitHub's id.
    pub id: InstallationId,
    /// The account that has the App.
    pub account_id: ActorId,
    /// Its login.
    pub account: Login,
    /// Since when it is suspended.
    pub suspended_at: Option<Timestamp>,
    /// Since when it is gone.
    pub deleted_at: Option<Timestamp>,
    /// Until when nothing may be asked of GitHub.
    pub paused_until: Option<Timestamp>,
    /// Until when nothing may be written to GitHub.
    pub content_paused_until: Option<Timestamp>,
}

/// Enters an installation, or brings it up to date; what was suspended or deleted is back.
///
/// # Errors
/// When the database is away.
pub async fn upsert(
    executor: impl PgExecutor<'_>,
    id: InstallationId,
    account_id: ActorId,
    account: &Login,
) -> Result<(), DbError> {
    sqlx::query!(
        "INSERT INTO installations (id, account_id, account) VALUES ($1, $2, $3)
         ON CONFLICT (id) DO UPDATE
         SET account_id = $2, account = $3, suspended_at = NULL, deleted_at = NULL",
        id.0,
        account_id.0,
        account.as_str(),
    )
    .execute(executor)
    .await?;
    Ok(())
}

/// Finds an installation.
///
/// # Errors
/// When the database is away or the row cannot be read.
pub async fn by_id(
    executor: impl PgExecutor<'_>,
    id: InstallationId,
) -> Result<Option<Installation>, DbError> {
    let row = sqlx::query!(
        "SELECT account_id, account, suspended_at, deleted_at, paused_until, content_paused_until
         FROM installations WHERE id = $1",
        id.0,
    )
    .fetch_optional(executor)
    .await?;
    row.map(|row| {
        Ok(Installation {
            id,
            account_id: ActorId(row.account_id),
            account: super::decode::text("installation's account", row.account, Login::new)?,
            suspended_at: row.suspended_at,
            deleted_at: row.deleted_at,
            paused_until: row.paused_until,
            content_paused_until: row.content_paused_until,
        })
    })
    .transpose()
}

/// Lists the installations that are neither suspended nor deleted.
///
/// # Errors
/// When the database is away.
pub async fn list_active(executor: impl PgExecutor<'_>) -> Result<Vec<InstallationId>, DbError> {
    let ids = sqlx::query_scalar!(
        "SELECT id FROM installations WHERE suspended_at IS NULL AND deleted_at IS NULL ORDER BY id"
    );
    Ok(ids.fetch_all(executor).await?.into_iter().map(InstallationId).collect())
}

/// Notes that an installation is suspended, or no more.
///
/// # Errors
/// When the database is away.
pub async fn mark_suspended(
    executor: impl PgExecutor<'_>,
    id: InstallationId,
    at: Option<Timestamp>,
) -> Result<(), DbError> {
    sqlx::query!("UPDATE installations SET suspended_at = $2 WHERE id = $1", id.0, at)
        .execute(executor)
        .await?;
    Ok(())
}

/// Notes that an installation is gone.
///
/// # Errors
/// When the database is away.
pub async fn mark_deleted(
    executor: impl PgExecutor<'_>,
    id: InstallationId,
    at: Timestamp,
) -> Result<(), DbError> {
    sqlx::query!("UPDATE installations SET deleted_at = $2 WHERE id = $1", id.0, at)
        .execute(executor)
        .await?;
    Ok(())
}

/// Notes until when GitHub wants to be left alone: with writes only, or altogether.
///
/// # Errors
/// When the database is away.
pub async fn mark_paused(
    executor: impl PgExecutor<'_>,
    id: InstallationId,
    until: Timestamp,
    writes_only: bool,
) -> Result<(), DbError> {
    sqlx::query!(
        "UPDATE installations SET
             paused_until = CASE WHEN $3 THEN paused_until ELSE $2 END,
             content_paused_until = $2
         WHERE id = $1",
        id.0,
        until,
        writes_only,
    )
    .execute(executor)
    .await?;
    Ok(())
}

/// Lists the installations that GitHub wants to be left alone at a moment, and until when.
///
/// # Errors
/// When the database is away.
pub async fn list_paused(
    executor: impl PgExecutor<'_>,
    now: Timestamp,
) -> Result<Vec<(InstallationId, Timestamp)>, DbError> {
    let rows = sqlx::query!(
        r#"SELECT id, paused_until AS "until!" FROM installations WHERE paused_until > $1"#,
        now,
    );
    let rows = rows.fetch_all(executor).await?.into_iter();
    Ok(rows.map(|row| (InstallationId(row.id), row.until)).collect())
}
