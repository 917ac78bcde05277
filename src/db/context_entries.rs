//! `context_entries`: what the agents of a task leave for those after them.

use sqlx::PgExecutor;

use super::{DbError, decode};
use crate::model::{AgentId, Role, TaskId, Timestamp};

/// One version of one entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub key: String,
    /// From 1.
    pub version: u32,
    /// What was left; empty in a list.
    pub value: String,
    /// By an agent of which role.
    pub by: Role,
    /// When.
    pub at: Timestamp,
}

/// How much a task has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Amount {
    /// Different entries.
    pub keys: u32,
    /// All versions of all of them.
    pub versions: u32,
}

/// Writes the next version of an entry and gives its number.
///
/// # Errors
/// When another agent writes the same entry at this very moment (a unique violation), or the database
/// is away.
pub async fn insert(
    executor: impl PgExecutor<'_>,
    task: TaskId,
    agent: AgentId,
    key: &str,
    value: &str,
    now: Timestamp,
) -> Result<u32, DbError> {
    let version = sqlx::query_scalar!(
        "INSERT INTO context_entries (task_id, key, version, agent_id, value, at)
         VALUES ($1, $2, (SELECT coalesce(max(version), 0) + 1 FROM context_entries
             WHERE task_id = $1 AND key = $2), $3, $4, $5)
         RETURNING version",
        task.0,
        key,
        agent.0,
        decode::storable(value),
        now,
    );
    decode::number("version", version.fetch_one(executor).await?)
}

/// Gives a version of an entry; the newest where none is named.
///
/// # Errors
/// When the database is away or the row cannot be read.
pub async fn by_key(
    executor: impl PgExecutor<'_>,
    task: TaskId,
    key: &str,
    version: Option<u32>,
) -> Result<Option<Entry>, DbError> {
    let row = sqlx::query!(
        "SELECT c.key, c.version, c.value, s.key AS stage, a.role, c.at
         FROM context_entries c JOIN agents a ON a.id = c.agent_id JOIN stages s ON s.id = a.stage_id
         WHERE c.task_id = $1 AND c.key = $2 AND ($3::integer IS NULL OR c.version = $3)
         ORDER BY c.version DESC LIMIT 1",
        task.0,
        key,
        version.map(decode::small),
    )
    .fetch_optional(executor)
    .await?;
    row.map(|row| {
        let by = decode::role(row.stage, row.role)?;
        entry(row.key, row.version, row.value, by, row.at)
    })
    .transpose()
}

/// Lists the newest version of each entry, by name, without what is in it.
///
/// # Errors
/// When the database is away or a row cannot be read.
pub async fn list(executor: impl PgExecutor<'_>, task: TaskId) -> Result<Vec<Entry>, DbError> {
    let rows = sqlx::query!(
        "SELECT DISTINCT ON (c.key) c.key, c.version, s.key AS stage, a.role, c.at
         FROM context_entries c JOIN agents a ON a.id = c.agent_id JOIN stages s ON s.id = a.stage_id
         WHERE c.task_id = $1 ORDER BY c.key, c.version DESC",
        task.0,
    );
    let rows = rows.fetch_all(executor).await?.into_iter();
    rows.map(|row| {
        let by = decode::role(row.stage, row.role)?;
        entry(row.key, row.version, String::new(), by, row.at)
    })
    .collect()
}

fn entry(
    key: String,
    version: i32,
    value: String,
    by: Role,
    at: Timestamp,
) -> Result<Entry, DbError> {
    let version = decode::number("version", version)?;
    Ok(Entry { key, version, value, by, at })
}

/// Counts what a task has left.
///
/// # Errors
/// When the database is away.
pub async fn amount(executor: impl PgExecutor<'_>, task: TaskId) -> Result<Amount, DbError> {
    let row = sqlx::query!(
        r#"SELECT count(DISTINCT key) AS "keys!", count(*) AS "versions!"
           FROM context_entries WHERE task_id = $1"#,
        task.0,
    )
    .fetch_one(executor)
    .await?;
    Ok(Amount {
        keys: decode::number("count", row.keys)?,
        versions: decode::number("count", row.versions)?,
    })
}
