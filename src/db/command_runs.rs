//! `command_runs`: the repository's own commands, run by Baton.

use sqlx::PgExecutor;

use super::{DbError, decode, error::one_row};
use crate::model::{CommandRun, CommandRunId, RunKind, RunState, Sha, StageKey, TaskId, Timestamp};

/// A run that is to be.
#[derive(Debug, Clone)]
pub struct NewCommandRun {
    /// Of which task.
    pub task: TaskId,
    /// For which stage.
    pub stage: StageKey,
    /// What for.
    pub kind: RunKind,
    /// The commands, one shell each, in order.
    pub commands: Vec<String>,
    /// On which commit.
    pub sha: Sha,
    /// Now.
    pub now: Timestamp,
}

struct Row {
    id: i64,
    task_id: i64,
    stage: String,
    kind: String,
    commands: serde_json::Value,
    sha: String,
    state_data: serde_json::Value,
    at: Timestamp,
}

impl Row {
    fn into_model(self) -> Result<CommandRun, DbError> {
        Ok(CommandRun {
            id: CommandRunId(self.id),
            stage: decode::read_name("stage", self.stage)?,
            kind: decode::read_name("kind of run", self.kind)?,
            commands: decode::read("commands", self.commands)?,
            sha: decode::text("commit", self.sha, Sha::new)?,
            state: decode::read("run", self.state_data)?,
            at: self.at,
        })
    }
}

/// Enters a run, pending.
///
/// # Errors
/// When the database is away.
pub async fn insert(
    executor: impl PgExecutor<'_>,
    run: NewCommandRun,
) -> Result<CommandRunId, DbError> {
    let id = sqlx::query_scalar!(
        "INSERT INTO command_runs (task_id, stage, kind, commands, sha, state, state_data, at)
         VALUES ($1, $2, $3, $4, $5, 'pending', $6, $7) RETURNING id",
        run.task.0,
        run.stage.name(),
        run.kind.name(),
        decode::write(&run.commands),
        run.sha.as_str(),
        decode::write(&RunState::Pending),
        run.now,
    );
    Ok(CommandRunId(id.fetch_one(executor).await?))
}

/// Writes how a run ended. Call it in the transaction that finishes its job.
///
/// # Errors
/// [`DbError::Stale`] when it has ended before.
pub async fn finish(
    executor: impl PgExecutor<'_>,
    id: CommandRunId,
    state: &RunState,
    now: Timestamp,
) -> Result<(), DbError> {
    let name = match state {
        RunState::Pending => "pending",
        RunState::Ended { .. } => "ended",
        RunState::Broken { .. } => "broken",
    };
    let result = sqlx::query!(
        "UPDATE command_runs SET state = $2, state_data = $3, ended_at = $4
         WHERE id = $1 AND ended_at IS NULL",
        id.0,
        name,
        decode::write(state),
        now,
    )
    .execute(executor)
    .await?;
    one_row(&result, "command run", id)
}

/// Loads a run and its task.
///
/// # Errors
/// [`DbError::Absent`] when there is none of that id.
pub async fn load(
    executor: impl PgExecutor<'_>,
    id: CommandRunId,
) -> Result<(TaskId, CommandRun), DbError> {
    let row = sqlx::query_as!(
        Row,
        "SELECT id, task_id, stage, kind, commands, sha, state_data, at
         FROM command_runs WHERE id = $1",
        id.0,
    )
    .fetch_optional(executor)
    .await?
    .ok_or_else(|| DbError::absent("command run", id))?;
    Ok((TaskId(row.task_id), row.into_model()?))
}

/// Lists the runs of a task, oldest first.
///
/// # Errors
/// When the database is away or a row cannot be read.
pub async fn list(executor: impl PgExecutor<'_>, task: TaskId) -> Result<Vec<CommandRun>, DbError> {
    let rows = sqlx::query_as!(
        Row,
        "SELECT id, task_id, stage, kind, commands, sha, state_data, at
         FROM command_runs WHERE task_id = $1 ORDER BY id",
        task.0,
    );
    rows.fetch_all(executor).await?.into_iter().map(Row::into_model).collect()
}

/// Lists the runs that have not ended.
///
/// # Errors
/// When the database is away.
pub async fn list_pending(executor: impl PgExecutor<'_>) -> Result<Vec<CommandRunId>, DbError> {
    let ids = sqlx::query_scalar!("SELECT id FROM command_runs WHERE ended_at IS NULL ORDER BY id");
    Ok(ids.fetch_all(executor).await?.into_iter().map(CommandRunId).collect())
}

/// Ends the set-ups of a stage that a Baton died over. Gives how many.
///
/// # Errors
/// When the database is away.
pub async fn end_lost_setups(
    executor: impl PgExecutor<'_>,
    task: TaskId,
    stage: StageKey,
    now: Timestamp,
) -> Result<u64, DbError> {
    let lost = RunState::Broken { reason: "Baton was ended under it".to_owned() };
    let result = sqlx::query!(
        "UPDATE command_runs SET state = 'broken', state_data = $3, ended_at = $4
         WHERE task_id = $1 AND stage = $2 AND kind = 'setup' AND ended_at IS NULL",
        task.0,
        stage.name(),
        decode::write(&lost),
        now,
    )
    .execute(executor)
    .await?;
    Ok(result.rows_affected())
}
