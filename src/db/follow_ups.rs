//! `follow_ups`: what agents noticed outside of their task.

use sqlx::PgExecutor;

use super::{DbError, decode, error::one_row, task_refs::RefKind};
use crate::model::{AgentId, FollowUp, RepositoryId, TaskId, Timestamp, Untrusted};

/// A follow-up that is to be.
#[derive(Debug, Clone)]
pub struct NewFollowUp {
    /// Of which task.
    pub task: TaskId,
    /// Who noticed it.
    pub agent: AgentId,
    /// A few words.
    pub title: Untrusted,
    /// The whole.
    pub text: Untrusted,
    /// Now.
    pub now: Timestamp,
}

/// Enters a follow-up as the thread's next one and gives its number. The caller holds the task's lock.
///
/// # Errors
/// When the database is away.
pub async fn insert(executor: impl PgExecutor<'_>, new: &NewFollowUp) -> Result<u32, DbError> {
    let number = sqlx::query_scalar!(
        "INSERT INTO follow_ups (repository_id, thread, number, task_id, agent_id, title, text, at)
         SELECT t.repository_id, t.number,
             (SELECT coalesce(max(f.number), 0) + 1 FROM follow_ups f
              WHERE f.repository_id = t.repository_id AND f.thread = t.number),
             t.id, $2, $3, $4, $5
         FROM tasks t WHERE t.id = $1 RETURNING number",
        new.task.0,
        new.agent.0,
        decode::storable(&new.title.0),
        decode::storable(&new.text.0),
        new.now,
    );
    let number = number.fetch_optional(executor).await?;
    let number = number.ok_or_else(|| DbError::absent("task", new.task))?;
    decode::number("follow-up's number", number)
}

/// Notes the issue that was opened for a follow-up of a task.
///
/// # Errors
/// [`DbError::Stale`] when the task has none of that number.
pub async fn set_issue(
    executor: impl PgExecutor<'_>,
    task: TaskId,
    number: u32,
    issue: i64,
) -> Result<(), DbError> {
    let result = sqlx::query!(
        "UPDATE follow_ups SET issue = $3 WHERE task_id = $1 AND number = $2",
        task.0,
        decode::small(number),
        issue,
    )
    .execute(executor)
    .await?;
    one_row(&result, "follow-up", number)
}

/// Lists the follow-ups of a task, by number.
///
/// # Errors
/// When the database is away or a row cannot be read.
pub async fn list(executor: impl PgExecutor<'_>, task: TaskId) -> Result<Vec<FollowUp>, DbError> {
    let rows = sqlx::query!(
        "SELECT number, agent_id, title, text, issue FROM follow_ups
         WHERE task_id = $1 ORDER BY number",
        task.0,
    );
    let rows = rows.fetch_all(executor).await?.into_iter();
    rows.map(|row| {
        Ok(FollowUp {
            number: decode::number("follow-up's number", row.number)?,
            agent: AgentId(row.agent_id),
            title: Untrusted(row.title),
            text: Untrusted(row.text),
            issue: row.issue.map(|issue| decode::number("issue", issue)).transpose()?,
        })
    })
    .collect()
}

/// Finds the task, over or not, that has the follow-up of this number on a thread: on its own, or on that
/// of its pull request.
///
/// # Errors
/// When the database is away.
pub async fn task_of(
    executor: impl PgExecutor<'_>,
    repository: RepositoryId,
    kind: RefKind,
    thread: u64,
    number: u32,
) -> Result<Option<TaskId>, DbError> {
    let id = sqlx::query_scalar!(
        "SELECT f.task_id FROM follow_ups f JOIN task_refs r ON r.task_id = f.task_id
         WHERE r.repository_id = $1 AND r.kind = $2 AND r.ref = $3 AND f.number = $5
         ORDER BY f.thread = $4 DESC, f.task_id DESC LIMIT 1",
        repository.0,
        kind.name(),
        thread.to_string(),
        decode::big(thread),
        decode::small(number),
    );
    Ok(id.fetch_optional(executor).await?.map(TaskId))
}
