//! Waking workers: in this process at once, in others by at most one NOTIFY a window.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use sqlx::PgPool;
use tokio::sync::{Notify, watch};
use uuid::Uuid;

use super::QueueError;
use crate::model::Lane;

/// The channel on which processes tell each other that there is work.
pub const CHANNEL: &str = "baton_jobs";

/// Whether a payload of [`CHANNEL`] tells of work in a lane.
#[must_use]
pub fn tells_of(payload: &str, lane: Lane) -> bool {
    // The first word is who tells.
    payload.split(' ').skip(1).any(|name| name == lane.name())
}

/// Lanes that got work in a transaction; release it once that is committed.
///
/// Dropped without release, the work is found by polling.
#[must_use = "release it once the transaction is committed, or the work waits for the next poll"]
#[derive(Debug, Clone, Default)]
pub struct Wake {
    lanes: BTreeSet<Lane>,
}

impl Wake {
    /// Wakes nobody.
    pub fn none() -> Self {
        Self::default()
    }

    pub(super) fn of(lanes: impl IntoIterator<Item = Lane>) -> Self {
        Self { lanes: lanes.into_iter().collect() }
    }

    /// Joins two wakes of one transaction.
    pub fn and(mut self, other: Self) -> Self {
        self.lanes.extend(other.lanes);
        self
    }

    /// Wakes the workers of this process now, and those of others soon.
    pub fn release(self, wakes: &Wakes) {
        if self.lanes.is_empty() {
            return;
        }
        wakes.wake_here(self.lanes.iter().copied());
        wakes.pending().extend(self.lanes);
        wakes.inner.dirty.notify_one();
    }
}

/// What all parts of one process wake its workers with; clones are the same.
#[derive(Debug, Clone)]
pub struct Wakes {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// Tells this process's own NOTIFYs from those of others.
    origin: Uuid,
    /// A counter a lane: a worker that looks later than the wake still sees that it moved.
    lanes: [watch::Sender<u64>; Lane::ALL.len()],
    /// Lanes that other processes were not told of yet.
    pending: Mutex<BTreeSet<Lane>>,
    dirty: Notify,
}

impl Default for Wakes {
    fn default() -> Self {
        Self::new()
    }
}

impl Wakes {
    /// Makes the wakes of one process.
    #[must_use]
    pub fn new() -> Self {
        let lanes = Lane::ALL.map(|_| watch::Sender::new(0));
        let (pending, dirty) = (Mutex::default(), Notify::new());
        Self { inner: Arc::new(Inner { origin: Uuid::new_v4(), lanes, pending, dirty }) }
    }

    /// Tells other processes at once what they were not told yet: for one that ends before its
    /// runner would, such as the command line.
    ///
    /// # Errors
    /// When the database is away; the others find the work by polling.
    pub async fn flush(&self, pool: &PgPool) -> Result<(), QueueError> {
        let lanes = std::mem::take(&mut *self.pending());
        if lanes.is_empty() {
            return Ok(());
        }
        let names: Vec<_> = lanes.iter().map(|lane| lane.name()).collect();
        let payload = format!("{} {}", self.inner.origin, names.join(" "));
        sqlx::query!("SELECT pg_notify($1, $2)", CHANNEL, payload).execute(pool).await?;
        Ok(())
    }

    /// Waits until there is something to tell other processes.
    pub(super) async fn dirty(&self) {
        self.inner.dirty.notified().await;
    }

    /// Watches a lane from now on.
    pub(super) fn watch(&self, lane: Lane) -> watch::Receiver<u64> {
        self.inner.lanes[lane as usize].subscribe()
    }

    /// Takes the payload of a NOTIFY in.
    pub(super) fn hear(&self, payload: &str) {
        if payload.split(' ').next() == Some(self.inner.origin.to_string().as_str()) {
            return;
        }
        self.wake_here(Lane::ALL.into_iter().filter(|lane| tells_of(payload, *lane)));
    }

    pub(super) fn wake_here(&self, lanes: impl IntoIterator<Item = Lane>) {
        for lane in lanes {
            self.inner.lanes[lane as usize].send_modify(|count| *count = count.wrapping_add(1));
        }
    }

    fn pending(&self) -> std::sync::MutexGuard<'_, BTreeSet<Lane>> {
        self.inner.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_ignores_its_own_notification() {
        let (mine, other) = (Wakes::new(), Wakes::new());
        let mut seen = mine.watch(Lane::Say);
        mine.hear(&format!("{} say", mine.inner.origin));
        assert!(!seen.has_changed().unwrap());
        mine.hear(&format!("{} quick say", other.inner.origin));
        assert!(seen.has_changed().unwrap());
        seen.mark_unchanged();
        mine.hear(&format!("{} quick", other.inner.origin));
        assert!(!seen.has_changed().unwrap());
    }

    #[test]
    fn every_lane_has_its_own_counter() {
        for (place, lane) in Lane::ALL.into_iter().enumerate() {
            assert_eq!(lane as usize, place);
        }
    }
}
