//! The one source of time: passed in everywhere, so that tests can move it.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use crate::model::Timestamp;

/// A clock that all parts of one Baton share.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    ahead_millis: Arc<AtomicI64>,
}

impl Clock {
    /// The machine's own time.
    #[must_use]
    pub fn system() -> Self {
        Self::default()
    }

    /// Now, in UTC.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the Clock that everybody else asks")]
    pub fn now(&self) -> Timestamp {
        chrono::Utc::now()
            + chrono::TimeDelta::milliseconds(self.ahead_millis.load(Ordering::Relaxed))
    }

    /// Moves every holder of this clock ahead, on top of what it was moved before.
    pub fn advance(&self, by: chrono::TimeDelta) {
        self.ahead_millis.fetch_add(by.num_milliseconds(), Ordering::Relaxed);
    }
}
