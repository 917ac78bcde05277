//! `usage`: what model requests cost. What may be spent is in [`super::budgets`].

use sqlx::{PgConnection, PgExecutor};

use super::{
    DbError,
    budgets::{self, Payers},
    decode,
};
use crate::model::{AgentId, Micros, RepositoryId, TaskId, Timestamp, TokenUsage};

/// Row id of one model request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct UsageId(pub i64);

/// A model request that is about to be sent.
#[derive(Debug, Clone)]
pub struct NewUsage {
    /// Whose.
    pub agent: AgentId,
    /// The model that is asked.
    pub model: String,
    /// What it costs at most: held back in the budgets.
    pub reserved: Micros,
    /// What it will about cost: shown until its answer tells, and booked if none ever does.
    pub expected: Micros,
    /// Now.
    pub now: Timestamp,
}

/// Enters a request and counts it; nothing where its agent has ended or has made as many as it may.
///
/// Call it in the transaction that holds the money back, after the budgets are locked.
///
/// # Errors
/// When the database is away.
pub async fn insert(
    executor: impl PgExecutor<'_>,
    new: &NewUsage,
    most_requests: u32,
) -> Result<Option<UsageId>, DbError> {
    let id = sqlx::query_scalar!(
        "WITH agent AS (
             UPDATE agents SET requests = requests + 1
             WHERE id = $1 AND requests < $6 AND ended_at IS NULL RETURNING id, task_id
         )
         INSERT INTO usage (agent_id, task_id, repository_id, model, reserved_micros,
             expected_micros, counted, at)
         SELECT a.id, t.id, t.repository_id, $2, $3, $4, true, $5
         FROM agent a JOIN tasks t ON t.id = a.task_id RETURNING id",
        new.agent.0,
        new.model,
        new.reserved.0,
        new.expected.0,
        new.now,
        decode::small(most_requests),
    );
    Ok(id.fetch_optional(executor).await?.map(UsageId))
}

/// Holds the money back and enters the request in one statement, where all four budgets have room for
/// the whole of it, as they nearly always have; nothing where one has not, is not open yet, or the agent
/// may make no more requests.
///
/// # Errors
/// When the database is away.
pub async fn insert_whole(
    executor: impl PgExecutor<'_>,
    payers: &Payers,
    limits: &[Micros; 4],
    new: &NewUsage,
    most_requests: u32,
) -> Result<Option<UsageId>, DbError> {
    let (scopes, periods) = payers.keys();
    // Budgets are locked in their order, then the agent's row, as everywhere.
    let id = sqlx::query_scalar!(
        "WITH locked AS (
             SELECT b.scope, b.period, k.most,
                    b.spent_micros + b.reserved_micros + b.beyond_micros + $4 <= k.most AS fits
             FROM unnest($1::text[], $2::text[], $3::bigint[])
                 WITH ORDINALITY AS k (scope, period, most, place)
             JOIN budgets b ON b.scope = k.scope AND b.period = k.period
             ORDER BY k.place FOR UPDATE OF b
         ), agent AS (
             UPDATE agents SET requests = requests + 1
             WHERE id = $5 AND requests < $6 AND ended_at IS NULL
                 AND (SELECT count(*) = 4 AND bool_and(fits) FROM locked)
             RETURNING id, task_id
         ), held AS (
             UPDATE budgets b SET limit_micros = l.most, reserved_micros = reserved_micros + $4
             FROM locked l
             WHERE b.scope = l.scope AND b.period = l.period AND EXISTS (SELECT FROM agent)
         )
         INSERT INTO usage (agent_id, task_id, repository_id, model, reserved_micros,
             expected_micros, counted, at)
         SELECT a.id, t.id, t.repository_id, $7, $4, $8, true, $9
         FROM agent a JOIN tasks t ON t.id = a.task_id RETURNING id",
        &scopes,
        &periods,
        &limits.map(|limit| limit.0),
        new.reserved.0,
        new.agent.0,
        decode::small(most_requests),
        new.model,
        new.expected.0,
        new.now,
    );
    Ok(id.fetch_optional(executor).await?.map(UsageId))
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// The API told, or what passed by tells well enough.
    Used(TokenUsage, Micros),
    /// Nobody saw how its answer ended: it counts with what was expected.
    Unseen,
}

/// Puts the real cost in the place of the reservation, in the budgets and in the agent's sum. Call it
/// within a transaction.
///
/// # Errors
/// [`DbError::Stale`] when it was settled before.
pub async fn settle(
    connection: &mut PgConnection,
    id: UsageId,
    settled: Settled,
    now: Timestamp,
) -> Result<(), DbError> {
    let (tokens, cost) = match settled {
        Settled::Used(tokens, cost) => (tokens, Some(cost.0)),
        Settled::Unseen => (TokenUsage::default(), None),
    };
    let TokenUsage { input, output, cache_read, cache_write } = tokens;
    let row = sqlx::query!(
        r#"UPDATE usage SET cost_micros = coalesce($2, expected_micros), tokens_input = $3,
               tokens_output = $4, tokens_cache_read = $5, tokens_cache_write = $6, settled_at = $7
           WHERE id = $1 AND settled_at IS NULL
           RETURNING agent_id, task_id, repository_id, at, counted, reserved_micros,
               cost_micros AS "cost_micros!""#,
        id.0,
        cost,
        decode::big(input),
        decode::big(output),
        decode::big(cache_read),
        decode::big(cache_write),
        now,
    )
    .fetch_optional(&mut *connection)
    .await?
    .ok_or_else(|| DbError::Stale { what: "usage", id: id.0.to_string() })?;
    if row.counted {
        let payers = Payers {
            agent: AgentId(row.agent_id),
            task: TaskId(row.task_id),
            repository: RepositoryId(row.repository_id),
            at: row.at,
        };
        let (reserved, cost) = (Micros(row.reserved_micros), Micros(row.cost_micros));
        budgets::settle(connection, &payers, reserved, cost).await?;
    }
    // Last, as reserving does: whoever holds an agent's row waits for no budget.
    sqlx::query!(
        "UPDATE agents SET cost_micros = cost_micros + $2 WHERE id = $1",
        row.agent_id,
        row.cost_micros,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Sums what a task has cost; what is on its way counts with what is expected.
///
/// # Errors
/// When the database is away.
pub async fn spent(executor: impl PgExecutor<'_>, task: TaskId) -> Result<Micros, DbError> {
    let sum = sqlx::query_scalar!(
        r#"SELECT coalesce(sum(coalesce(cost_micros, expected_micros)), 0)::bigint AS "sum!"
           FROM usage WHERE task_id = $1"#,
        task.0,
    );
    Ok(Micros(sum.fetch_one(executor).await?))
}

/// Sums what a repository has cost since UTC midnight; what is on its
/// way counts with what is expected.
///
/// # Errors
/// When the database is away.
pub async fn spent_today(
    executor: impl PgExecutor<'_>,
    repository: RepositoryId,
    now: Timestamp,
) -> Result<Micros, DbError> {
    let sum = sqlx::query_scalar!(
        r#"SELECT coalesce(sum(coalesce(cost_micros, expected_micros)), 0)::bigint AS "sum!"
           FROM usage WHERE repository_id = $1 AND at >= $2"#,
        repository.0,
        midnight(now),
    );
    Ok(Micros(sum.fetch_one(executor).await?))
}

/// Sums what everything has cost since UTC midnight; what is on its
/// way counts with what is expected.
///
/// # Errors
/// When the database is away.
pub async fn spent_today_in_all(
    executor: impl PgExecutor<'_>,
    now: Timestamp,
) -> Result<Micros, DbError> {
    let sum = sqlx::query_scalar!(
        r#"SELECT coalesce(sum(coalesce(cost_micros, expected_micros)), 0)::bigint AS "sum!"
           FROM usage WHERE at >= $1"#,
        midnight(now),
    );
    Ok(Micros(sum.fetch_one(executor).await?))
}

/// Lists requests that were never settled although their agent ended before a moment: whoever carried
/// them is gone.
///
/// # Errors
/// When the database is away.
pub async fn list_unseen(
    executor: impl PgExecutor<'_>,
    before: Timestamp,
) -> Result<Vec<UsageId>, DbError> {
    let ids = sqlx::query_scalar!(
        "SELECT u.id FROM usage u JOIN agents a ON a.id = u.agent_id
         WHERE u.settled_at IS NULL AND a.ended_at < $1 ORDER BY u.id",
        before,
    );
    Ok(ids.fetch_all(executor).await?.into_iter().map(UsageId).collect())
}

/// Lists the requests of one agent that were made before a moment, if one is named, and are not settled.
///
/// # Errors
/// When the database is away.
pub async fn list_open_of(
    executor: impl PgExecutor<'_>,
    agent: AgentId,
    before: Option<Timestamp>,
) -> Result<Vec<UsageId>, DbError> {
    let ids = sqlx::query_scalar!(
        "SELECT id FROM usage WHERE settled_at IS NULL AND agent_id = $1
             AND ($2::timestamptz IS NULL OR at < $2) ORDER BY id",
        agent.0,
        before,
    );
    Ok(ids.fetch_all(executor).await?.into_iter().map(UsageId).collect())
}

fn midnight(now: Timestamp) -> Timestamp {
    now.date_naive().and_time(chrono::NaiveTime::MIN).and_utc()
}
