//! Says of agents that are due and do not start what they wait for.

use chrono::TimeDelta;

use super::{Failure, Parts, say};
use crate::{
    db::agents,
    model::{AgentId, Job, Lack},
    queue::{self, Running},
};

/// Nothing is said of agents that were due for less than this.
const SHORT: TimeDelta = TimeDelta::seconds(3);

/// Looks at every agent that waits, and lets the progress comments say what is news of it.
///
/// `machine` is what this machine has too little of for one more.
///
/// # Errors
/// When the database is away.
pub async fn tell(parts: &Parts, machine: Option<Lack>) -> Result<(), Failure> {
    let limits = &parts.settings.limits;
    let running = Running { total: limits.agents, per_repository: limits.repository_agents };
    let due = parts.clock.now() - SHORT;
    for waiting in queue::list_waiting(&parts.pool, due, running).await? {
        if let Job::RunAgent { agent } = waiting.job {
            note(parts, agent, waiting.held_by.or(machine)).await?;
        }
    }
    Ok(())
}

async fn note(parts: &Parts, id: AgentId, lack: Option<Lack>) -> Result<(), Failure> {
    let now = parts.clock.now();
    let mut tx = parts.pool.begin().await?;
    if !agents::set_waits_for(&mut *tx, id, lack).await? {
        return Ok(());
    }
    let row = agents::load(&mut *tx, id).await?;
    let wake = say::progress(&mut tx, row.task, row.repository, now, now).await?;
    tx.commit().await?;
    wake.release(&parts.wakes);
    Ok(())
}
