//! Misbehaviour as state: what is set here stays until it is used up or taken back.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::answer::Refusal;
use super::hooks::Delivery;
use super::server::World;

/// Whether a delivery is meant, by event and action.
pub type DeliveryFilter = Arc<dyn Fn(&str, Option<&str>) -> bool + Send + Sync>;

/// What becomes of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Sent in its turn.
    Send,
    /// Not sent, and in the list as failed.
    Drop,
    /// Not sent, and in no list.
    Lose,
    /// Sent later; the ones after it do not wait.
    Delay(Duration),
}

/// How each delivery is doubled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubling {
    /// The second has the first's GUID.
    SameGuid,
    /// The second has a GUID of its own.
    OtherGuid,
}

#[derive(Clone)]
struct DropRule {
    remaining: Option<u32>,
    filter: DeliveryFilter,
    fate: Fate,
}

/// One answer that goes wrong.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    method: String,
    path_prefix: String,
    pub status: u16,
    pub applied: bool,
    pub retry_after: Option<u32>,
}

/// The faults in force.
#[derive(Default)]
pub(crate) struct FaultPlan {
    drops: Vec<DropRule>,
    delays: Vec<(String, Duration)>,
    doubling: Option<Doubling>,
    pub early: bool,
    reorder: usize,
    held: Vec<usize>,
    failures: Vec<Failure>,
    limited_writes: u32,
    exhausted: u32,
    pub ref_lag: Duration,
}

impl FaultPlan {
    /// Decides what becomes of a delivery, using up rules that count.
    pub(crate) fn fate(&mut self, event: &str, action: Option<&str>) -> Fate {
        let rule = self
            .drops
            .iter_mut()
            .find(|rule| rule.remaining != Some(0) && (rule.filter)(event, action));
        if let Some(rule) = rule {
            rule.remaining = rule.remaining.map(|remaining| remaining - 1);
            return rule.fate.clone();
        }
        let delay = self.delays.iter().find(|(name, _)| name == event);
        delay.map_or(Fate::Send, |(_, delay)| Fate::Delay(*delay))
    }

    /// The second delivery of a doubled one; its id is the caller's to give.
    pub(crate) fn twin(&self, delivery: &Delivery) -> Option<Delivery> {
        let mut twin = delivery.clone();
        match self.doubling? {
            Doubling::SameGuid => {}
            Doubling::OtherGuid => twin.guid = Uuid::new_v4().to_string(),
        }
        Some(twin)
    }

    /// Holds deliveries back while some are to be reordered; gives those to send now.
    pub(crate) fn release(&mut self, fresh: Vec<usize>) -> Vec<usize> {
        if self.reorder == 0 {
            return fresh;
        }
        self.held.extend(fresh);
        if self.held.len() < self.reorder {
            return Vec::new();
        }
        let reversed: Vec<usize> = self.held.drain(..self.reorder).rev().collect();
        self.reorder = 0;
        reversed.into_iter().chain(self.held.drain(..)).collect()
    }

    /// Takes the failure planned for this request.
    pub(crate) fn failure(&mut self, method: &str, path: &str) -> Option<Failure> {
        let place = self.failures.iter().position(|failure| {
            failure.method.eq_ignore_ascii_case(method) && path.starts_with(&failure.path_prefix)
        })?;
        Some(self.failures.remove(place))
    }

    /// The refusal of a rate limit in force.
    pub(crate) fn limit(&mut self, method: &str) -> Option<Refusal> {
        if self.exhausted > 0 {
            self.exhausted -= 1;
            let mut refusal = Refusal::new(403, "API rate limit exceeded for installation.");
            refusal.headers.push(("x-ratelimit-remaining".to_owned(), "0".to_owned()));
            return Some(refusal);
        }
        if method == "GET" || self.limited_writes == 0 {
            return None;
        }
        self.limited_writes -= 1;
        let mut refusal = Refusal::new(
            403,
            "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.",
        );
        refusal.headers.push(("retry-after".to_owned(), "1".to_owned()));
        Some(refusal)
    }
}

/// Sets faults.
pub struct Faults<'world> {
    pub(crate) world: &'world World,
}

impl Faults<'_> {
    fn set(&self, change: impl FnOnce(&mut FaultPlan)) {
        self.world.change(|state| change(&mut state.faults));
    }

    /// The next `count` deliveries fail to connect; the App's list shows them as failed.
    pub fn drop_next_deliveries(&self, count: u32) {
        self.rule(Some(count), Arc::new(|_, _| true), Fate::Drop);
    }

    /// Every delivery the filter (event, action) accepts fails to connect.
    pub fn drop_matching(
        &self,
        filter: impl Fn(&str, Option<&str>) -> bool + Send + Sync + 'static,
    ) {
        self.rule(None, Arc::new(filter), Fate::Drop);
    }

    /// The next `count` deliveries the filter accepts are never sent and in no list.
    pub fn lose_matching(
        &self,
        count: u32,
        filter: impl Fn(&str, Option<&str>) -> bool + Send + Sync + 'static,
    ) {
        self.rule(Some(count), Arc::new(filter), Fate::Lose);
    }

    fn rule(&self, remaining: Option<u32>, filter: DeliveryFilter, fate: Fate) {
        self.set(|plan| plan.drops.push(DropRule { remaining, filter, fate }));
    }

    /// Doubles every delivery from now on, or none.
    pub fn duplicate_deliveries(&self, doubling: Option<Doubling>) {
        self.set(|plan| plan.doubling = doubling);
    }

    /// Deliveries of an event arrive this much later; others overtake them.
    pub fn delay_matching(&self, event: &str, delay: Duration) {
        self.set(|plan| plan.delays.push((event.to_owned(), delay)));
    }

    /// Deliveries arrive before the API call that caused them is answered.
    pub fn early(&self, early: bool) {
        self.set(|plan| plan.early = early);
    }

    /// The next `count` deliveries are held until there are so many, then sent last first.
    pub fn reorder_next(&self, count: usize) {
        self.set(|plan| plan.reorder = count);
    }

    /// The next request with the method and path prefix gets `status`: before anything was done,
    /// or, with `applied`, after it was.
    pub fn fail_next(
        &self,
        method: &str,
        path_prefix: &str,
        status: u16,
        applied: bool,
        retry_after: Option<u32>,
    ) {
        let failure = Failure {
            method: method.to_owned(),
            path_prefix: path_prefix.to_owned(),
            status,
            applied,
            retry_after,
        };
        self.set(|plan| plan.failures.push(failure));
    }

    /// The next `writes` requests that are no GET meet a secondary limit: 403, `Retry-After: 1`.
    pub fn secondary_rate_limit(&self, writes: u32) {
        self.set(|plan| plan.limited_writes = writes);
    }

    /// The next `requests` requests meet the primary limit: 403, `x-ratelimit-remaining: 0`.
    pub fn primary_rate_limit(&self, requests: u32) {
        self.set(|plan| plan.exhausted = requests);
    }

    /// Pushed refs show through the API only this much later; zero ends it.
    pub fn ref_lag(&self, lag: Duration) {
        self.set(|plan| plan.ref_lag = lag);
    }

    /// Takes every fault back; deliveries held for reordering are sent.
    pub fn clear(&self) {
        self.world.change(|state| {
            let held = std::mem::take(&mut state.faults.held);
            state.faults = FaultPlan::default();
            state.outbox.extend(held);
        });
    }
}
