//! Reading agents.

use sqlx::PgExecutor;

use super::super::{DbError, decode, nodes::NodeId};
use crate::model::{
    Agent, AgentId, Footprint, Micros, RepositoryId, SessionId, Sha, StageId, Tally, TaskId,
    Timestamp, Untrusted,
};

/// An agent with its place.
#[derive(Debug, Clone)]
pub struct AgentRow {
    /// The agent.
    pub agent: Agent,
    /// Whose work it is part of.
    pub task: TaskId,
    /// The stage it plays.
    pub stage_id: StageId,
    /// Where.
    pub repository: RepositoryId,
    /// The machine it runs on, once it has one.
    pub node: Option<NodeId>,
    /// When it was entered.
    pub created_at: Timestamp,
    /// When its runner last said that it is there.
    pub heartbeat_at: Option<Timestamp>,
    /// When it last printed something.
    pub last_output_at: Option<Timestamp>,
}

struct Row {
    id: i64,
    task_id: i64,
    stage_id: i64,
    repository_id: i64,
    key: String,
    role: Option<String>,
    subtask: Option<i32>,
    attempt: i32,
    provider: String,
    model: String,
    session_id: uuid::Uuid,
    resumes_id: Option<i64>,
    inputs: serde_json::Value,
    base: String,
    head: Option<String>,
    state_data: serde_json::Value,
    outcome: Option<serde_json::Value>,
    cost_micros: i64,
    cpu_ms: i64,
    memory_bytes: i64,
    memory_peak_bytes: i64,
    written_bytes: i64,
    program_calls: i32,
    failed_calls: i32,
    denied_calls: i32,
    model_retries: i32,
    told_tokens: i64,
    told_micros: i64,
    held_bytes: i64,
    waits_for: Option<String>,
    not_before: Option<Timestamp>,
    todo: serde_json::Value,
    last_line: Option<String>,
    wanted: Option<String>,
    limited: Option<serde_json::Value>,
    refused: serde_json::Value,
    node_id: Option<i64>,
    created_at: Timestamp,
    started_at: Option<Timestamp>,
    heartbeat_at: Option<Timestamp>,
    last_output_at: Option<Timestamp>,
    ended_at: Option<Timestamp>,
}

impl Row {
    fn into_row(self) -> Result<AgentRow, DbError> {
        let agent = Agent {
            id: AgentId(self.id),
            stage: decode::read_name("stage", self.key.clone())?,
            role: decode::role(self.key, self.role)?,
            subtask: self.subtask.map(|it| decode::number("subtask", it)).transpose()?,
            attempt: decode::number("attempt", self.attempt)?,
            provider: self.provider,
            model: self.model,
            session: SessionId(self.session_id),
            resumes: self.resumes_id.map(AgentId),
            inputs: decode::read("agent's inputs", self.inputs)?,
            base: decode::text("base", self.base, Sha::new)?,
            state: decode::read("agent state", self.state_data)?,
            outcome: self.outcome.map(|it| decode::read("outcome", it)).transpose()?,
            head: decode::optional_text("head", self.head, Sha::new)?,
            cost: Micros(self.cost_micros),
            footprint: Footprint {
                cpu_ms: self.cpu_ms.unsigned_abs(),
                memory: self.memory_bytes.unsigned_abs(),
                memory_peak: self.memory_peak_bytes.unsigned_abs(),
                written: self.written_bytes.unsigned_abs(),
                held: self.held_bytes.unsigned_abs(),
            },
            tally: Tally {
                calls: decode::number("calls", self.program_calls)?,
                failed: decode::number("failed calls", self.failed_calls)?,
                denied: decode::number("denied calls", self.denied_calls)?,
                retries: decode::number("retries", self.model_retries)?,
                tokens: self.told_tokens.unsigned_abs(),
                cost: Micros(self.told_micros),
            },
            waits_for: self
                .waits_for
                .map(|it| decode::read_name("what is lacking", it))
                .transpose()?,
            not_before: self.not_before,
            todo: decode::read("agent's list", self.todo)?,
            last_line: self.last_line.map(Untrusted),
            wanted: self.wanted.map(|it| decode::read_name("stop", it)).transpose()?,
            limited: self.limited.map(|it| decode::read("agent's limit", it)).transpose()?,
            refused: decode::read("what the gateway refused", self.refused)?,
            started_at: self.started_at,
            ended_at: self.ended_at,
        };
        Ok(AgentRow {
            agent,
            task: TaskId(self.task_id),
            stage_id: StageId(self.stage_id),
            repository: RepositoryId(self.repository_id),
            node: self.node_id.map(NodeId),
            created_at: self.created_at,
            heartbeat_at: self.heartbeat_at,
            last_output_at: self.last_output_at,
        })
    }
}

/// Which agents are asked for; what is none is not asked.
#[derive(Default)]
struct Which {
    id: Option<AgentId>,
    task: Option<TaskId>,
    node: Option<NodeId>,
    open: bool,
}

async fn select(executor: impl PgExecutor<'_>, which: Which) -> Result<Vec<AgentRow>, DbError> {
    let rows = sqlx::query_as!(
        Row,
        "SELECT a.id, a.task_id, a.stage_id, t.repository_id, s.key, a.role, a.subtask, a.attempt, a.provider, a.model,
             a.session_id, a.resumes_id, a.inputs, a.base, a.head, a.state_data, a.outcome,
             a.cost_micros, a.cpu_ms, a.memory_bytes, a.memory_peak_bytes, a.written_bytes, a.held_bytes,
             a.program_calls, a.failed_calls, a.denied_calls, a.model_retries, a.told_tokens, a.told_micros,
             a.waits_for, a.not_before, a.todo, a.last_line, a.wanted, a.limited, a.refused, a.node_id, a.created_at, a.started_at,
             a.heartbeat_at, a.last_output_at, a.ended_at
         FROM agents a JOIN stages s ON s.id = a.stage_id JOIN tasks t ON t.id = a.task_id
         WHERE ($1::bigint IS NULL OR a.id = $1) AND ($2::bigint IS NULL OR a.task_id = $2)
             AND ($3::bigint IS NULL OR a.node_id = $3) AND (NOT $4 OR a.ended_at IS NULL)
         ORDER BY a.id",
        which.id.map(|id| id.0),
        which.task.map(|id| id.0),
        which.node.map(|id| id.0),
        which.open,
    );
    rows.fetch_all(executor).await?.into_iter().map(Row::into_row).collect()
}

/// Loads an agent.
///
/// # Errors
/// [`DbError::Absent`] when there is none of that id.
pub async fn load(executor: impl PgExecutor<'_>, id: AgentId) -> Result<AgentRow, DbError> {
    let rows = select(executor, Which { id: Some(id), ..Which::default() }).await?;
    rows.into_iter().next().ok_or_else(|| DbError::absent("agent", id))
}

/// Lists the agents of a task, oldest first.
///
/// # Errors
/// When the database is away or a row cannot be read.
pub async fn list(executor: impl PgExecutor<'_>, task: TaskId) -> Result<Vec<AgentRow>, DbError> {
    select(executor, Which { task: Some(task), ..Which::default() }).await
}

/// Lists all agents that have not ended.
///
/// # Errors
/// When the database is away or a row cannot be read.
pub async fn list_open(executor: impl PgExecutor<'_>) -> Result<Vec<AgentRow>, DbError> {
    select(executor, Which { open: true, ..Which::default() }).await
}

/// Lists the agents of one machine that have not ended.
///
/// # Errors
/// When the database is away or a row cannot be read.
pub async fn list_open_of_node(
    executor: impl PgExecutor<'_>,
    node: NodeId,
) -> Result<Vec<AgentRow>, DbError> {
    select(executor, Which { node: Some(node), open: true, ..Which::default() }).await
}
