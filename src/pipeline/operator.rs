//! What whoever runs the server tells a task: the same commands, by another way in.

use sqlx::PgPool;

use super::{Failure, parse};
use crate::{
    db::tasks,
    model::{Actor, Cause, Command, Form, NewEvent, Subject, TaskId, Timestamp, What},
    queue::Wake,
};

/// Gives a command for a task. It takes effect when a server with this database runs.
///
/// # Errors
/// When there is no such task, or the database is away.
pub async fn give(
    pool: &PgPool,
    task: TaskId,
    command: Command,
    now: Timestamp,
) -> Result<Wake, Failure> {
    let row = tasks::load(pool, task).await?;
    let word = command.word().to_owned();
    let event = NewEvent {
        at: now,
        repository: row.repository,
        subject: Subject::Task(task),
        actor: Actor::Operator,
        cause: Cause::Operator,
        dedup_key: format!("operator:{task}:{word}:{}", now.timestamp_micros()),
        what: What::CommandGiven { command, form: Form::Operator, comment: None },
    };
    let mut tx = pool.begin().await?;
    let wake = parse::save(&mut tx, &[event], now).await?;
    tx.commit().await?;
    Ok(wake)
}
