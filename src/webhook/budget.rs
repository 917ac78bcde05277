//! How many bytes of deliveries are in memory at once, over all connections.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The bytes that may be in memory.
#[derive(Debug, Clone)]
pub(super) struct Budget(Arc<Semaphore>);

impl Budget {
    /// A budget of so many bytes.
    pub fn new(bytes: u32) -> Self {
        Self(Arc::new(Semaphore::new(bytes as usize)))
    }

    /// Opens the account of one delivery.
    pub fn share(&self) -> Share {
        Share { budget: self.clone(), held: None }
    }
}

/// The bytes that one delivery holds; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Share {
    budget: Budget,
    held: Option<OwnedSemaphorePermit>,
}

impl Share {
    /// Takes so many bytes more, if there are as many.
    ///
    /// Bytes are counted as they arrive: a length that is only announced would let a few idle
    /// connections use everything up.
    #[must_use]
    pub fn grow(&mut self, bytes: usize) -> bool {
        let Ok(bytes) = u32::try_from(bytes) else { return false };
        let Ok(more) = Arc::clone(&self.budget.0).try_acquire_many_owned(bytes) else {
            return false;
        };
        match &mut self.held {
            Some(held) => held.merge(more),
            None => self.held = Some(more),
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_when_a_delivery_is_done() {
        let budget = Budget::new(10);
        let (mut one, mut two) = (budget.share(), budget.share());
        assert!(one.grow(6) && one.grow(2) && two.grow(2));
        assert!(!two.grow(1));
        assert!(two.grow(0));
        drop(one);
        assert!(two.grow(8));
    }
}
