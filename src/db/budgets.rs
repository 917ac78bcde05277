//! `budgets`: what may be spent, is spent and is held back, a row a scope and period.
//!
//! Every statement here locks the rows of one request in the same order (agent, task, repository,
//! server), so that requests over any number of replicas wait for one another and never in a circle.
//! The CHECK of the table holds whatever is written. Call within a transaction.

use sqlx::{PgConnection, PgExecutor};

use super::DbError;
use crate::model::{AgentId, Micros, RepositoryId, TaskId, Timestamp};

/// Who pays for one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Payers {
    /// The agent.
    pub agent: AgentId,
    /// Its task.
    pub task: TaskId,
    /// The task's repository.
    pub repository: RepositoryId,
    /// When the request was made: its UTC day is the one that pays.
    pub at: Timestamp,
}

impl Payers {
    /// Scopes and periods of the rows, in the order in which they are locked.
    pub(super) fn keys(&self) -> (Vec<String>, Vec<String>) {
        let day = self.at.date_naive().to_string();
        let scopes = vec![
            format!("agent:{}", self.agent),
            format!("task:{}", self.task),
            format!("repository:{}", self.repository),
            "server".to_owned(),
        ];
        (scopes, vec![String::new(), String::new(), day.clone(), day])
    }
}

/// Locks the four budgets of a request until the transaction ends, and gives what of each is used,
/// reservations included: agent, task, repository and day, server and day.
///
/// # Errors
/// When the database is away.
pub async fn lock(connection: &mut PgConnection, payers: &Payers) -> Result<[Micros; 4], DbError> {
    if let Some(used) = try_lock(connection, payers).await? {
        return Ok(used);
    }
    open(connection, payers).await?;
    let used = try_lock(connection, payers).await?;
    used.ok_or_else(|| DbError::absent("budgets of agent", payers.agent))
}

async fn try_lock(
    connection: &mut PgConnection,
    payers: &Payers,
) -> Result<Option<[Micros; 4]>, DbError> {
    let (scopes, periods) = payers.keys();
    // Rows are sorted first and locked one by one as they come out.
    let used = sqlx::query_scalar!(
        r#"SELECT b.spent_micros + b.reserved_micros + b.beyond_micros AS "used!"
           FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS k (scope, period, place)
           JOIN budgets b ON b.scope = k.scope AND b.period = k.period
           ORDER BY k.place FOR UPDATE OF b"#,
        &scopes,
        &periods,
    );
    let used = used.fetch_all(connection).await?;
    Ok(<[i64; 4]>::try_from(used).ok().map(|used| used.map(Micros)))
}

/// Opens the rows that are not there yet, with what was spent before there were any.
async fn open(connection: &mut PgConnection, payers: &Payers) -> Result<(), DbError> {
    let (scopes, periods) = payers.keys();
    // A reservation that is no longer open, or was made without these rows, counts as spent.
    sqlx::query!(
        "INSERT INTO budgets (scope, period, limit_micros, spent_micros, reserved_micros)
         SELECT k.scope, k.period, u.spent + u.reserved, u.spent, u.reserved
         FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS k (scope, period, place)
         CROSS JOIN LATERAL (
             SELECT coalesce(sum(coalesce(cost_micros, reserved_micros))
                        FILTER (WHERE settled_at IS NOT NULL OR NOT counted), 0)::bigint AS spent,
                    coalesce(sum(reserved_micros)
                        FILTER (WHERE settled_at IS NULL AND counted), 0)::bigint AS reserved
             FROM usage
             WHERE CASE k.place
                 WHEN 1 THEN agent_id = $3
                 WHEN 2 THEN task_id = $4
                 WHEN 3 THEN repository_id = $5 AND at >= $6
                 ELSE at >= $6
             END
         ) u
         ORDER BY k.place
         ON CONFLICT DO NOTHING",
        &scopes,
        &periods,
        payers.agent.0,
        payers.task.0,
        payers.repository.0,
        midnight(payers.at),
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Holds an amount back in all four budgets, each of which has a limit. They are locked already and
/// have room for it.
///
/// # Errors
/// When one has no room (the table's CHECK), or the database is away.
pub async fn reserve(
    connection: &mut PgConnection,
    payers: &Payers,
    limits: &[Micros; 4],
    amount: Micros,
) -> Result<(), DbError> {
    let (scopes, periods) = payers.keys();
    sqlx::query!(
        "UPDATE budgets b SET limit_micros = k.limit_micros, reserved_micros = reserved_micros + $4
         FROM unnest($1::text[], $2::text[], $3::bigint[]) AS k (scope, period, limit_micros)
         WHERE b.scope = k.scope AND b.period = k.period",
        &scopes,
        &periods,
        &limits.map(|limit| limit.0),
        amount.0,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Puts what a request cost in the place of what was held back for it. What is more than the limit
/// has room for is kept as `beyond`. A row that retention took away needs nothing any more.
///
/// # Errors
/// When the database is away.
pub async fn settle(
    connection: &mut PgConnection,
    payers: &Payers,
    reserved: Micros,
    cost: Micros,
) -> Result<(), DbError> {
    let (scopes, periods) = payers.keys();
    sqlx::query!(
        "WITH locked AS (
             SELECT b.scope, b.period,
                    least($4, b.limit_micros - b.spent_micros - b.reserved_micros + $3) AS within
             FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS k (scope, period, place)
             JOIN budgets b ON b.scope = k.scope AND b.period = k.period
             ORDER BY k.place FOR UPDATE OF b
         )
         UPDATE budgets b SET reserved_micros = reserved_micros - $3,
             spent_micros = spent_micros + l.within, beyond_micros = beyond_micros + $4 - l.within
         FROM locked l WHERE b.scope = l.scope AND b.period = l.period",
        &scopes,
        &periods,
        reserved.0,
        cost.0,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// One row, for whoever wants to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// What may be spent, as it was when something was last held back.
    pub limit: Micros,
    /// What is spent.
    pub spent: Micros,
    /// What is held back for requests on their way.
    pub reserved: Micros,
    /// What was charged beyond what had been held back and the limit had room for.
    pub beyond: Micros,
}

/// Finds the budget of a scope (`agent:7`, `task:3`, `repository:9`, `server`) and period (a UTC day,
/// or empty).
///
/// # Errors
/// When the database is away.
pub async fn find(
    executor: impl PgExecutor<'_>,
    scope: &str,
    period: &str,
) -> Result<Option<Budget>, DbError> {
    let row = sqlx::query!(
        "SELECT limit_micros, spent_micros, reserved_micros, beyond_micros
         FROM budgets WHERE scope = $1 AND period = $2",
        scope,
        period,
    );
    Ok(row.fetch_optional(executor).await?.map(|row| Budget {
        limit: Micros(row.limit_micros),
        spent: Micros(row.spent_micros),
        reserved: Micros(row.reserved_micros),
        beyond: Micros(row.beyond_micros),
    }))
}

/// Forgets the budgets of days before this one, and of agents and tasks that are over: sums over
/// `usage` open them again, should anybody ask.
///
/// # Errors
/// When the database is away.
pub async fn forget(executor: impl PgExecutor<'_>, day: Timestamp) -> Result<u64, DbError> {
    let result = sqlx::query!(
        "DELETE FROM budgets b WHERE b.reserved_micros = 0 AND (
             b.period <> '' AND b.period < $1
             OR EXISTS (SELECT FROM agents a WHERE a.ended_at < $2 AND b.scope = 'agent:' || a.id)
             OR EXISTS (SELECT FROM tasks t WHERE t.closed_at < $2 AND b.scope = 'task:' || t.id)
         )",
        day.date_naive().to_string(),
        midnight(day),
    )
    .execute(executor)
    .await?;
    Ok(result.rows_affected())
}

fn midnight(at: Timestamp) -> Timestamp {
    at.date_naive().and_time(chrono::NaiveTime::MIN).and_utc()
}
