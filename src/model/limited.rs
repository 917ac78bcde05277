//! The limits of money, requests and models at which the gateway stops an agent, and what else it refuses.

use serde::{Deserialize, Serialize};

use super::{Micros, Timestamp, Untrusted};

/// The limit at which the gateway refused an agent's request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "limit", rename_all = "snake_case")]
pub enum Limited {
    /// What the request may cost does not fit what a budget has left.
    Budget {
        /// Whose budget has least left.
        scope: BudgetScope,
        /// What it has left, reservations taken off.
        left: Micros,
        /// What the request may cost, even with the shortest answer that is of use.
        needs: Micros,
    },
    /// The agent has made all the requests that it may make.
    Requests {
        /// How many those are.
        most: u32,
    },
    /// The model is none that this role may ask.
    Model {
        /// The model's name, as it was asked for.
        model: String,
    },
    /// The model's provider gives no more before then.
    Quota {
        /// When to ask again.
        until: Timestamp,
        /// Why it gives no more.
        shortage: Shortage,
    },
}

/// A budget that a request is paid from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BudgetScope {
    /// One agent's.
    Agent,
    /// Its task's.
    Task,
    /// The repository's, for this UTC day.
    RepositoryDay,
    /// The server's, for this UTC day.
    ServerDay,
}

impl BudgetScope {
    /// All of them, in the order in which their rows are locked.
    pub const ALL: [Self; 4] = [Self::Agent, Self::Task, Self::RepositoryDay, Self::ServerDay];
}

/// Why the model's provider gives no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shortage {
    /// Too much was asked for in too short a time, or the plan's share is used up (429).
    Quota,
    /// The provider has more work than it can do (529).
    Overloaded,
    /// The account that pays is empty.
    Credit,
}

/// Something that the gateway lets no agent do, and how often one tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Barred {
    /// What, as the agent's program named it; cut, and nobody's words but its own.
    pub what: Untrusted,
    /// How often.
    pub times: u32,
}

impl Barred {
    /// Adds what was refused later to what was before; of different things at most so many are kept.
    pub fn add(all: &mut Vec<Self>, later: Self, most: usize) {
        let room = all.len() < most;
        match all.iter_mut().find(|it| it.what == later.what) {
            Some(known) => known.times = known.times.saturating_add(later.times),
            None if room => all.push(later),
            None => {}
        }
    }
}
