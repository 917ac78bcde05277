//! Events of Baton's own doing.

use sqlx::PgConnection;

use super::{Failure, Parts};
use crate::{
    db::{events, tasks},
    model::{Actor, Cause, NewEvent, Subject, TaskId, What},
};

/// An event that nobody outside told: it follows from what was last decided for the task.
pub(super) async fn own_event(
    parts: &Parts,
    connection: &mut PgConnection,
    task: TaskId,
    dedup_key: String,
    what: What,
) -> Result<NewEvent, Failure> {
    let repository = tasks::load(&mut *connection, task).await?.repository;
    let before = events::last_decided(&mut *connection, task).await?;
    let cause = before.map_or(Cause::Sweep, |(id, cause)| Cause::after(id, &cause));
    Ok(NewEvent {
        at: parts.clock.now(),
        repository,
        subject: Subject::Task(task),
        actor: Actor::System,
        cause,
        dedup_key,
        what,
    })
}
