//! The queue against a real Postgres: leases, keys, limits, and what happens when things die.

mod claiming;
mod running;
mod sharing;

use baton::{
    model::{AgentId, EventId, Job, Lane, NewJob, ReportId, RepositoryId, TaskId, Timestamp},
    queue::{self, Claim, Claimed, Running},
};
use chrono::TimeDelta;
use sqlx::PgPool;

/// Every test's beginning of time.
fn noon() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

/// A job without key or dedup word, due at noon.
fn plain(event: i64) -> NewJob {
    NewJob {
        job: Job::Route { event: EventId(event) },
        key: None,
        dedup: None,
        priority: 0,
        repository: None,
        shares: Vec::new(),
        run_at: noon(),
    }
}

/// A job that decides about a task, one after another.
fn keyed(event: i64, task: i64) -> NewJob {
    let job = Job::Decide { event: EventId(event), task: Some(TaskId(task)) };
    NewJob { job, key: Some(format!("task:{task}")), ..plain(0) }
}

/// A job that says a report, once however often it is asked for.
fn deduplicated(report: i64) -> NewJob {
    let job = Job::Say { report: ReportId(report) };
    NewJob { job, dedup: Some(format!("report:{report}")), ..plain(0) }
}

/// An agent's job in a repository.
fn agent(id: i64, repository: i64) -> NewJob {
    let repository = Some(RepositoryId(repository));
    NewJob { job: Job::RunAgent { agent: AgentId(id) }, repository, ..plain(0) }
}

async fn enqueue(pool: &PgPool, jobs: &[NewJob]) -> queue::Wake {
    let mut transaction = pool.begin().await.unwrap();
    let wake = queue::enqueue(&mut transaction, jobs).await.unwrap();
    transaction.commit().await.unwrap();
    wake
}

fn request(lane: Lane, count: u32, now: Timestamp) -> Claim<'static> {
    let (lease, running) = (TimeDelta::seconds(60), Running::default());
    Claim { lane, count, worker: "test", now, lease, running }
}

async fn claim(pool: &PgPool, lane: Lane, count: u32, now: Timestamp) -> Vec<Claimed> {
    queue::claim(pool, &request(lane, count, now)).await.unwrap()
}

async fn finish(pool: &PgPool, claimed: &Claimed) -> Result<(), queue::QueueError> {
    let mut transaction = pool.begin().await.unwrap();
    queue::finish(&mut transaction, claimed, noon()).await?;
    transaction.commit().await.unwrap();
    Ok(())
}

async fn count(pool: &PgPool, table: &'static str) -> i64 {
    let query = sqlx::AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
    sqlx::query_scalar(query).fetch_one(pool).await.unwrap()
}

/// Lets all agents' jobs have one attempt in all.
async fn last_attempt(pool: &PgPool) {
    let statement = "UPDATE jobs SET max_attempts = 1 WHERE lane = 'agent'";
    sqlx::query(statement).execute(pool).await.unwrap();
}
