//! `ledger`: why each write to GitHub that is no desired state was made.

use sqlx::PgExecutor;

use super::{DbError, decode, error::one_row};
use crate::model::{Act, EventId, LedgerId, RepositoryId, TaskId, Timestamp};

/// A write that is intended.
#[derive(Debug, Clone)]
pub struct NewAct {
    /// Where.
    pub repository: RepositoryId,
    /// For which task, if for one.
    pub task: Option<TaskId>,
    /// Because of which event.
    pub event: Option<EventId>,
    /// What.
    pub act: Act,
    /// Unique; hidden in what is written, so that it is found again.
    pub marker: String,
    /// By which rule.
    pub rule: String,
    /// Now.
    pub now: Timestamp,
}

/// How far a write is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActState {
    /// Not made, or Baton died while making it: look for the marker first.
    Intended,
    /// Made.
    Done,
    /// GitHub refused it for good.
    Failed,
    /// Nobody knows: look for the marker.
    Unknown,
}

/// One row of the ledger.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its row.
    pub id: LedgerId,
    /// When it was intended.
    pub at: Timestamp,
    /// Where.
    pub repository: RepositoryId,
    /// For which task.
    pub task: Option<TaskId>,
    /// Because of which event.
    pub event: Option<EventId>,
    /// What.
    pub act: Act,
    /// Hidden in what is written.
    pub marker: String,
    /// By which rule.
    pub rule: String,
    /// How far it is.
    pub state: ActState,
    /// GitHub's number of what was made.
    pub github_id: Option<i64>,
    /// Why it failed.
    pub error: Option<String>,
}

/// Enters a write before it is made; a known marker gives the row that is there.
///
/// # Errors
/// When the database is away.
pub async fn intend(executor: impl PgExecutor<'_>, act: &NewAct) -> Result<LedgerId, DbError> {
    // The empty update makes the known row come back; nothing of it changes.
    let id = sqlx::query_scalar!(
        "INSERT INTO ledger AS l (at, repository_id, task_id, event_id, act, name, marker, rule)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (marker) DO UPDATE SET marker = l.marker RETURNING id",
        act.now,
        act.repository.0,
        act.task.map(|id| id.0),
        act.event.map(|id| id.0),
        decode::write(&act.act),
        act.act.name(),
        act.marker,
        act.rule,
    );
    Ok(LedgerId(id.fetch_one(executor).await?))
}

struct Row {
    id: i64,
    at: Timestamp,
    repository_id: i64,
    task_id: Option<i64>,
    event_id: Option<i64>,
    act: serde_json::Value,
    marker: String,
    rule: String,
    state: String,
    github_id: Option<i64>,
    error: Option<String>,
}

impl Row {
    fn into_entry(self) -> Result<Entry, DbError> {
        Ok(Entry {
            id: LedgerId(self.id),
            at: self.at,
            repository: RepositoryId(self.repository_id),
            task: self.task_id.map(TaskId),
            event: self.event_id.map(EventId),
            act: decode::read("act", self.act)?,
            marker: self.marker,
            rule: self.rule,
            state: decode::read_name("state of an act", self.state)?,
            github_id: self.github_id,
            error: self.error,
        })
    }
}

/// Loads a row of the ledger.
///
/// # Errors
/// [`DbError::Absent`] when there is none of that id.
pub async fn load(executor: impl PgExecutor<'_>, id: LedgerId) -> Result<Entry, DbError> {
    let row = sqlx::query_as!(
        Row,
        "SELECT id, at, repository_id, task_id, event_id, act, marker, rule, state, github_id, error
         FROM ledger WHERE id = $1",
        id.0,
    );
    let row = row.fetch_optional(executor).await?;
    row.ok_or_else(|| DbError::absent("ledger row", id))?.into_entry()
}

/// Lists what was written for a task, oldest first.
///
/// # Errors
/// When the database is away or a row cannot be read.
pub async fn list(executor: impl PgExecutor<'_>, task: TaskId) -> Result<Vec<Entry>, DbError> {
    let rows = sqlx::query_as!(
        Row,
        "SELECT id, at, repository_id, task_id, event_id, act, marker, rule, state, github_id, error
         FROM ledger WHERE task_id = $1 ORDER BY id",
        task.0,
    );
    rows.fetch_all(executor).await?.into_iter().map(Row::into_entry).collect()
}

/// Lists writes that are neither made nor given up since before a moment: their jobs were lost.
///
/// # Errors
/// When the database is away.
pub async fn list_unfinished(
    executor: impl PgExecutor<'_>,
    before: Timestamp,
    limit: i64,
) -> Result<Vec<LedgerId>, DbError> {
    let ids = sqlx::query_scalar!(
        "SELECT id FROM ledger WHERE state IN ('intended', 'unknown') AND at < $1
         ORDER BY at LIMIT $2",
        before,
        limit,
    );
    Ok(ids.fetch_all(executor).await?.into_iter().map(LedgerId).collect())
}

/// Notes that a write was made.
///
/// # Errors
/// [`DbError::Stale`] when it was made or given up before.
pub async fn mark_done(
    executor: impl PgExecutor<'_>,
    id: LedgerId,
    github_id: Option<i64>,
    now: Timestamp,
) -> Result<(), DbError> {
    mark(executor, id, ActState::Done, github_id, None, now).await
}

/// Notes that GitHub refused a write for good.
///
/// # Errors
/// [`DbError::Stale`] when it was made or given up before.
pub async fn mark_failed(
    executor: impl PgExecutor<'_>,
    id: LedgerId,
    error: &str,
    now: Timestamp,
) -> Result<(), DbError> {
    mark(executor, id, ActState::Failed, None, Some(error), now).await
}

async fn mark(
    executor: impl PgExecutor<'_>,
    id: LedgerId,
    state: ActState,
    github_id: Option<i64>,
    error: Option<&str>,
    now: Timestamp,
) -> Result<(), DbError> {
    let result = sqlx::query!(
        "UPDATE ledger SET state = $2, github_id = $3, error = $4, ended_at = $5
         WHERE id = $1 AND state IN ('intended', 'unknown')",
        id.0,
        decode::write_name(&state),
        github_id,
        error.map(decode::storable),
        now,
    )
    .execute(executor)
    .await?;
    one_row(&result, "ledger row", id)
}
