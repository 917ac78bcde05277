//! `agent_lines`: what agents print, secrets already taken out by `logs`.

use std::collections::BTreeSet;

use sqlx::{PgExecutor, PgPool};

use super::{DbError, decode};
use crate::model::{AgentId, Timestamp};

/// The channel on which is told whose lines were stored: their ids, parted by spaces, or nothing where these
/// are more than a payload holds.
pub const CHANNEL: &str = "baton_lines";

/// The longest payload of a NOTIFY, in bytes (the manual of Postgres, NOTIFY).
const LONGEST_PAYLOAD: usize = 7_999;

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

/// Stores many lines in one round trip, and tells on [`CHANNEL`] whose they are. The commit is asynchronous: a
/// crash of the database server may lose the last moments of a log, and nothing else. Hence the pool: never inside
/// a transaction that must last.
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
        "WITH quick AS MATERIALIZED (
             SELECT set_config('synchronous_commit', 'off', true), pg_notify($6, $7))
         INSERT INTO agent_lines (agent_id, seq, at, stream, text)
         SELECT l.* FROM quick, unnest($1::bigint[], $2::bigint[], $3::timestamptz[], $4::text[],
             $5::text[]) AS l
         ON CONFLICT DO NOTHING",
        &agents,
        &seqs,
        &times,
        &streams,
        &texts,
        CHANNEL,
        whose(lines),
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// What is told of stored lines.
fn whose(lines: &[Line]) -> String {
    let agents: BTreeSet<_> = lines.iter().map(|line| line.agent).collect();
    let ids: Vec<_> = agents.iter().map(ToString::to_string).collect();
    let payload = ids.join(" ");
    if payload.len() > LONGEST_PAYLOAD { String::new() } else { payload }
}

/// Reads what was told; none where it can be anybody's lines.
#[must_use]
pub fn told(payload: &str) -> Option<BTreeSet<AgentId>> {
    let ids: Result<BTreeSet<_>, _> =
        payload.split(' ').map(|id| id.parse().map(AgentId)).collect();
    ids.ok()
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
