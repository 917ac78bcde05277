//! What an operator looks at: tasks in a line each, figures, and where money went.

use std::collections::BTreeMap;

use serde::Serialize;
use sqlx::PgExecutor;

use super::{DbError, decode};
use crate::model::{AgentId, AgentState, Lack, Role, TaskId, Timestamp};

/// One task in a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TaskLine {
    /// Its id: what `baton stop` and `baton logs` take.
    pub id: i64,
    /// `owner/name`.
    pub repository: String,
    /// The issue or pull request.
    pub number: i64,
    /// Its title.
    pub title: String,
    /// `open`, `waiting`, `parked`, `done` or `cancelled`.
    pub state: String,
    /// What it waits for or why it is parked.
    pub detail: serde_json::Value,
    /// The stages at work.
    pub at_work: String,
    /// Spent so far, in micro-USD.
    pub spent_micros: i64,
    /// When it was opened.
    pub opened_at: Timestamp,
}

/// Lists tasks, newest first; with `ended` also those that are over.
///
/// # Errors
/// When the database is away.
pub async fn list_tasks(
    executor: impl PgExecutor<'_>,
    ended: bool,
    limit: i64,
) -> Result<Vec<TaskLine>, DbError> {
    let rows = sqlx::query_as!(
        TaskLine,
        r#"SELECT t.id, r.owner || '/' || r.name AS "repository!", t.number,
                  coalesce(t.input ->> 'title', '') AS "title!", t.state, t.state_data AS detail,
                  coalesce((SELECT string_agg(s.key, ', ' ORDER BY s.id) FROM stages s WHERE s.task_id = t.id
                            AND s.state IN ('running', 'commands', 'publishing')), '') AS "at_work!",
                  coalesce((SELECT sum(coalesce(u.cost_micros, u.expected_micros))::bigint FROM usage u
                            WHERE u.task_id = t.id), 0) AS "spent_micros!",
                  t.opened_at
           FROM tasks t JOIN repositories r ON r.id = t.repository_id
           WHERE $1 OR t.closed_at IS NULL
           ORDER BY t.id DESC LIMIT $2"#,
        ended,
        limit,
    );
    Ok(rows.fetch_all(executor).await?)
}

/// What was spent by one task, stage, role, model and day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CostLine {
    /// The day, UTC.
    pub day: chrono::NaiveDate,
    /// `owner/name`.
    pub repository: String,
    /// The issue or pull request.
    pub number: i64,
    /// The stage.
    pub stage: String,
    /// Who played it.
    pub role: Role,
    /// The model.
    pub model: String,
    /// Who asked for the task; none where that was no account.
    pub person: Option<String>,
    /// Requests to the model's API.
    pub requests: i64,
    /// Tokens that went in, from the cache or not.
    pub tokens_in: i64,
    /// Tokens that came out.
    pub tokens_out: i64,
    /// Spent, in micro-USD; what is not settled yet counts with what is expected.
    pub cost_micros: i64,
}

/// Lists what was spent since a moment, newest day first.
///
/// # Errors
/// When the database is away.
pub async fn list_costs(
    executor: impl PgExecutor<'_>,
    since: Timestamp,
) -> Result<Vec<CostLine>, DbError> {
    let rows = sqlx::query!(
        r#"SELECT (u.at AT TIME ZONE 'UTC')::date AS "day!", r.owner || '/' || r.name AS "repository!",
                  t.number, s.key AS stage, a.role, u.model, t.requested_by ->> 'login' AS person,
                  count(*) AS "requests!",
                  sum(u.tokens_input + u.tokens_cache_read + u.tokens_cache_write)::bigint AS "tokens_in!",
                  sum(u.tokens_output)::bigint AS "tokens_out!",
                  sum(coalesce(u.cost_micros, u.expected_micros))::bigint AS "cost_micros!"
           FROM usage u
           JOIN tasks t ON t.id = u.task_id
           JOIN repositories r ON r.id = t.repository_id
           JOIN agents a ON a.id = u.agent_id
           JOIN stages s ON s.id = a.stage_id
           WHERE u.at >= $1
           GROUP BY 1, 2, 3, 4, 5, 6, 7 ORDER BY 1 DESC, 2, 3, 4, 5, 6, 7"#,
        since,
    );
    let lines = rows.fetch_all(executor).await?.into_iter().map(|row| {
        Ok(CostLine {
            day: row.day,
            repository: row.repository,
            number: row.number,
            role: decode::role(row.stage.clone(), row.role)?,
            stage: row.stage,
            model: row.model,
            person: row.person,
            requests: row.requests,
            tokens_in: row.tokens_in,
            tokens_out: row.tokens_out,
            cost_micros: row.cost_micros,
        })
    });
    lines.collect()
}

/// One figure with what it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figure {
    /// `tasks`, `agents`, `agents_waiting`, `agents_taken` or `jobs`.
    pub name: String,
    /// The state or lane.
    pub label: String,
    /// How many.
    pub count: i64,
}

/// Counts tasks by state, open agents by state and by what they wait for, waiting jobs by lane; and what agents
/// take: memory and disk held those that are open, time and bytes written all that are kept.
///
/// # Errors
/// When the database is away.
pub async fn figures(executor: impl PgExecutor<'_>) -> Result<Vec<Figure>, DbError> {
    let rows = sqlx::query_as!(
        Figure,
        r#"SELECT 'tasks' AS "name!", state AS "label!", count(*) AS "count!"
           FROM tasks WHERE closed_at IS NULL GROUP BY state
           UNION ALL
           SELECT 'agents', state, count(*) FROM agents WHERE ended_at IS NULL GROUP BY state
           UNION ALL
           SELECT 'agents_waiting', waits_for, count(*) FROM agents
           WHERE waits_for IS NOT NULL GROUP BY waits_for
           UNION ALL
           SELECT 'agents_taken', taken.label, taken.amount FROM
               (SELECT coalesce(sum(memory_bytes) FILTER (WHERE ended_at IS NULL), 0)::bigint AS memory,
                       coalesce(sum(cpu_ms), 0)::bigint AS cpu,
                       coalesce(sum(written_bytes), 0)::bigint AS written,
                       coalesce(sum(held_bytes) FILTER (WHERE ended_at IS NULL), 0)::bigint AS held
                FROM agents) AS a,
               LATERAL (VALUES ('memory_bytes', a.memory), ('processor_ms', a.cpu),
                   ('written_bytes', a.written), ('held_bytes', a.held)) AS taken (label, amount)
           UNION ALL
           SELECT 'jobs', lane, count(*) FROM jobs WHERE lease_token IS NULL GROUP BY lane"#
    );
    Ok(rows.fetch_all(executor).await?)
}

/// Counts the agents that have not ended, by the role that they play.
///
/// # Errors
/// When the database is away or a row cannot be read.
pub async fn count_by_role(executor: impl PgExecutor<'_>) -> Result<BTreeMap<Role, i64>, DbError> {
    let rows = sqlx::query!(
        r#"SELECT s.key AS stage, a.role, count(*) AS "count!" FROM agents a
           JOIN stages s ON s.id = a.stage_id WHERE a.ended_at IS NULL GROUP BY 1, 2"#
    );
    let mut counted = BTreeMap::new();
    for row in rows.fetch_all(executor).await? {
        *counted.entry(decode::role(row.stage, row.role)?).or_default() += row.count;
    }
    Ok(counted)
}

/// Lists the agents of a task, oldest first.
///
/// # Errors
/// When the database is away.
pub async fn list_agents(
    executor: impl PgExecutor<'_>,
    task: TaskId,
) -> Result<Vec<(AgentId, String)>, DbError> {
    let rows = sqlx::query!(
        r#"SELECT a.id, s.key || ' ' || a.attempt || coalesce(' (' || replace(a.role, '_', '-') || ')', '') AS "label!"
           FROM agents a
           JOIN stages s ON s.id = a.stage_id WHERE a.task_id = $1 ORDER BY a.id"#,
        task.0,
    );
    let rows = rows.fetch_all(executor).await?;
    Ok(rows.into_iter().map(|row| (AgentId(row.id), row.label)).collect())
}

/// Whether a task has an agent that has not ended, or goes on by itself.
///
/// # Errors
/// When the database is away.
pub async fn is_at_work(executor: impl PgExecutor<'_>, task: TaskId) -> Result<bool, DbError> {
    let open = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM agents WHERE task_id = $1 AND ended_at IS NULL)
               OR EXISTS (SELECT FROM tasks WHERE id = $1 AND state = 'open') AS "open!""#,
        task.0,
    );
    Ok(open.fetch_one(executor).await?)
}

/// One agent in a line, with what it took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AgentLine {
    /// Its id.
    pub id: i64,
    /// `owner/name`.
    pub repository: String,
    /// The issue or pull request.
    pub number: i64,
    /// The stage.
    pub stage: String,
    /// Who it plays.
    pub role: Role,
    /// Which subtask of the plan, from 1; none where it plays its stage as a whole.
    pub subtask: Option<i32>,
    /// Which attempt at it.
    pub attempt: i32,
    /// `claude` or `command`.
    pub provider: String,
    /// Where it stands; how it ended is told apart.
    pub state: AgentState,
    /// What a queued one waits for.
    pub waits_for: Option<Lack>,
    /// Milliseconds since it started, or until its end.
    pub wall_ms: i64,
    /// Milliseconds on a processor.
    pub cpu_ms: i64,
    /// Bytes of memory now.
    pub memory_bytes: i64,
    /// Bytes of memory at its most.
    pub memory_peak_bytes: i64,
    /// Bytes written to disks.
    pub written_bytes: i64,
    /// Bytes that its workspace held on disk, at its end or when it was last weighed.
    pub held_bytes: i64,
    /// Tokens of all kinds.
    pub tokens: i64,
    /// Spent, in micro-USD; what is not settled yet counts as reserved.
    pub cost_micros: i64,
    /// Tools called, Baton's own among them.
    pub calls: i64,
    /// Calls that came to nothing, those that were denied among them.
    pub failed: i32,
    /// Calls that were not allowed.
    pub denied: i32,
    /// Requests to the model that failed and were repeated.
    pub retries: i32,
    /// Tokens by the program's own count.
    pub told_tokens: i64,
    /// What its session has cost so far by the program's own count, in micro-USD.
    pub told_micros: i64,
}

/// Lists agents, newest first; with `ended` also those that have ended.
///
/// # Errors
/// When the database is away or a row cannot be read.
pub async fn list_agent_lines(
    executor: impl PgExecutor<'_>,
    ended: bool,
    now: Timestamp,
    limit: i64,
) -> Result<Vec<AgentLine>, DbError> {
    let rows = sqlx::query!(
        r#"SELECT a.id, r.owner || '/' || r.name AS "repository!", t.number, s.key AS stage, a.role, a.subtask, a.attempt,
               a.provider, a.state_data, a.waits_for,
               coalesce((extract(epoch FROM coalesce(a.ended_at, $2) - a.started_at) * 1000)::bigint, 0)
                   AS "wall_ms!",
               a.cpu_ms, a.memory_bytes, a.memory_peak_bytes, a.written_bytes, a.held_bytes,
               coalesce(u.tokens, 0) AS "tokens!", coalesce(u.cost, 0) AS "cost!",
               greatest(a.program_calls, a.tool_calls)::bigint AS "calls!", a.failed_calls,
               a.denied_calls, a.model_retries, a.told_tokens, a.told_micros
           FROM agents a
           JOIN stages s ON s.id = a.stage_id
           JOIN tasks t ON t.id = a.task_id
           JOIN repositories r ON r.id = t.repository_id
           LEFT JOIN LATERAL (
               SELECT sum(tokens_input + tokens_output + tokens_cache_read + tokens_cache_write)::bigint
                          AS tokens,
                      sum(coalesce(cost_micros, reserved_micros))::bigint AS cost
               FROM usage WHERE agent_id = a.id) u ON true
           WHERE $1 OR a.ended_at IS NULL
           ORDER BY a.id DESC LIMIT $3"#,
        ended,
        now,
        limit,
    );
    let rows = rows.fetch_all(executor).await?.into_iter();
    let lines = rows.map(|row| {
        Ok(AgentLine {
            id: row.id,
            repository: row.repository,
            number: row.number,
            role: decode::role(row.stage.clone(), row.role)?,
            subtask: row.subtask,
            stage: row.stage,
            attempt: row.attempt,
            provider: row.provider,
            state: decode::read("agent state", row.state_data)?,
            waits_for: row
                .waits_for
                .map(|it| decode::read_name("what is lacking", it))
                .transpose()?,
            wall_ms: row.wall_ms,
            cpu_ms: row.cpu_ms,
            memory_bytes: row.memory_bytes,
            memory_peak_bytes: row.memory_peak_bytes,
            written_bytes: row.written_bytes,
            held_bytes: row.held_bytes,
            tokens: row.tokens,
            cost_micros: row.cost,
            calls: row.calls,
            failed: row.failed_calls,
            denied: row.denied_calls,
            retries: row.model_retries,
            told_tokens: row.told_tokens,
            told_micros: row.told_micros,
        })
    });
    lines.collect()
}

/// Counts queued agents by what they wait for.
///
/// # Errors
/// When the database is away.
pub async fn count_waiting(executor: impl PgExecutor<'_>) -> Result<Vec<(Lack, i64)>, DbError> {
    let rows = sqlx::query!(
        r#"SELECT waits_for AS "waits_for!", count(*) AS "count!" FROM agents
           WHERE waits_for IS NOT NULL GROUP BY 1 ORDER BY 1"#
    );
    let rows = rows.fetch_all(executor).await?.into_iter();
    rows.map(|row| Ok((decode::read_name("what is lacking", row.waits_for)?, row.count))).collect()
}

/// Lists open tasks, for stopping them all.
///
/// # Errors
/// When the database is away.
pub async fn list_stoppable(executor: impl PgExecutor<'_>) -> Result<Vec<TaskId>, DbError> {
    let ids = sqlx::query_scalar!(
        "SELECT id FROM tasks WHERE closed_at IS NULL AND state <> 'parked' ORDER BY id"
    );
    Ok(ids.fetch_all(executor).await?.into_iter().map(TaskId).collect())
}
