//! What becomes visible of a job that is given up: every agent, run and push ends in an answer, also
//! when the job that should have given it could not.

use sqlx::PgConnection;

use super::{Failure, Parts, apply::Apply, own::own_event, parse, situation};
use crate::{
    db::{
        agents, command_runs, decisions,
        deliveries::{self, DeliveryState},
        events, ledger, repositories, stages, tasks,
    },
    model::{
        Actor, AgentId, AgentState, CommandRunId, End, EventId, Facts, FailKind, Job, NewEvent,
        Refusal, RunState, StageId, StageState, TaskId, What,
    },
    queue::{self, Claimed, Wake},
    workflow,
};

/// Ends a job that cannot be done, together with what it was to bring about.
pub(super) async fn of_failed(
    parts: &Parts,
    claimed: &Claimed,
    error: &str,
) -> Result<(), Failure> {
    let mut tx = parts.pool.begin().await?;
    let wake = told(parts, &mut tx, &claimed.job, error).await?;
    queue::fail(&mut tx, claimed, error, parts.clock.now()).await?;
    tx.commit().await?;
    wake.release(&parts.wakes);
    Ok(())
}

/// Does the same for jobs whose worker died in their last attempt.
pub(super) async fn of_lost(parts: &Parts) -> Result<(), Failure> {
    let mut tx = parts.pool.begin().await?;
    let lost = queue::take_lost(&mut tx, parts.clock.now()).await?;
    let mut wakes = Vec::new();
    for lost in &lost {
        tracing::error!(job.id = %lost.id, job.kind = lost.job.kind(), "a job was lost in its last attempt");
        wakes.push(told(parts, &mut tx, &lost.job, "Baton was ended under it, too often").await?);
    }
    tx.commit().await?;
    wakes.into_iter().for_each(|wake| wake.release(&parts.wakes));
    Ok(())
}

async fn told(
    parts: &Parts,
    tx: &mut PgConnection,
    job: &Job,
    error: &str,
) -> Result<Wake, Failure> {
    match job {
        Job::ParseDelivery { guid } => {
            deliveries::mark(tx, *guid, DeliveryState::Failed, Some(error)).await?;
            Ok(Wake::none())
        }
        Job::Decide { event, task: Some(task) } => undecided(parts, tx, *event, *task, error).await,
        Job::RunAgent { agent } => agent_ends(parts, tx, *agent, error).await,
        Job::RunCommands { run } => run_breaks(parts, tx, *run, error).await,
        Job::Publish { stage, agent } => push_ends(parts, tx, *stage, *agent, error).await,
        Job::Perform { act } => {
            ledger::mark_failed(tx, *act, error, parts.clock.now()).await?;
            Ok(Wake::none())
        }
        // Unsaid reports are found by their version, sweeps come again, and an event without a task
        // has nobody to tell.
        Job::Route { .. } | Job::Decide { task: None, .. } | Job::Say { .. } | Job::Sweep(_) => {
            Ok(Wake::none())
        }
    }
}

async fn agent_ends(
    parts: &Parts,
    tx: &mut PgConnection,
    id: AgentId,
    error: &str,
) -> Result<Wake, Failure> {
    let row = agents::load(&mut *tx, id).await?;
    if matches!(row.agent.state, AgentState::Ended(_)) {
        return Ok(Wake::none());
    }
    let end = End::Failed(FailKind::Setup(error.to_owned()));
    let finished = agents::Finished::only(end);
    let now = parts.clock.now();
    agents::finish(&mut *tx, id, finished, now).await?;
    command_runs::end_lost_setups(&mut *tx, row.task, row.agent.stage, now).await?;
    let what = What::AgentFinished { agent: id };
    let key = format!("agent:{id}:{}", what.name());
    let event = own_event(parts, tx, row.task, key, what).await?;
    save(parts, tx, event).await
}

async fn run_breaks(
    parts: &Parts,
    tx: &mut PgConnection,
    id: CommandRunId,
    error: &str,
) -> Result<Wake, Failure> {
    let (task, run) = command_runs::load(&mut *tx, id).await?;
    if run.state != RunState::Pending {
        return Ok(Wake::none());
    }
    let broken = RunState::Broken { reason: error.to_owned() };
    let now = parts.clock.now();
    command_runs::finish(&mut *tx, id, &broken, now).await?;
    command_runs::end_lost_setups(&mut *tx, task, run.stage, now).await?;
    let what = What::CommandsFinished { run: id };
    let key = format!("run:{id}:finished");
    let event = own_event(parts, tx, task, key, what).await?;
    save(parts, tx, event).await
}

async fn push_ends(
    parts: &Parts,
    tx: &mut PgConnection,
    stage: StageId,
    agent: AgentId,
    error: &str,
) -> Result<Wake, Failure> {
    let (task, key) = stages::load_place(&mut *tx, stage).await?;
    let stages = stages::list(&mut *tx, task).await?;
    let pushing = stages.iter().any(|stage| {
        stage.key == key
            && matches!(&stage.state, StageState::Publishing { from, .. } if *from == agent)
    });
    if !pushing {
        return Ok(Wake::none());
    }
    let what = What::PublishRefused { refusal: Refusal::GitHub(error.to_owned()) };
    let key = format!("publish:{task}:{agent}:{}", what.name());
    let event = own_event(parts, tx, task, key, what).await?;
    save(parts, tx, event).await
}

/// Parks a task for which Baton's own news could not be decided: else nobody would hear of it.
async fn undecided(
    parts: &Parts,
    tx: &mut PgConnection,
    event: EventId,
    task: TaskId,
    error: &str,
) -> Result<Wake, Failure> {
    let event = events::load(&mut *tx, event).await?;
    if event.actor != Actor::System
        || tasks::lock(&mut *tx, task).await?.is_none()
        || decisions::exists(&mut *tx, task, event.id).await?
    {
        return Ok(Wake::none());
    }
    let repository = repositories::load(&mut *tx, event.repository).await?;
    let situation = situation::load(parts, tx, &repository, Some(task), Facts::default()).await?;
    let decision = workflow::give_up(&situation, &event, error);
    let mut apply = Apply::new(parts, &situation, &event, &decision.rule);
    apply.all(tx, &decision.effects).await?;
    let (now, rule) = (situation.now, &decision.rule);
    decisions::insert(&mut *tx, task, event.id, now, rule, &situation.facts, &decision).await?;
    Ok(queue::enqueue(tx, &apply.into_jobs()).await?)
}

async fn save(parts: &Parts, tx: &mut PgConnection, event: NewEvent) -> Result<Wake, Failure> {
    parse::save(tx, &[event], parts.clock.now()).await
}
