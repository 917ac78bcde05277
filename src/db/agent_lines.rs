//! `agent_lines`: what agents print, secrets already taken out by `logs`.

use sqlx::{PgExecutor, PgPool};

use super::{DbError, decode};
use crate::model::{AgentId, Timestamp};

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Whose.
    pub agent: AgentId,
    /// Its number among the agent's lines.
    pub seq: i64,
    /// When it was printed.
    pub at: Timestamp,
    /// `out`, `err` or another word of `logs`.
    pub stream: String,
    /// The line, without its end.
    pub text: String,
}

/// Stores many lines in one round trip. The commit is asynchronous: a crash of the database server
/// may lose the last moments of a log, and nothing else. Hence the pool: never inside a transaction
/// that must last.
///
/// # Errors
/// When the database is away; then none is stored.
pub async fn insert_batch(pool: &PgPool, lines: &[Line]) -> Result<(), DbError> {
    let agents: Vec<_> = lines.iter().map(|line| line.agent.0).collect();
    let seqs: Vec<_> = lines.iter().map(|line| line.seq).collect();
    let times: Vec<_> = lines.iter().map(|line| line.at).collect();
    let streams: Vec<_> = lines.iter().map(|line| line.stream.clone()).collect();
    let texts: Vec<_> = lines.iter().map(|line| decode::storable(&line.text)).collect();
    sqlx::query!(
        "WITH quick AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true))
         INSERT INTO agent_lines (agent_id, seq, at, stream, text)
         SELECT l.* FROM quick, unnest($1::bigint[], $2::bigint[], $3::timestamptz[], $4::text[],
             $5::text[]) AS l
         ON CONFLICT DO NOTHING",
        &agents,
        &seqs,
        &times,
        &streams,
        &texts,
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Lists the lines of an agent after a number, at most `limit`.
///
/// # Errors
/// When the database is away.
pub async fn list_after(
    executor: impl PgExecutor<'_>,
    agent: AgentId,
    seq: i64,
    limit: i64,
) -> Result<Vec<Line>, DbError> {
    let rows = sqlx::query!(
        "SELECT seq, at, stream, text FROM agent_lines WHERE agent_id = $1 AND seq > $2
         ORDER BY seq LIMIT $3",
        agent.0,
        seq,
        limit,
    );
    let lines = rows.fetch_all(executor).await?.into_iter();
    Ok(lines
        .map(|row| Line { agent, seq: row.seq, at: row.at, stream: row.stream, text: row.text })
        .collect())
}

/// Lists the last lines of an agent, oldest first.
///
/// # Errors
/// When the database is away.
pub async fn list_last(
    executor: impl PgExecutor<'_>,
    agent: AgentId,
    limit: i64,
) -> Result<Vec<Line>, DbError> {
    let rows = sqlx::query!(
        "SELECT seq, at, stream, text FROM agent_lines WHERE agent_id = $1
         ORDER BY seq DESC LIMIT $2",
        agent.0,
        limit,
    );
    let lines = rows.fetch_all(executor).await?.into_iter().rev();
    Ok(lines
        .map(|row| Line { agent, seq: row.seq, at: row.at, stream: row.stream, text: row.text })
        .collect())
}

/// Gives the number of an agent's last line; none before the first.
///
/// # Errors
/// When the database is away.
pub async fn last_seq(
    executor: impl PgExecutor<'_>,
    agent: AgentId,
) -> Result<Option<i64>, DbError> {
    let seq = sqlx::query_scalar!("SELECT max(seq) FROM agent_lines WHERE agent_id = $1", agent.0);
    Ok(seq.fetch_one(executor).await?)
}
