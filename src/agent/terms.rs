//! What holds for a session, from where it goes on, and how it ended.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    journal::{Entry, Journal},
    runtime::QuotaBack,
};
use crate::{
    model::{End, Outcome},
    sandbox::Running,
};

/// How long an agent may take.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Patience {
    /// In all.
    pub total: Duration,
    /// Between two lines.
    pub silence: Duration,
    /// Between the end of its work and the end of its process.
    pub linger: Duration,
}

/// Judges an outcome: the validated value, or what is wrong with it in words for the agent.
pub type Judge<'a> = &'a (dyn Fn(&Value) -> Result<Outcome, Vec<String>> + Send + Sync);

/// What holds for a session.
#[derive(Clone, Copy)]
pub(super) struct Terms<'a> {
    /// How long it may take.
    pub patience: Patience,
    /// What an outcome is.
    pub judge: Judge<'a>,
    /// When the model API gives again.
    pub quota_back: &'a QuotaBack,
}

/// From where a session goes on.
#[derive(Default)]
pub(super) struct Past {
    /// Where it is written down, if it is.
    pub journal: Option<Journal>,
    /// What it took in under another Baton.
    pub entries: Vec<Entry>,
    /// Its process, if it has one.
    pub running: Option<Running>,
    /// For how long it has been at work.
    pub elapsed: Duration,
}

/// How a session ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Ended {
    /// How.
    pub end: End,
    /// What it concluded, when it succeeded.
    pub outcome: Option<Outcome>,
}

impl Ended {
    /// An end without an outcome.
    pub(super) fn with(end: End) -> Self {
        Self { end, outcome: None }
    }
}
