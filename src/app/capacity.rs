//! How many agents this machine has room for, measured again before each start.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::{
    db::agents,
    model::{Lack, Need},
    pipeline::{Failure, Pipeline, waiting},
    sandbox::Gauge,
};

/// How often the estimate is made anew, and told what agents wait for.
const EVERY: Duration = Duration::from_secs(5);
/// From how many agents the need of the next one is estimated.
pub(super) const MEASURED: i64 = 50;

/// Decides whether one more agent may start here.
pub(super) struct Capacity {
    gauge: Gauge,
    pipeline: Pipeline,
    need: Mutex<Need>,
    /// Jobs of the agent lane that ran here when it was last asked.
    running: AtomicUsize,
}

impl Capacity {
    pub fn new(gauge: Gauge, pipeline: Pipeline) -> Self {
        let running = AtomicUsize::new(0);
        Self { gauge, pipeline, need: Mutex::default(), running }
    }

    /// Whether one more may start beside so many jobs.
    pub fn has_room(&self, running: usize) -> bool {
        self.running.store(running, Ordering::Relaxed);
        // What outlived the server before this one runs already, and is first in the queue.
        self.pipeline.parts().runtime.expects_some() || self.lack().is_none()
    }

    /// What is too little for one more; nothing where the kernel does not tell.
    fn lack(&self) -> Option<Lack> {
        let machine = self.gauge.read()?;
        let running = self.pipeline.parts().runtime.footprints();
        let starting = self.running.load(Ordering::Relaxed).saturating_sub(running.len());
        let need = *self.need.lock().unwrap_or_else(PoisonError::into_inner);
        machine.lack(&need, &running, starting)
    }

    /// Learns from the agents that ended and tells what others wait for, until it is told to stop.
    pub async fn keep(&self, stop: CancellationToken) {
        let mut tick = tokio::time::interval(EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = tick.tick() => {}
            }
            if let Err(error) = self.once().await {
                tracing::warn!(%error, "what agents wait for could not be told");
            }
        }
    }

    async fn once(&self) -> Result<(), Failure> {
        let parts = self.pipeline.parts();
        let earlier = agents::list_measured(&parts.pool, MEASURED).await?;
        *self.need.lock().unwrap_or_else(PoisonError::into_inner) = Need::of(&earlier);
        waiting::tell(parts, self.lack()).await
    }
}
