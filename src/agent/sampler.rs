//! Looks at what a running agent uses, as long as it runs.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::mpsc;

use super::{Runtime, orders::Note};
use crate::{
    model::{AgentId, Footprint},
    sandbox::Meter,
};

/// How often, once it has run for a while. A look costs less than a millisecond of processor time.
const EVERY: Duration = Duration::from_secs(2);
/// After how long it is looked at first; the pauses double from here on, as a program takes its memory when
/// it starts, and some are done soon.
const FIRST: Duration = Duration::from_millis(50);

/// The agents that run here, and what looks at them.
#[derive(Default)]
pub(super) struct InUse(Mutex<BTreeMap<AgentId, Seen>>);

/// One agent: what its earlier processes took, and its present one.
struct Seen {
    before: Footprint,
    /// None between two.
    now: Option<Meter>,
}

impl Seen {
    fn last(&self) -> Footprint {
        self.now.as_ref().map_or(self.before, |now| self.before.and(now.last()))
    }
}

impl InUse {
    /// Looks at this process of an agent from now on; the one before it has ended.
    pub fn put(&self, agent: AgentId, meter: Meter) {
        let mut seen = self.seen();
        let before = seen.get(&agent).map(Seen::last).unwrap_or_default();
        seen.insert(agent, Seen { before, now: Some(meter) });
    }

    /// Looks at an agent from now on whose earlier processes took so much under another Baton.
    pub fn take_up(&self, agent: AgentId, before: Footprint, now: Option<Meter>) {
        self.seen().insert(agent, Seen { before, now });
    }

    fn seen(&self) -> MutexGuard<'_, BTreeMap<AgentId, Seen>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at an agent now; none before its first process.
    async fn look(&self, agent: AgentId) -> Option<Footprint> {
        let meter = self.seen().get(&agent).and_then(|seen| seen.now.clone())?;
        // A look that breaks down is one that was not taken.
        let _ = tokio::task::spawn_blocking(move || meter.read()).await;
        self.last(agent)
    }

    fn last(&self, agent: AgentId) -> Option<Footprint> {
        self.seen().get(&agent).map(Seen::last)
    }
}

/// Takes an agent out of those that run here, however its life ends.
struct Out<'a>(&'a InUse, AgentId);

impl Drop for Out<'_> {
    fn drop(&mut self) {
        self.0.seen().remove(&self.1);
    }
}

impl Runtime {
    /// What each agent that runs here used when it was last looked at.
    #[must_use]
    pub fn footprints(&self) -> Vec<Footprint> {
        self.in_use.seen().values().map(Seen::last).collect()
    }
}

/// Plays what there is to play, and tells meanwhile and at the end what the agent uses.
pub(super) async fn beside<T>(
    agent: AgentId,
    in_use: &InUse,
    notes: mpsc::Sender<Note>,
    playing: impl Future<Output = T>,
) -> T {
    let _out = Out(in_use, agent);
    let mut playing = std::pin::pin!(playing);
    let mut pause = FIRST;
    let ended = loop {
        tokio::select! {
            biased;
            ended = &mut playing => break ended,
            () = tokio::time::sleep(pause) => {
                if let Some(footprint) = in_use.look(agent).await {
                    pause = (pause * 2).min(EVERY);
                    // Never waited for: whoever is slow gets the next one.
                    let _ = notes.try_send(Note::Footprint(footprint));
                }
            }
        }
    };
    if let Some(footprint) = in_use.last(agent) {
        // Nobody listens any more: nothing is kept.
        let _ = notes.send(Note::Footprint(footprint)).await;
    }
    ended
}
