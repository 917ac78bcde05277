//! What an agent's program told of its own work, counted.

use serde::{Deserialize, Serialize};

use super::{Micros, TokenUsage};

/// What the program told so far, or since it was last looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Tools that it called.
    pub calls: u32,
    /// Calls that came to nothing, those that were denied among them.
    pub failed: u32,
    /// Calls that were not allowed.
    pub denied: u32,
    /// Requests to the model that failed and were repeated.
    pub retries: u32,
    /// Tokens of all kinds, by its own count. What budgets hold is what the gateway measures.
    pub tokens: u64,
    /// What its session has cost so far, by its own count; 0 where it tells none.
    pub cost: Micros,
}

impl Tally {
    /// Takes in tokens that it told.
    pub fn used(&mut self, usage: TokenUsage) {
        let TokenUsage { input, output, cache_read, cache_write } = usage;
        for tokens in [input, output, cache_read, cache_write] {
            self.tokens = self.tokens.saturating_add(tokens);
        }
    }

    /// What there is beyond a count that is kept already; a cost is of the session so far.
    #[must_use]
    pub fn beyond(self, kept: Self) -> Self {
        Self {
            calls: self.calls.saturating_sub(kept.calls),
            failed: self.failed.saturating_sub(kept.failed),
            denied: self.denied.saturating_sub(kept.denied),
            retries: self.retries.saturating_sub(kept.retries),
            tokens: self.tokens.saturating_sub(kept.tokens),
            cost: self.cost,
        }
    }

    /// Takes in another count: costs are of the session so far, all else adds up.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            calls: self.calls.saturating_add(other.calls),
            failed: self.failed.saturating_add(other.failed),
            denied: self.denied.saturating_add(other.denied),
            retries: self.retries.saturating_add(other.retries),
            tokens: self.tokens.saturating_add(other.tokens),
            cost: self.cost.max(other.cost),
        }
    }
}
