//! An agent that ran when its Baton died: it goes on where its sandbox outlives that, and is lost where not.

use std::time::Duration;

use tokio::sync::mpsc;

use super::{Failure, Parts, desk::Desk, execute::lost};
use crate::{
    agent::{Life, Wires},
    db::{
        agent_lines, agents,
        usage::{self, Settled},
    },
    model::{Agent, AgentId, AgentState, TaskId},
    queue::Claimed,
};

/// The agents that may run on this machine although the Baton that started them is dead. Asked at start, before
/// any is gone on with.
///
/// # Errors
/// When the database is away.
pub async fn candidates(parts: &Parts) -> Result<Vec<AgentId>, Failure> {
    let open = agents::list_open(&parts.pool).await?.into_iter();
    let running = open.filter(|row| matches!(row.agent.state, AgentState::Running));
    Ok(running.map(|row| row.agent.id).collect())
}

/// Goes on with an agent to its end, or finds that nothing of it is left.
pub(super) async fn agent(
    parts: &Parts,
    claimed: &Claimed,
    task: TaskId,
    agent: &Agent,
) -> Result<Life, Failure> {
    settle(parts, agent.id).await?;
    let Some(found) = parts.runtime.find(agent).await else { return Ok(lost()) };
    tracing::info!(agent.id = %agent.id, "an agent goes on that outlived its server");
    let stored = agent_lines::last_seq(&parts.pool, agent.id).await?.unwrap_or_default();
    let log = parts.logs.open_after(agent.id, found.lines_before(), stored);
    let (notes, heard) = mpsc::channel(1024);
    let (give, orders) = mpsc::channel(16);
    let desk = Desk { catches_up: true, ..Desk::new(parts, claimed, task, agent, log, give) };
    let playing = parts.runtime.go_on(found, elapsed(parts, agent), Wires { notes, orders });
    let (life, ()) = tokio::join!(playing, desk.sit(heard));
    Ok(life)
}

/// For how long it has been at work.
fn elapsed(parts: &Parts, agent: &Agent) -> Duration {
    let started = agent.started_at.unwrap_or_else(|| parts.clock.now());
    (parts.clock.now() - started).to_std().unwrap_or_default()
}

/// Books the requests that the dead server carried: nobody saw how they ended. Those that were made since are
/// carried by this one.
async fn settle(parts: &Parts, agent: AgentId) -> Result<(), Failure> {
    let (began, now) = (parts.settings.began, parts.clock.now());
    let mut tx = parts.pool.begin().await?;
    for request in usage::list_open_of(&mut *tx, agent, Some(began)).await? {
        usage::settle(&mut tx, request, Settled::Unseen, now).await?;
    }
    Ok(tx.commit().await?)
}
