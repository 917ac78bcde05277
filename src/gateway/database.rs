//! The books in Postgres.

use std::time::Duration;

use sqlx::PgPool;
use tokio::time::{Instant, sleep};

use crate::clock::Clock;
use crate::db::{self, DbError};
use crate::model::{Limits, Micros};

use super::agents::{
    AgentGrant, Agents, AgentsError, Answer, RequestUsage, Reservation, TokenHash,
};

/// How long a database may be away before an agent's request is refused for it.
const AWAY: Duration = Duration::from_secs(30);
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(500);

/// Agents, their budgets and their usage, from the database.
#[derive(Clone)]
pub struct DatabaseAgents {
    pool: PgPool,
    limits: Limits,
    clock: Clock,
}

impl DatabaseAgents {
    /// `limits` are the server's: no task's own budget goes beyond them.
    #[must_use]
    pub fn new(pool: PgPool, limits: Limits, clock: Clock) -> Self {
        Self { pool, limits, clock }
    }

    async fn find(&self, hash: TokenHash) -> Result<Option<AgentGrant>, DbError> {
        let Some(agent) = db::agents::by_token_hash(&self.pool, &hash).await? else {
            return Ok(None);
        };
        let row = db::agents::load(&self.pool, agent).await?;
        let task = db::tasks::load(&self.pool, row.task).await?.task;
        let now = self.clock.now();
        let of_repository = db::usage::spent_today(&self.pool, row.repository, now).await?;
        let of_server = db::usage::spent_today_in_all(&self.pool, now).await?;
        let left = [
            (task.budget.min(self.limits.task), task.spent),
            (self.limits.repository_day, of_repository),
            (self.limits.server_day, of_server),
        ];
        let left = left.map(|(limit, spent)| Micros(limit.0.saturating_sub(spent.0)));
        Ok(Some(AgentGrant {
            agent,
            task: row.task,
            repository: row.repository,
            models: vec![row.agent.model],
            ended: row.agent.ended_at.is_some(),
            remaining: left.into_iter().min().unwrap_or(Micros::ZERO),
        }))
    }
}

impl Agents for DatabaseAgents {
    fn of_token(&self, hash: TokenHash) -> Answer<'_, Option<AgentGrant>> {
        Box::pin(patiently(move || self.find(hash)))
    }

    fn reserve(&self, reservation: Reservation) -> Answer<'_, i64> {
        Box::pin(async move {
            let Reservation { agent, model, reserved, at, .. } = reservation;
            // One that was inserted although the answer was lost is given back after the agent's end.
            let insert = || db::usage::insert(&self.pool, agent, &model, reserved, at);
            Ok(patiently(insert).await?.0)
        })
    }

    fn settle(&self, reservation: i64, usage: RequestUsage) -> Answer<'_, ()> {
        Box::pin(async move {
            let RequestUsage { tokens, cost, at, .. } = usage;
            let id = db::usage::UsageId(reservation);
            patiently(|| db::usage::settle(&self.pool, id, tokens, cost, at)).await
        })
    }
}

/// Asks again for a while where the database is away: a restart of it must not cost an agent's work, and
/// not every agent's program asks again by itself.
async fn patiently<T, F>(ask: impl Fn() -> F) -> Result<T, AgentsError>
where
    F: Future<Output = Result<T, DbError>>,
{
    let begun = Instant::now();
    loop {
        match ask().await {
            Err(DbError::Database(_)) if begun.elapsed() < AWAY => sleep(PAUSE).await,
            asked => return asked.map_err(out_of_reach),
        }
    }
}

fn out_of_reach(error: DbError) -> AgentsError {
    AgentsError(format!("{:#}", anyhow::Error::from(error)))
}
