//! `events`: things that happened, each once.

use sqlx::PgExecutor;

use super::{DbError, decode};
use crate::model::{
    AuditWish, Cause, Event, EventId, NewEvent, RepositoryId, Subject, TaskId, What,
};

/// Stores an event; none when the same thing was told before.
///
/// # Errors
/// When the database is away.
pub async fn insert(
    executor: impl PgExecutor<'_>,
    event: &NewEvent,
) -> Result<Option<EventId>, DbError> {
    let NewEvent { at, repository, subject, actor, cause, dedup_key, what } = event;
    let id = sqlx::query_scalar!(
        "INSERT INTO events (at, kind, dedup_key, repository_id, subject, actor, cause, what)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (repository_id, dedup_key) DO NOTHING RETURNING id",
        at,
        what.name(),
        dedup_key,
        repository.0,
        decode::write(subject),
        decode::write(actor),
        decode::write(cause),
        decode::write(what),
    );
    Ok(id.fetch_optional(executor).await?.map(EventId))
}

/// Loads an event.
///
/// # Errors
/// [`DbError::Absent`] when there is none of that id.
pub async fn load(executor: impl PgExecutor<'_>, id: EventId) -> Result<Event, DbError> {
    let row = sqlx::query!(
        "SELECT at, repository_id, subject, actor, cause, what FROM events WHERE id = $1",
        id.0,
    )
    .fetch_optional(executor)
    .await?
    .ok_or_else(|| DbError::absent("event", id))?;
    Ok(Event {
        id,
        at: row.at,
        repository: RepositoryId(row.repository_id),
        subject: decode::read("event subject", row.subject)?,
        actor: decode::read("event actor", row.actor)?,
        cause: decode::read("event cause", row.cause)?,
        what: decode::read("event", row.what)?,
    })
}

/// Finds the event that was last decided for a task, and what had caused it.
///
/// # Errors
/// When the database is away or the row cannot be read.
pub async fn last_decided(
    executor: impl PgExecutor<'_>,
    task: TaskId,
) -> Result<Option<(EventId, Cause)>, DbError> {
    let row = sqlx::query!(
        "SELECT e.id, e.cause FROM decisions d JOIN events e ON e.id = d.event_id
         WHERE d.task_id = $1 ORDER BY d.at DESC, d.event_id DESC LIMIT 1",
        task.0,
    )
    .fetch_optional(executor)
    .await?;
    row.map(|row| Ok((EventId(row.id), decode::read("event cause", row.cause)?))).transpose()
}

/// The audits that a task's agents wanted, oldest first: the event is the wish.
///
/// # Errors
/// When the database is away or a row cannot be read.
pub async fn list_audit_wishes(
    executor: impl PgExecutor<'_>,
    task: TaskId,
) -> Result<Vec<AuditWish>, DbError> {
    let rows = sqlx::query_scalar!(
        "SELECT what FROM events WHERE kind = 'audit.wanted' AND subject = $1 ORDER BY id",
        decode::write(&Subject::Task(task)),
    )
    .fetch_all(executor)
    .await?;
    let mut wishes = Vec::with_capacity(rows.len());
    for what in rows {
        if let What::AuditWanted { wish } = decode::read("event", what)? {
            wishes.push(wish);
        }
    }
    Ok(wishes)
}
