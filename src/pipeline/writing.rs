//! Whether Baton may write to GitHub right now, and whether GitHub takes it.

use std::time::Duration;

use chrono::TimeDelta;

use super::{Failure, Parts};
use crate::{
    db::reports,
    model::Situation,
    queue::{self, Scope},
};

/// How long a report may be refused before no new agent starts for its task.
const FAILING: TimeDelta = TimeDelta::minutes(5);
/// How long what is held back waits before it looks again.
const REST: Duration = Duration::from_secs(30);

/// Asked before every write: a pause of everything that was set since the job was claimed holds.
pub(super) async fn allowed(parts: &Parts) -> Result<(), Failure> {
    let everything = Scope::All.to_string();
    let settings = queue::list_settings(&parts.pool).await?;
    match settings.into_iter().find(|set| set.paused && set.scope == everything) {
        None => Ok(()),
        // Nothing is claimed while the pause lasts; afterwards it comes at once.
        Some(set) => Err(Failure::Later {
            after: Duration::from_secs(1),
            reason: set.reason.unwrap_or_else(|| "paused".to_owned()),
        }),
    }
}

/// Asked before an agent starts: what it brings forth would have to be said.
pub(super) async fn possible(parts: &Parts, situation: &Situation) -> Result<(), Failure> {
    let installation = situation.repository.installation;
    if let Some(until) = parts.github.paused_until(installation) {
        return Err(crate::github::GitHubError::Paused { until }.into());
    }
    let Some(task) = &situation.task else { return Ok(()) };
    let before = parts.clock.now() - FAILING;
    match reports::count_failing_since(&parts.pool, task.id, before).await? {
        0 => Ok(()),
        failing => Err(Failure::Later {
            after: REST,
            reason: format!("for minutes GitHub has not taken {failing} report(s) of this task"),
        }),
    }
}
