//! `agents`: attempts at stages, from queued to ended.

mod ending;
mod footprint;
mod progress;
mod row;
mod tools;

use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use super::{DbError, decode, error::one_row};
use crate::model::{AgentId, AgentState, Inputs, Part, SessionId, Sha, StageId, TaskId, Timestamp};

pub use ending::{Finished, discard_unpublished, finish, want, want_one, wanted};
pub use footprint::{list_measured, set_footprint, set_waits_for};
pub use progress::{
    Grant, by_token_hash, heartbeat, set_not_before, set_progress, set_refused, set_token_hash,
};
pub use row::{AgentRow, list, list_open, list_open_of_node, load};
pub use tools::{Caller, caller, count_tool_call, set_todo, set_tools};

/// An agent that is to be.
#[derive(Debug, Clone)]
pub struct NewAgent {
    /// Whose work it is part of.
    pub task: TaskId,
    /// The stage it plays; its row must be there.
    pub stage: StageId,
    /// What it plays of a divided plan; none where it plays its stage as a whole.
    pub part: Option<Part>,
    /// `claude` or `command`.
    pub provider: String,
    /// The model's name.
    pub model: String,
    /// The agent whose session it goes on with; none for a session of its own.
    pub resumes: Option<AgentId>,
    /// Why it is started.
    pub inputs: Inputs,
    /// The commit that it starts from.
    pub base: Sha,
    /// What session ids are derived with: [`super::server::salt`].
    pub salt: Uuid,
    /// Now.
    pub now: Timestamp,
}

/// Enters an agent, queued, as the next attempt at its stage.
///
/// # Errors
/// When the stage or the session has an agent already that was not asked to end (a unique
/// violation), when the agent to be resumed is absent, or the database is away.
pub async fn insert(connection: &mut PgConnection, agent: NewAgent) -> Result<AgentId, DbError> {
    let id =
        sqlx::query_scalar!(r#"SELECT nextval(pg_get_serial_sequence('agents', 'id')) AS "id!""#);
    let id = AgentId(id.fetch_one(&mut *connection).await?);
    let session = match agent.resumes {
        Some(earlier) => session_of(connection, earlier).await?,
        None => SessionId::of_agent(agent.salt, id),
    };
    sqlx::query!(
        "INSERT INTO agents (id, task_id, stage_id, attempt, provider, model, session_id, resumes_id,
             inputs, base, state, state_data, created_at, role, subtask)
         VALUES ($1, $2, $3,
             (SELECT coalesce(max(attempt), 0) + 1 FROM agents WHERE stage_id = $3),
             $4, $5, $6, $7, $8, $9, 'queued', $10, $11, $12, $13)",
        id.0,
        agent.task.0,
        agent.stage.0,
        agent.provider,
        agent.model,
        session.0,
        agent.resumes.map(|id| id.0),
        decode::write(&agent.inputs),
        agent.base.as_str(),
        decode::write(&AgentState::Queued),
        agent.now,
        agent.part.map(|part| decode::write_name(&part.role)),
        agent.part.map(|part| decode::small(part.subtask)),
    )
    .execute(connection)
    .await?;
    Ok(id)
}

async fn session_of(connection: &mut PgConnection, id: AgentId) -> Result<SessionId, DbError> {
    let session = sqlx::query_scalar!("SELECT session_id FROM agents WHERE id = $1", id.0)
        .fetch_optional(connection)
        .await?;
    session.map(SessionId).ok_or_else(|| DbError::absent("agent", id))
}

/// Moves an agent to its next state, short of the end; its start is noted when it runs.
///
/// # Errors
/// [`DbError::Stale`] when it is in another state than expected.
pub async fn set_state(
    executor: impl PgExecutor<'_>,
    id: AgentId,
    expected: &AgentState,
    next: &AgentState,
    now: Timestamp,
) -> Result<(), DbError> {
    let result = sqlx::query!(
        "UPDATE agents SET state = $3, state_data = $4, heartbeat_at = $5, waits_for = NULL,
             started_at = CASE WHEN $3 = 'running' THEN coalesce(started_at, $5) ELSE started_at END
         WHERE id = $1 AND state = $2",
        id.0,
        expected.name(),
        next.name(),
        decode::write(next),
        now,
    )
    .execute(executor)
    .await?;
    one_row(&result, "agent", id)
}
