//! The books in Postgres.

use std::time::Duration;

use sqlx::PgPool;
use tokio::time::{Instant, sleep};

use crate::db::{
    self, DbError,
    budgets::{self, Payers},
    provider_keys::{self, Cooldown},
    usage::{self, NewUsage, Settled, UsageId},
};
use crate::model::{Limited, Limits, Micros, Timestamp};

use super::agents::{
    AgentGrant, Agents, AgentsError, Answer, RequestUsage, Reservation, Reserved, TokenHash,
};
use super::bill::Allowed;

/// How long a database may be away before an agent's request is refused for it.
const AWAY: Duration = Duration::from_secs(30);
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(500);

/// Agents, their budgets and their usage, from the database.
#[derive(Clone)]
pub struct DatabaseAgents {
    pool: PgPool,
    limits: Limits,
}

impl DatabaseAgents {
    /// `limits` are the server's: no repository goes beyond them.
    #[must_use]
    pub fn new(pool: PgPool, limits: Limits) -> Self {
        Self { pool, limits }
    }

    async fn find(&self, hash: TokenHash) -> Result<Option<AgentGrant>, DbError> {
        let found = db::agents::by_token_hash(&self.pool, &hash).await?;
        Ok(found.map(|found| granted(&self.limits, found)))
    }

    /// The whole in one statement, as each request waits for it; where that does not do, one
    /// transaction: lock the budgets, see what fits, hold it back, enter the request.
    async fn hold(&self, reservation: &Reservation) -> Result<Reserved, DbError> {
        let AgentGrant { agent, task, repository, budgets: limits, most_requests, .. } =
            reservation.grant;
        let payers = Payers { agent, task, repository, at: reservation.at };
        let whole = reservation.bill.wanted();
        let new = entry(reservation, whole);
        let held = usage::insert_whole(&self.pool, &payers, &limits, &new, most_requests).await?;
        if let Some(UsageId(number)) = held {
            return Ok(Reserved::Held { number, allowed: whole });
        }
        let mut tx = self.pool.begin().await?;
        let used = budgets::lock(&mut tx, &payers).await?;
        let allowed = match reservation.fitting(&used) {
            Ok(allowed) => allowed,
            Err(limited) => return Ok(Reserved::Refused(limited)),
        };
        let new = entry(reservation, allowed);
        budgets::reserve(&mut tx, &payers, &limits, new.reserved).await?;
        let Some(UsageId(number)) = usage::insert(&mut *tx, &new, most_requests).await? else {
            return Ok(Reserved::Refused(Limited::Requests { most: most_requests }));
        };
        tx.commit().await?;
        Ok(Reserved::Held { number, allowed })
    }

    async fn book(&self, id: UsageId, usage: &RequestUsage) -> Result<(), DbError> {
        let mut tx = self.pool.begin().await?;
        let settled = Settled::Used(usage.tokens, usage.cost);
        usage::settle(&mut tx, id, settled, usage.at).await?;
        Ok(tx.commit().await?)
    }
}

/// What is entered for a request whose answer may have so much.
fn entry(reservation: &Reservation, allowed: Allowed) -> NewUsage {
    let Reservation { grant, model, bill, at } = reservation;
    let reserved = bill.at_most(allowed);
    let expected = bill.expected().min(reserved);
    NewUsage { agent: grant.agent, model: model.clone(), reserved, expected, now: *at }
}

/// Joins what rows say with what the server allows.
fn granted(limits: &Limits, found: db::agents::Grant) -> AgentGrant {
    let db::agents::Grant {
        agent, task, repository, role, model, budget, policy, outsiders, ..
    } = found;
    let role_policy = policy.roles.get(&role).cloned().unwrap_or_default();
    let of_task = budget.min(limits.task);
    let of_agent =
        [role_policy.budget, limits.agent].into_iter().flatten().fold(of_task, Micros::min);
    let most_requests = role_policy.requests_within(limits.requests);
    let web = role_policy.may_use_web(outsiders);
    let mut models = role_policy.models;
    models.push(model);
    if let Some(allowed) = limits.models_of(role) {
        models.retain(|model| allowed.contains(model));
    }
    AgentGrant {
        agent,
        task,
        repository,
        models,
        ended: false,
        budgets: [of_agent, of_task, limits.repository_day, limits.server_day],
        most_requests,
        web,
    }
}

impl Agents for DatabaseAgents {
    fn of_token(&self, hash: TokenHash) -> Answer<'_, Option<AgentGrant>> {
        Box::pin(patiently(move || self.find(hash)))
    }

    fn reserve(&self, reservation: Reservation) -> Answer<'_, Reserved> {
        // One that was held although the answer was lost is booked after the agent's end.
        Box::pin(async move { patiently(|| self.hold(&reservation)).await })
    }

    fn settle(&self, reservation: i64, usage: RequestUsage) -> Answer<'_, ()> {
        Box::pin(async move { patiently(|| self.book(UsageId(reservation), &usage)).await })
    }

    fn rest(
        &self,
        provider: &'static str,
        name: String,
        until: Timestamp,
        reason: String,
    ) -> Answer<'_, ()> {
        Box::pin(async move {
            let cooldown = Cooldown { name, until, reason };
            patiently(|| provider_keys::rest(&self.pool, provider, &cooldown)).await
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
