//! `stages`: the nodes of each task's workflow.

use sqlx::PgExecutor;

use super::{DbError, decode};
use crate::model::{Sha, Stage, StageId, StageKey, StageState, TaskId, Timestamp};

/// Writes a stage's state, round and head, making the row if needed. Legality is the model's and was
/// checked by whoever decided; the caller holds the task's lock.
///
/// # Errors
/// When the database is away.
pub async fn save(
    executor: impl PgExecutor<'_>,
    task: TaskId,
    key: StageKey,
    state: &StageState,
    round: u32,
    head: Option<&Sha>,
    now: Timestamp,
) -> Result<StageId, DbError> {
    let id = sqlx::query_scalar!(
        "INSERT INTO stages (task_id, key, state, state_data, round, head, changed_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (task_id, key) DO UPDATE SET state = $3, state_data = $4, round = $5, head = $6,
             changed_at = CASE WHEN stages.state_data = $4 THEN stages.changed_at ELSE $7 END
         RETURNING id",
        task.0,
        key.name(),
        state.name(),
        decode::write(state),
        decode::small(round),
        head.map(Sha::as_str),
        now,
    );
    Ok(StageId(id.fetch_one(executor).await?))
}

/// Lists the stages of a task, in the order of the default workflow.
///
/// # Errors
/// When the database is away or a row cannot be read.
pub async fn list(executor: impl PgExecutor<'_>, task: TaskId) -> Result<Vec<Stage>, DbError> {
    let rows = sqlx::query!(
        "SELECT id, key, state_data, round, head, changed_at FROM stages WHERE task_id = $1",
        task.0,
    )
    .fetch_all(executor)
    .await?;
    let mut stages = Vec::with_capacity(rows.len());
    for row in rows {
        stages.push(Stage {
            id: StageId(row.id),
            key: decode::read_name("stage", row.key)?,
            state: decode::read("stage state", row.state_data)?,
            round: decode::number("round", row.round)?,
            head: decode::optional_text("head", row.head, Sha::new)?,
            changed_at: row.changed_at,
        });
    }
    stages.sort_by_key(|stage| stage.key);
    Ok(stages)
}

/// Gives the task and the key of a stage.
///
/// # Errors
/// [`DbError::Absent`] when there is none of that id.
pub async fn load_place(
    executor: impl PgExecutor<'_>,
    id: StageId,
) -> Result<(TaskId, StageKey), DbError> {
    let row = sqlx::query!("SELECT task_id, key FROM stages WHERE id = $1", id.0)
        .fetch_optional(executor)
        .await?
        .ok_or_else(|| DbError::absent("stage", id))?;
    Ok((TaskId(row.task_id), decode::read_name("stage", row.key)?))
}
