//! What the server adds to a decision's facts.

use serde::{Deserialize, Serialize};

use super::{Environment, Limits, Micros};

/// What the server is like at this moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// Why nothing may start, if so.
    pub paused: Option<String>,
    /// What is missing for a sandbox, with the remedy, if it does not pass its self-test.
    pub no_sandbox: Option<String>,
    /// What no repository can raise.
    pub limits: Limits,
    /// The provider of roles whose policy names none.
    pub provider: String,
    /// The providers whose program and whose credential it has.
    #[serde(default)]
    pub providers: Vec<String>,
    /// The model of roles whose policy names none.
    pub model: String,
    /// What was spent today in this repository.
    pub repository_spent_today: Micros,
    /// What was spent today in all.
    pub spent_today: Micros,
    /// Baton's open pull requests in this repository, this task's left out.
    pub open_pulls: u32,
    /// The environments that the server lets this repository deploy to.
    pub deploys_to: Vec<Environment>,
}
