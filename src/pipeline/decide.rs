//! From an event to a saved decision.

use super::{Failure, Parts, apply::Apply, facts, policy, route, situation};
use crate::{
    db::{decisions, events, repositories, tasks},
    model::{Event, EventId, Subject, TaskId},
    queue::{self, Claimed},
    workflow,
};

/// Decides an event for a task, or for a thread that has none yet.
pub(super) async fn event(
    parts: &Parts,
    claimed: &Claimed,
    id: EventId,
    task: Option<TaskId>,
) -> Result<(), Failure> {
    let event = events::load(&parts.pool, id).await?;
    if task.is_none()
        && let Some(begun) = begun_meanwhile(parts, &event).await?
    {
        return hand_on(parts, claimed, &event, begun).await;
    }
    let Some(mut repository) = repositories::by_id(&parts.pool, event.repository).await? else {
        return finish(parts, claimed).await;
    };
    if task.is_none() {
        repository.policy_error = policy::refresh(parts, &repository).await?;
    }
    let before = match task {
        Some(task) => Some(situation::of_task(parts, task).await?),
        None => None,
    };
    let known = before.as_ref().and_then(|situation| situation.task.as_ref());
    let version = known.map(|task| task.version);
    let facts = facts::ask(parts, &repository, &event, known).await?;

    let mut tx = parts.pool.begin().await?;
    if let Some(task) = task {
        if tasks::lock(&mut *tx, task).await? != version {
            return Err(Failure::Changed("the task"));
        }
        if decisions::exists(&mut *tx, task, id).await? {
            queue::finish(&mut tx, claimed, parts.clock.now()).await?;
            return Ok(tx.commit().await?);
        }
    }
    let situation = situation::load(parts, &mut tx, &repository, task, facts).await?;
    let decision = workflow::decide(&situation, &event);
    tracing::info!(
        event.id = %id,
        event.kind = event.what.name(),
        task.id = task.map(|task| task.0),
        rule = decision.rule,
        "decided"
    );
    let mut apply = Apply::new(parts, &situation, &event, &decision.rule);
    apply.all(&mut tx, &decision.effects).await?;
    if let Some(task) = apply.task_id() {
        let rule = &decision.rule;
        decisions::insert(&mut *tx, task, id, situation.now, rule, &situation.facts, &decision)
            .await?;
    }
    let jobs = apply.into_jobs();
    let wake = queue::enqueue(&mut tx, &jobs).await?;
    queue::finish(&mut tx, claimed, situation.now).await?;
    tx.commit().await?;
    wake.release(&parts.wakes);
    Ok(())
}

/// The thread's task, when another event opened one since this one was routed.
async fn begun_meanwhile(parts: &Parts, event: &Event) -> Result<Option<TaskId>, Failure> {
    match event.subject {
        Subject::Issue(number) | Subject::Pull(number) => {
            Ok(tasks::by_thread(&parts.pool, event.repository, number).await?)
        }
        Subject::Commit(_)
        | Subject::Check(_)
        | Subject::Branch(_)
        | Subject::Task(_)
        | Subject::Repository => Ok(None),
    }
}

/// Lets the task's own line of decisions take the event.
async fn hand_on(
    parts: &Parts,
    claimed: &Claimed,
    event: &Event,
    task: TaskId,
) -> Result<(), Failure> {
    let now = parts.clock.now();
    let mut tx = parts.pool.begin().await?;
    let wake = queue::enqueue(&mut tx, &[route::decide(event, Some(task), now)]).await?;
    queue::finish(&mut tx, claimed, now).await?;
    tx.commit().await?;
    wake.release(&parts.wakes);
    Ok(())
}

async fn finish(parts: &Parts, claimed: &Claimed) -> Result<(), Failure> {
    let mut tx = parts.pool.begin().await?;
    queue::finish(&mut tx, claimed, parts.clock.now()).await?;
    Ok(tx.commit().await?)
}
