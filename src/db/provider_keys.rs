//! `provider_keys`: credentials that rest for a while. Known by a name; the secret is in no table.

use sqlx::PgExecutor;

use super::DbError;
use crate::model::Timestamp;

/// A credential that rests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cooldown {
    /// Its name, which tells nothing of the secret.
    pub name: String,
    /// Until when.
    pub until: Timestamp,
    /// Why, in a few words.
    pub reason: String,
}

/// Notes that a credential rests.
///
/// # Errors
/// When the database is away.
pub async fn rest(
    executor: impl PgExecutor<'_>,
    provider: &str,
    cooldown: &Cooldown,
) -> Result<(), DbError> {
    sqlx::query!(
        "INSERT INTO provider_keys (name, provider, cooldown_until, reason) VALUES ($1, $2, $3, $4)
         ON CONFLICT (name) DO UPDATE SET provider = $2, cooldown_until = $3, reason = $4",
        cooldown.name,
        provider,
        cooldown.until,
        cooldown.reason,
    )
    .execute(executor)
    .await?;
    Ok(())
}

/// Lists the credentials that rest at a moment.
///
/// # Errors
/// When the database is away.
pub async fn list_resting(
    executor: impl PgExecutor<'_>,
    now: Timestamp,
) -> Result<Vec<Cooldown>, DbError> {
    let rows = sqlx::query_as!(
        Cooldown,
        r#"SELECT name, cooldown_until AS "until", reason FROM provider_keys
           WHERE cooldown_until > $1 ORDER BY name"#,
        now,
    );
    Ok(rows.fetch_all(executor).await?)
}
