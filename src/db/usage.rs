//! `usage`: what model requests cost; its sums are what budgets are compared with.

use sqlx::PgExecutor;

use super::{DbError, decode, error::one_row};
use crate::model::{AgentId, Micros, RepositoryId, TaskId, Timestamp, TokenUsage};

/// Row id of one model request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct UsageId(pub i64);

/// Reserves what a model request may cost at most, before it is sent.
///
/// # Errors
/// [`DbError::Absent`] when there is no such agent.
pub async fn insert(
    executor: impl PgExecutor<'_>,
    agent: AgentId,
    model: &str,
    reserved: Micros,
    now: Timestamp,
) -> Result<UsageId, DbError> {
    let id = sqlx::query_scalar!(
        "INSERT INTO usage (agent_id, task_id, repository_id, model, reserved_micros, at)
         SELECT a.id, t.id, t.repository_id, $2, $3, $4
         FROM agents a JOIN tasks t ON t.id = a.task_id WHERE a.id = $1 RETURNING id",
        agent.0,
        model,
        reserved.0,
        now,
    )
    .fetch_optional(executor)
    .await?;
    id.map(UsageId).ok_or_else(|| DbError::absent("agent", agent))
}

/// Puts the real cost in the place of the reservation and adds it to the agent's.
///
/// # Errors
/// [`DbError::Stale`] when it was settled before.
pub async fn settle(
    executor: impl PgExecutor<'_>,
    id: UsageId,
    tokens: TokenUsage,
    cost: Micros,
    now: Timestamp,
) -> Result<(), DbError> {
    let TokenUsage { input, output, cache_read, cache_write } = tokens;
    let result = sqlx::query!(
        "WITH settled AS (
             UPDATE usage SET cost_micros = $2, tokens_input = $3, tokens_output = $4,
                 tokens_cache_read = $5, tokens_cache_write = $6, settled_at = $7
             WHERE id = $1 AND settled_at IS NULL RETURNING agent_id
         )
         UPDATE agents SET cost_micros = cost_micros + $2 FROM settled WHERE agents.id = agent_id",
        id.0,
        cost.0,
        decode::big(input),
        decode::big(output),
        decode::big(cache_read),
        decode::big(cache_write),
        now,
    )
    .execute(executor)
    .await?;
    one_row(&result, "usage", id.0)
}

/// Sums what a task has cost, reservations included.
///
/// # Errors
/// When the database is away.
pub async fn spent(executor: impl PgExecutor<'_>, task: TaskId) -> Result<Micros, DbError> {
    let sum = sqlx::query_scalar!(
        r#"SELECT coalesce(sum(coalesce(cost_micros, reserved_micros)), 0)::bigint AS "sum!"
           FROM usage WHERE task_id = $1"#,
        task.0,
    );
    Ok(Micros(sum.fetch_one(executor).await?))
}

/// Sums what a repository has cost since UTC midnight, reservations included.
///
/// # Errors
/// When the database is away.
pub async fn spent_today(
    executor: impl PgExecutor<'_>,
    repository: RepositoryId,
    now: Timestamp,
) -> Result<Micros, DbError> {
    let sum = sqlx::query_scalar!(
        r#"SELECT coalesce(sum(coalesce(cost_micros, reserved_micros)), 0)::bigint AS "sum!"
           FROM usage WHERE repository_id = $1 AND at >= $2"#,
        repository.0,
        midnight(now),
    );
    Ok(Micros(sum.fetch_one(executor).await?))
}

/// Sums what everything has cost since UTC midnight, reservations included.
///
/// # Errors
/// When the database is away.
pub async fn spent_today_in_all(
    executor: impl PgExecutor<'_>,
    now: Timestamp,
) -> Result<Micros, DbError> {
    let sum = sqlx::query_scalar!(
        r#"SELECT coalesce(sum(coalesce(cost_micros, reserved_micros)), 0)::bigint AS "sum!"
           FROM usage WHERE at >= $1"#,
        midnight(now),
    );
    Ok(Micros(sum.fetch_one(executor).await?))
}

/// Gives back what was reserved by requests whose agent ended before a moment: they were never answered.
///
/// # Errors
/// When the database is away.
pub async fn release_of_ended(
    executor: impl PgExecutor<'_>,
    before: Timestamp,
    now: Timestamp,
) -> Result<u64, DbError> {
    let result = sqlx::query!(
        "UPDATE usage SET cost_micros = 0, settled_at = $1 FROM agents a
         WHERE usage.settled_at IS NULL AND a.id = usage.agent_id AND a.ended_at < $2",
        now,
        before,
    )
    .execute(executor)
    .await?;
    Ok(result.rows_affected())
}

fn midnight(now: Timestamp) -> Timestamp {
    now.date_naive().and_time(chrono::NaiveTime::MIN).and_utc()
}
