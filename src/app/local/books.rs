//! Books in memory, for agents that end with the command that started them.

use std::{
    collections::HashMap,
    future::ready,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::{
    gateway::{AgentGrant, Agents, AgentsError, Answer, RequestUsage, Reservation, TokenHash},
    model::{AgentId, Micros, TaskId},
};

/// Who the agents are, and what they share.
pub(super) struct Books {
    budget: Micros,
    entries: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    agents: HashMap<TokenHash, (AgentId, String)>,
    /// What each request has cost or will about cost, by its number.
    costs: Vec<(AgentId, Micros)>,
}

impl Books {
    /// Empty books; all agents together may spend the budget.
    pub fn new(budget: Micros) -> Self {
        Self { budget, entries: Mutex::default() }
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        // Nothing between lock and unlock can panic half-way.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets an agent ask one model.
    pub fn admit(&self, token: TokenHash, agent: AgentId, model: &str) {
        self.entries().agents.insert(token, (agent, model.to_owned()));
    }

    /// Its token is worth nothing any more.
    pub fn dismiss(&self, token: TokenHash) {
        self.entries().agents.remove(&token);
    }

    /// What all have spent.
    pub fn spent(&self) -> Micros {
        self.entries().costs.iter().map(|(_, cost)| *cost).sum()
    }

    /// What one has spent.
    pub fn spent_by(&self, agent: AgentId) -> Micros {
        let entries = self.entries();
        entries.costs.iter().filter(|(who, _)| *who == agent).map(|(_, cost)| *cost).sum()
    }
}

impl Agents for Books {
    fn of_token(&self, hash: TokenHash) -> Answer<'_, Option<AgentGrant>> {
        let remaining = Micros(self.budget.0.saturating_sub(self.spent().0));
        let grant = self.entries().agents.get(&hash).map(|(agent, model)| AgentGrant {
            agent: *agent,
            task: TaskId(agent.0),
            repository: super::REPOSITORY,
            models: vec![model.clone()],
            ended: false,
            remaining,
        });
        Box::pin(ready(Ok(grant)))
    }

    fn reserve(&self, reservation: Reservation) -> Answer<'_, i64> {
        let mut entries = self.entries();
        entries.costs.push((reservation.agent, reservation.reserved));
        let number = i64::try_from(entries.costs.len() - 1).unwrap_or(i64::MAX);
        Box::pin(ready(Ok(number)))
    }

    fn settle(&self, reservation: i64, usage: RequestUsage) -> Answer<'_, ()> {
        let mut entries = self.entries();
        let entry = usize::try_from(reservation).ok().and_then(|n| entries.costs.get_mut(n));
        let settled = match entry {
            Some((_, cost)) => {
                *cost = usage.cost;
                Ok(())
            }
            None => Err(AgentsError(format!("there is no reservation {reservation}"))),
        };
        Box::pin(ready(settled))
    }
}
