//! Books in memory, for agents that end with the command that started them.

use std::{
    collections::HashMap,
    future::ready,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::{
    gateway::{
        AgentGrant, Agents, AgentsError, Answer, RequestUsage, Reservation, Reserved, TokenHash,
    },
    model::{AgentId, Limited, Limits, Micros, TaskId, Timestamp},
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
        let grant = self.entries().agents.get(&hash).map(|(agent, model)| AgentGrant {
            agent: *agent,
            task: TaskId(agent.0),
            repository: super::REPOSITORY,
            models: vec![model.clone()],
            ended: false,
            budgets: [self.budget; 4],
            most_requests: Limits::default().requests,
            web: false,
        });
        Box::pin(ready(Ok(grant)))
    }

    fn reserve(&self, reservation: Reservation) -> Answer<'_, Reserved> {
        let mut entries = self.entries();
        // One sum for all: of a command's agents none has a budget of its own.
        let spent = entries.costs.iter().map(|(_, cost)| *cost).sum();
        let made = entries.costs.iter().filter(|(who, _)| *who == reservation.grant.agent).count();
        let most = reservation.grant.most_requests;
        let reserved = match reservation.fitting(&[spent; 4]) {
            Ok(_) if made >= most as usize => Reserved::Refused(Limited::Requests { most }),
            Ok(allowed) => {
                let number = i64::try_from(entries.costs.len()).unwrap_or(i64::MAX);
                entries.costs.push((reservation.grant.agent, reservation.bill.at_most(allowed)));
                Reserved::Held { number, allowed }
            }
            Err(limited) => Reserved::Refused(limited),
        };
        Box::pin(ready(Ok(reserved)))
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

    /// Nothing is kept from one command to the next: the gateway itself knows until it ends.
    fn rest(
        &self,
        _provider: &'static str,
        _name: String,
        _until: Timestamp,
        _reason: String,
    ) -> Answer<'_, ()> {
        Box::pin(ready(Ok(())))
    }
}
