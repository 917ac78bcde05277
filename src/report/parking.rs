//! A parking, ready to be said: what `parked` and `limits` find words for.

use crate::model::ParkReason;

/// A parking, ready to be said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parked {
    /// What the headline says after `parked, `.
    pub headline: String,
    /// What went wrong, in Markdown; may be empty.
    pub wrong: String,
    /// What can be done: a label and Markdown with the exact command.
    pub next: Vec<(&'static str, String)>,
    /// Whether nothing happens before a person acts.
    pub needs_person: bool,
}

/// A headline behind a word that the task is parked; that a person stopped it says so by itself.
pub(super) fn led(reason: &ParkReason, lead: &str, headline: &str) -> String {
    match reason {
        ParkReason::Stopped(_) => headline.to_owned(),
        ParkReason::Budget
        | ParkReason::Quota { .. }
        | ParkReason::NotConverging
        | ParkReason::Failed(_)
        | ParkReason::Refused(_)
        | ParkReason::NoSandbox { .. }
        | ParkReason::PullClosed
        | ParkReason::BranchDeleted
        | ParkReason::Off => {
            format!("{lead}{headline}")
        }
    }
}
