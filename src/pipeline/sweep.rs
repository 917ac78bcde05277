//! Reconcilers: they take no input, can run any number of times, and put right what signals missed.

use std::time::Duration;

use chrono::TimeDelta;

use super::{Failure, Parts, facts::known, last_word, mirrors, parse, perform};
use crate::{
    db::{
        DbError, agents, budgets, command_runs,
        deliveries::{self, NewDelivery},
        ledger,
        partitions::{self, Partitioned},
        questions, reports, repositories, tasks,
        usage::{self, Settled},
    },
    model::{
        Actor, AfterQuota, Cause, Command, Form, Job, NewEvent, NewJob, Subject, Sweep, Task,
        TaskId, Timestamp, What,
    },
    queue::{self, Claimed, Wake},
    workflow::policy::within,
};

/// How far back the list of deliveries is read: GitHub keeps it for three days.
const DELIVERIES_BACK: TimeDelta = TimeDelta::hours(70);
/// How long after the end of its agent a request to the model may still be settled by its answer.
const LAST_ANSWER: TimeDelta = TimeDelta::minutes(10);
/// How many rows one sweep takes up.
const BATCH: i64 = 200;
/// How long deliveries are kept.
const KEEP_DELIVERIES: TimeDelta = TimeDelta::days(30);

/// How often each reconciler runs without being asked.
#[must_use]
pub fn interval(sweep: Sweep) -> Duration {
    Duration::from_secs(match sweep {
        Sweep::Deadlines | Sweep::Reports => 30,
        Sweep::Agents => 60,
        Sweep::OpenTasks | Sweep::Deliveries => 300,
        Sweep::Retention => 3600,
    })
}

/// Runs one reconciler.
pub(super) async fn run(parts: &Parts, claimed: &Claimed, sweep: Sweep) -> Result<(), Failure> {
    let wake = match sweep {
        Sweep::Deliveries => missed_deliveries(parts).await?,
        Sweep::OpenTasks => open_tasks(parts).await?,
        Sweep::Reports => unsaid(parts).await?,
        Sweep::Agents => {
            last_word::of_lost(parts).await?;
            unused_workspaces(parts).await?;
            settle_unseen(parts).await?;
            Wake::none()
        }
        Sweep::Deadlines => deadlines(parts).await?,
        Sweep::Retention => retention(parts).await?,
    };
    let mut tx = parts.pool.begin().await?;
    queue::finish(&mut tx, claimed, parts.clock.now()).await?;
    tx.commit().await?;
    wake.release(&parts.wakes);
    Ok(())
}

/// Pulls what GitHub could not hand over: it sends nothing twice by itself.
async fn missed_deliveries(parts: &Parts) -> Result<Wake, Failure> {
    let now = parts.clock.now();
    let listed = parts.github.deliveries_since(now - DELIVERIES_BACK).await?;
    let guids: Vec<_> = listed.iter().map(|delivery| delivery.guid).collect();
    let unknown = deliveries::unknown_of(&parts.pool, &guids).await?;
    let mut pulled = Vec::new();
    for summary in listed.iter().filter(|delivery| unknown.contains(&delivery.guid)) {
        if pulled.iter().any(|delivery: &NewDelivery| delivery.guid == summary.guid) {
            continue;
        }
        let delivery = parts.github.delivery(summary.id).await?;
        pulled.push(NewDelivery {
            guid: summary.guid,
            received_at: now,
            event: summary.event.clone(),
            target_id: None,
            headers: serde_json::json!(delivery.headers),
            body: delivery.payload.into(),
        });
    }
    if !pulled.is_empty() {
        tracing::info!(deliveries = pulled.len(), "pulled deliveries that never arrived");
    }
    let mut tx = parts.pool.begin().await?;
    let inserted = deliveries::insert_batch(&mut *tx, &pulled).await?;
    let jobs: Vec<NewJob> =
        inserted.into_iter().map(|guid| job(Job::ParseDelivery { guid }, None, now)).collect();
    let wake = queue::enqueue(&mut tx, &jobs).await?;
    tx.commit().await?;
    Ok(wake)
}

/// Compares every open task with what GitHub shows.
async fn open_tasks(parts: &Parts) -> Result<Wake, Failure> {
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let page = tasks::list_open(&parts.pool, after, BATCH).await?;
        let Some(last) = page.last() else { break };
        after = Some(*last);
        for id in page {
            found.extend(differences(parts, id).await?);
        }
    }
    let mut tx = parts.pool.begin().await?;
    let wake = parse::save(&mut tx, &found, parts.clock.now()).await?;
    tx.commit().await?;
    Ok(wake)
}

/// What happened to a task on GitHub that Baton does not know of.
async fn differences(parts: &Parts, id: TaskId) -> Result<Vec<NewEvent>, Failure> {
    let row = tasks::load(&parts.pool, id).await?;
    let task = row.task;
    let repository = repositories::load(&parts.pool, row.repository).await?;
    let repo = parts.github.repository(&repository);
    let mut told = Vec::new();
    if let Some(pull) = task.pull
        && let Some(facts) = known(repo.pull(pull).await)?
    {
        match facts.merged {
            Some(commit) if task.merged.is_none() => told.push(What::PullMerged { commit }),
            Some(_) => {}
            None if !facts.open => told.push(What::PullClosed),
            None if task.head.as_ref() != Some(&facts.head) => {
                told.push(What::PullUpdated { head: facts.head });
            }
            None => {}
        }
    }
    if let Some(issue) = known(repo.issue(task.number).await)?
        && !issue.open
        && task.merged.is_none()
    {
        told.push(What::TaskClosed);
    }
    let now = parts.clock.now();
    Ok(told.into_iter().map(|what| event(&task, row.repository, what, now)).collect())
}

/// Seen by looking: the version in the key lets the same difference be told again once the task moved.
fn event(
    task: &Task,
    repository: crate::model::RepositoryId,
    what: What,
    at: Timestamp,
) -> NewEvent {
    NewEvent {
        at,
        repository,
        subject: Subject::Task(task.id),
        actor: Actor::System,
        cause: Cause::Sweep,
        dedup_key: format!("sweep:{}:{}:{}", task.id, task.version, what.name()),
        what,
    }
}

/// Enqueues again what should have been said or done.
async fn unsaid(parts: &Parts) -> Result<Wake, Failure> {
    let now = parts.clock.now();
    let mut jobs = Vec::new();
    for id in reports::list_lagging(&parts.pool, now, BATCH).await? {
        jobs.push(NewJob::say(id, None, now));
    }
    for id in ledger::list_unfinished(&parts.pool, now - TimeDelta::minutes(10), BATCH).await? {
        let dedup = Some(format!("perform:{id}"));
        let row = ledger::load(&parts.pool, id).await?;
        jobs.push(NewJob {
            key: Some(perform::key(row.task, row.event, id)),
            ..job(Job::Perform { act: id }, dedup, now)
        });
    }
    let mut tx = parts.pool.begin().await?;
    let wake = queue::enqueue(&mut tx, &jobs).await?;
    tx.commit().await?;
    Ok(wake)
}

/// Resumes tasks whose quota is back, save where a person is to say so, and goes on where nobody answered
/// in time.
async fn deadlines(parts: &Parts) -> Result<Wake, Failure> {
    let now = parts.clock.now();
    let mut found = Vec::new();
    for id in tasks::list_quota_back(&parts.pool, now).await? {
        let row = tasks::load(&parts.pool, id).await?;
        if within(row.policy.clone(), &parts.settings.limits).after_quota == AfterQuota::Person {
            continue;
        }
        let what =
            What::CommandGiven { command: Command::Resume, form: Form::Operator, comment: None };
        found.push(event(&row.task, row.repository, what, now));
    }
    for (task, question) in questions::list_due(&parts.pool, now).await? {
        let row = tasks::load(&parts.pool, task).await?;
        found.push(event(&row.task, row.repository, What::DeadlinePassed { question }, now));
    }
    let mut tx = parts.pool.begin().await?;
    let wake = parse::save(&mut tx, &found, now).await?;
    tx.commit().await?;
    Ok(wake)
}

/// Books what nobody saw the end of, each by itself: a settlement may come in between.
async fn settle_unseen(parts: &Parts) -> Result<(), Failure> {
    let now = parts.clock.now();
    for id in usage::list_unseen(&parts.pool, now - LAST_ANSWER).await? {
        let mut tx = parts.pool.begin().await?;
        match usage::settle(&mut tx, id, Settled::Unseen, now).await {
            Ok(()) => tx.commit().await?,
            Err(DbError::Stale { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Deletes what agents and runs of a Baton that was killed have left on this machine.
async fn unused_workspaces(parts: &Parts) -> Result<(), Failure> {
    let later = |error: std::io::Error| Failure::Later {
        after: Duration::from_secs(60),
        reason: error.to_string(),
    };
    // Looked for first: a workspace that is made meanwhile belongs to an agent not asked about below.
    let found = parts.runtime.workspaces.list().map_err(later)?;
    let agents = agents::list_open(&parts.pool).await?;
    let runs = command_runs::list_pending(&parts.pool).await?;
    let agents = agents.iter().map(|row| format!("agent-{}", row.agent.id));
    let in_use: Vec<String> = agents.chain(runs.iter().map(|run| format!("run-{run}"))).collect();
    let unused = found.into_iter().filter(|key| !in_use.iter().any(|used| used == key.as_str()));
    parts.runtime.clear_all(unused).map_err(later)
}

async fn retention(parts: &Parts) -> Result<Wake, Failure> {
    let now = parts.clock.now();
    partitions::ensure(&parts.pool, now).await?;
    let details = TimeDelta::days(parts.settings.keep.log_days.into());
    for table in Partitioned::ALL {
        partitions::drop_before(&parts.pool, table, now - details).await?;
    }
    collect(parts).await?;
    mirrors::collect(parts).await?;
    let keep = parts.settings.keep;
    let unused_since = now - TimeDelta::days(keep.days.into());
    let layers = parts.runtime.workspaces.collect_layers(unused_since, keep.bytes);
    match layers {
        Ok(0) => {}
        Ok(layers) => tracing::info!(layers, "deleted what set-ups brought and nobody used"),
        Err(error) => tracing::warn!(%error, "what set-ups brought could not be looked through"),
    }
    budgets::forget(&parts.pool, now).await?;
    while deliveries::delete_before(&parts.pool, now - KEEP_DELIVERIES, 1000).await? == 1000 {}
    Ok(Wake::none())
}

/// Takes base checkouts away that are not worth their room.
async fn collect(parts: &Parts) -> Result<(), Failure> {
    let (workspaces, keep) = (parts.runtime.workspaces.clone(), parts.settings.keep);
    let now = parts.clock.now().into();
    let collected = tokio::task::spawn_blocking(move || workspaces.collect(&keep, now)).await;
    match collected.unwrap_or_else(|error| Err(std::io::Error::other(error))) {
        Ok(collected) if collected.bases > 0 => {
            let (bases, bytes) = (collected.bases, collected.bytes);
            tracing::info!(bases, bytes, "took base checkouts away");
        }
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, "base checkouts could not be looked at"),
    }
    Ok(())
}

fn job(job: Job, dedup: Option<String>, run_at: Timestamp) -> NewJob {
    NewJob { job, key: None, dedup, priority: 0, repository: None, shares: Vec::new(), run_at }
}

/// The jobs that run every reconciler once, as soon as there is a worker.
#[must_use]
pub fn all(now: Timestamp) -> Vec<NewJob> {
    Sweep::ALL.into_iter().map(|sweep| one(sweep, now)).collect()
}

/// The job that runs one reconciler; while one waits, another changes nothing.
#[must_use]
pub fn one(sweep: Sweep, now: Timestamp) -> NewJob {
    job(Job::Sweep(sweep), Some(format!("sweep:{}", sweep.name())), now)
}
