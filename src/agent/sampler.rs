//! Looks at what a running agent uses, as long as it runs.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::mpsc, time::MissedTickBehavior};

use super::{Runtime, orders::Note};
use crate::{
    model::{AgentId, Footprint},
    sandbox::Meter,
};

/// How often. A look costs less than a millisecond of processor time.
const EVERY: Duration = Duration::from_secs(2);

/// The agents that run here, and what looks at them.
#[derive(Default)]
pub(super) struct InUse(Mutex<BTreeMap<AgentId, Meter>>);

impl InUse {
    fn meters(&self) -> MutexGuard<'_, BTreeMap<AgentId, Meter>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps an agent among those that run here.
struct Entered<'a>(&'a InUse, AgentId);

impl<'a> Entered<'a> {
    fn new(in_use: &'a InUse, agent: AgentId, meter: Meter) -> Self {
        in_use.meters().insert(agent, meter);
        Self(in_use, agent)
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.0.meters().remove(&self.1);
    }
}

impl Runtime {
    /// What each agent that runs here used when it was last looked at.
    #[must_use]
    pub fn footprints(&self) -> Vec<Footprint> {
        self.in_use.meters().values().map(Meter::last).collect()
    }
}

/// Plays what there is to play, and tells meanwhile and at the end what the agent uses.
pub(super) async fn beside<T>(
    agent: AgentId,
    meter: Meter,
    in_use: &InUse,
    notes: mpsc::Sender<Note>,
    playing: impl Future<Output = T>,
) -> T {
    let _entered = Entered::new(in_use, agent, meter.clone());
    let mut playing = std::pin::pin!(playing);
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let ended = loop {
        tokio::select! {
            biased;
            ended = &mut playing => break ended,
            _ = tick.tick() => {
                let footprint = look(&meter).await;
                // Never waited for: whoever is slow gets the next one.
                let _ = notes.try_send(Note::Footprint(footprint));
            }
        }
    };
    // Nobody listens any more: nothing is kept.
    let _ = notes.send(Note::Footprint(meter.last())).await;
    ended
}

async fn look(meter: &Meter) -> Footprint {
    let looking = meter.clone();
    let looked = tokio::task::spawn_blocking(move || looking.read()).await;
    looked.unwrap_or_else(|_| meter.last())
}
