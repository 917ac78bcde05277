//! `server`: what tells this database from every other.

use sqlx::PgExecutor;
use uuid::Uuid;

use super::DbError;

/// Loads the salt that session ids are derived with.
///
/// # Errors
/// When the database is away.
pub async fn salt(executor: impl PgExecutor<'_>) -> Result<Uuid, DbError> {
    Ok(sqlx::query_scalar!("SELECT salt FROM server").fetch_one(executor).await?)
}
