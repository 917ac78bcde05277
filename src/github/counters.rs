//! How often GitHub was asked and how it answered: for the metrics page.

use std::sync::atomic::{AtomicU64, Ordering};

/// Running counts since the start of the process; shared by all handles of one App.
#[derive(Debug, Default)]
pub struct Counters {
    succeeded: AtomicU64,
    refused: AtomicU64,
    limited: AtomicU64,
    failed: AtomicU64,
    unreachable: AtomicU64,
    minted: AtomicU64,
}

/// The counts at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Answers below 400.
    pub succeeded: u64,
    /// Answers 400 to 499 that are no limit.
    pub refused: u64,
    /// Answers that say that the installation is limited.
    pub limited: u64,
    /// Answers of 500 and more.
    pub failed: u64,
    /// Requests without an answer.
    pub unreachable: u64,
    /// Tokens minted; their requests are counted above as well.
    pub minted: u64,
}

impl Counters {
    /// The counts as they are now.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            succeeded: of(&self.succeeded),
            refused: of(&self.refused),
            limited: of(&self.limited),
            failed: of(&self.failed),
            unreachable: of(&self.unreachable),
            minted: of(&self.minted),
        }
    }

    pub(super) fn answered(&self, status: u16, limited: bool) {
        let counter = match status {
            _ if limited => &self.limited,
            0..400 => &self.succeeded,
            400..500 => &self.refused,
            _ => &self.failed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn unanswered(&self) {
        self.unreachable.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn minted(&self) {
        self.minted.fetch_add(1, Ordering::Relaxed);
    }
}
