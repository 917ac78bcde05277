//! `agent_sessions`: the session files that agents go on with.

use bytes::Bytes;
use sqlx::PgExecutor;

use super::DbError;
use crate::model::{AgentId, SessionId, Timestamp};

/// Keeps a session as its last agent left it.
///
/// # Errors
/// When the database is away.
pub async fn save(
    executor: impl PgExecutor<'_>,
    session: SessionId,
    provider: &str,
    agent: AgentId,
    bytes: &[u8],
    now: Timestamp,
) -> Result<(), DbError> {
    sqlx::query!(
        "INSERT INTO agent_sessions (session_id, provider, agent_id, bytes, saved_at)
         VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (session_id) DO UPDATE
         SET provider = $2, agent_id = $3, bytes = $4, saved_at = $5",
        session.0,
        provider,
        agent.0,
        bytes,
        now,
    )
    .execute(executor)
    .await?;
    Ok(())
}

/// Gives the bytes of a session as one provider left it; none when that never saved it: another one's
/// are nothing that it could go on with.
///
/// # Errors
/// When the database is away.
pub async fn by_id(
    executor: impl PgExecutor<'_>,
    session: SessionId,
    provider: &str,
) -> Result<Option<Bytes>, DbError> {
    let bytes = sqlx::query_scalar!(
        "SELECT bytes FROM agent_sessions WHERE session_id = $1 AND provider = $2",
        session.0,
        provider,
    );
    Ok(bytes.fetch_optional(executor).await?.map(Bytes::from))
}
