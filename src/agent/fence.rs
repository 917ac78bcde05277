//! The most that an agent or a command may take of the machine, and who looks whether it does.
//!
//! The kernel bounds one process by itself; what all of them take together is seen from outside and ended
//! with the whole tree. What comes between two looks is not held back, so they are closer where it is near.

use std::{
    convert::Infallible,
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tokio::time::{Instant, sleep};

use crate::{
    model::{Ceiling, Excess, Footprint},
    sandbox::Meter,
    workspace::held,
};

/// Between two looks at processes, once they have run for a while. A look costs less than a millisecond of
/// processor time.
const LOOK: Duration = Duration::from_secs(2);
/// The same where half of the memory is taken.
const CLOSE_LOOK: Duration = Duration::from_millis(200);
/// How long disks rest between two weighings, at least and at most; in between, as a multiple of what one
/// took, so that a large tree costs a twentieth of a processor.
const REST: (Duration, Duration) = (Duration::from_secs(3), Duration::from_secs(60));
const REST_TIMES: u32 = 20;

/// Around one agent, or one command.
pub(super) struct Fence {
    ceiling: Ceiling,
    /// What it writes to, on disk.
    folders: Vec<PathBuf>,
    /// Bytes that these held when they were last weighed.
    held: AtomicU64,
}

impl Fence {
    pub fn new(ceiling: Ceiling, folders: Vec<PathBuf>) -> Self {
        Self { ceiling, folders, held: AtomicU64::new(0) }
    }

    /// What was seen, with what is held on disk, and what of it is too much.
    pub fn judge(&self, seen: Footprint) -> (Footprint, Option<Excess>) {
        let taken = Footprint { held: self.held.load(Ordering::Relaxed), ..seen };
        (taken, self.ceiling.passed_by(taken))
    }

    /// How long until the next look.
    pub fn pause(&self, seen: Footprint) -> Duration {
        if seen.memory > self.ceiling.memory / 2 { CLOSE_LOOK } else { LOOK }
    }

    /// Weighs what is held on disk, once.
    pub async fn weigh(&self) {
        let folders = self.folders.clone();
        // A weighing that breaks down is one that was not made.
        if let Ok(bytes) = tokio::task::spawn_blocking(move || held(&folders)).await {
            self.held.store(bytes, Ordering::Relaxed);
        }
    }

    /// Weighs again and again.
    pub async fn weighing(&self) -> Infallible {
        let mut rest = REST.0;
        loop {
            sleep(rest).await;
            let begun = Instant::now();
            self.weigh().await;
            rest = (begun.elapsed() * REST_TIMES).clamp(REST.0, REST.1);
        }
    }

    /// Looks at one command until it takes too much.
    pub async fn passed(&self, meter: &Meter) -> Excess {
        let looking = async {
            loop {
                sleep(self.pause(meter.last())).await;
                let meter = meter.clone();
                let seen = tokio::task::spawn_blocking(move || meter.read()).await;
                if let Some(excess) = self.judge(seen.unwrap_or_default()).1 {
                    return excess;
                }
            }
        };
        tokio::select! {
            excess = looking => excess,
            never = self.weighing() => match never {},
        }
    }
}
