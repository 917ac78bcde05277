//! What an operator looks at: tasks in a line each, figures, and where money went.

use serde::Serialize;
use sqlx::PgExecutor;

use super::DbError;
use crate::model::{AgentId, TaskId, Timestamp};

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

/// What was spent by one task, stage, model and day.
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
    let rows = sqlx::query_as!(
        CostLine,
        r#"SELECT (u.at AT TIME ZONE 'UTC')::date AS "day!", r.owner || '/' || r.name AS "repository!",
                  t.number, s.key AS stage, u.model, t.requested_by ->> 'login' AS person,
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
           GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 1 DESC, 2, 3, 4, 5, 6"#,
        since,
    );
    Ok(rows.fetch_all(executor).await?)
}

/// One figure with what it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figure {
    /// `tasks`, `agents` or `jobs`.
    pub name: String,
    /// The state or lane.
    pub label: String,
    /// How many.
    pub count: i64,
}

/// Counts tasks by state, open agents by state and waiting jobs by lane.
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
           SELECT 'jobs', lane, count(*) FROM jobs WHERE lease_token IS NULL GROUP BY lane"#
    );
    Ok(rows.fetch_all(executor).await?)
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
        r#"SELECT a.id, s.key || ' ' || a.attempt AS "label!" FROM agents a
           JOIN stages s ON s.id = a.stage_id WHERE a.task_id = $1 ORDER BY a.id"#,
        task.0,
    );
    let rows = rows.fetch_all(executor).await?;
    Ok(rows.into_iter().map(|row| (AgentId(row.id), row.label)).collect())
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
