//! What is tried again by itself, and how often.

use serde::{Deserialize, Serialize};

use super::{End, FailKind};

/// How often, and after what, a stage is played again without being asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restarts {
    /// How often in a row.
    pub times: u32,
    /// After what.
    pub after: Vec<Mishap>,
}

impl Default for Restarts {
    fn default() -> Self {
        Self { times: 3, after: Mishap::ALL.to_vec() }
    }
}

/// An end of an agent that says little about its work: another attempt may go better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mishap {
    /// Its program ended without a result.
    Crashed,
    /// The model API failed or did not answer, to the end.
    Model,
    /// Baton's tools could not be reached from inside.
    Tools,
    /// Baton died under it.
    Lost,
}

impl Mishap {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Crashed, Self::Model, Self::Tools, Self::Lost];

    /// Which one an end was, if it was one.
    #[must_use]
    pub fn of(end: &End) -> Option<Self> {
        match end {
            End::Lost => Some(Self::Lost),
            End::Failed(FailKind::Crashed(_)) => Some(Self::Crashed),
            End::Failed(FailKind::Away(_)) => Some(Self::Model),
            End::Failed(FailKind::Tools(_)) => Some(Self::Tools),
            End::Failed(
                FailKind::Setup(_)
                | FailKind::Provider(_)
                | FailKind::InvalidOutcome(_)
                | FailKind::Model(_)
                | FailKind::Commands
                | FailKind::Verdict
                | FailKind::Unpushed(_)
                | FailKind::Resources(_),
            )
            | End::Succeeded
            | End::Asked(_)
            | End::OutOfQuota { .. }
            | End::OutOfBudget
            | End::TimedOut(_)
            | End::Cancelled(_) => None,
        }
    }
}
