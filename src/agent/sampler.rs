//! Looks at what a running agent uses, as long as it runs, and ends it where that is too much.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::mpsc;

use super::{Runtime, fence::Fence, orders::Note};
use crate::{
    model::{AgentId, Excess, Footprint},
    sandbox::{Meter, Running, Stopper},
};

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
    stopper: Option<Stopper>,
}

impl Seen {
    fn last(&self) -> Footprint {
        self.now.as_ref().map_or(self.before, |now| self.before.and(now.last()))
    }
}

impl InUse {
    /// Looks at this process of an agent from now on; the one before it has ended.
    pub fn put(&self, agent: AgentId, running: &Running) {
        let mut seen = self.seen();
        let before = seen.get(&agent).map(Seen::last).unwrap_or_default();
        let (now, stopper) = (Some(running.meter()), Some(running.stopper()));
        seen.insert(agent, Seen { before, now, stopper });
    }

    /// Looks at an agent from now on whose earlier processes took so much under another Baton.
    pub fn take_up(&self, agent: AgentId, before: Footprint, running: Option<&Running>) {
        let (now, stopper) = (running.map(Running::meter), running.map(Running::stopper));
        self.seen().insert(agent, Seen { before, now, stopper });
    }

    /// Kills what runs of an agent, with all that it started.
    fn kill(&self, agent: AgentId) {
        if let Some(stopper) = self.seen().get(&agent).and_then(|seen| seen.stopper.as_ref()) {
            stopper.kill();
        }
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

    /// Whether no agent runs.
    pub fn is_empty(&self) -> bool {
        self.seen().is_empty()
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

/// Plays what there is to play, tells meanwhile and at the end what the agent uses, and ends it where that
/// is too much. Gives what was.
pub(super) async fn beside<T>(
    agent: AgentId,
    in_use: &InUse,
    fence: &Fence,
    notes: mpsc::Sender<Note>,
    playing: impl Future<Output = T>,
) -> (T, Option<Excess>) {
    let _out = Out(in_use, agent);
    let mut excess = None;
    let ended = tokio::select! {
        biased;
        ended = playing => ended,
        never = looking(agent, in_use, fence, &notes, &mut excess) => match never {},
        never = fence.weighing() => match never {},
    };
    if let Some(seen) = in_use.last(agent) {
        fence.weigh().await;
        // Nobody listens any more: nothing is kept.
        let _ = notes.send(Note::Footprint(fence.judge(seen).0)).await;
    }
    (ended, excess)
}

/// Looks at an agent again and again. Each of its processes that comes after one was too much ends, too.
async fn looking(
    agent: AgentId,
    in_use: &InUse,
    fence: &Fence,
    notes: &mpsc::Sender<Note>,
    excess: &mut Option<Excess>,
) -> Infallible {
    let mut pause = FIRST;
    loop {
        tokio::time::sleep(pause).await;
        let Some(seen) = in_use.look(agent).await else { continue };
        let (taken, passed) = fence.judge(seen);
        *excess = excess.or(passed);
        if excess.is_some() {
            in_use.kill(agent);
        }
        pause = (pause * 2).min(fence.pause(taken));
        // Never waited for: whoever is slow gets the next one.
        let _ = notes.try_send(Note::Footprint(taken));
    }
}
