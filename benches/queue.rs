//! Figures of the queue and of the log store, on a private Postgres that keeps what it commits.
//!
//! `cargo bench --bench queue`; `BATON_BENCH_JOBS` says with how many jobs (100,000). Compare figures
//! of one run with each other: on shared machines two runs differ by a factor of two.
#![expect(clippy::unwrap_used, reason = "a bench that cannot go on should say where")]

mod support;

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use baton::{
    clock::Clock,
    db::{self, agent_lines::Line},
    logs::{DatabaseLines, LogSettings, LogStream, Logs, Redactor},
    model::{AgentId, EventId, Job, Lane, NewJob, TaskId},
    queue::{self, Claim, Outcome, Runner, RunnerSettings, Running, Wakes},
};
use chrono::TimeDelta;
use sqlx::PgPool;
use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;

use support::Database;

/// Jobs in one claim and one finish.
const BATCH: u32 = 500;

/// Workers that drain together.
const WORKERS: usize = 4;

#[tokio::main]
async fn main() {
    let jobs: i64 =
        std::env::var("BATON_BENCH_JOBS").ok().and_then(|it| it.parse().ok()).unwrap_or(100_000);
    let database = Database::start(60, 24).await;
    let pool = database.pool.clone();
    db::partitions::ensure(&pool, Clock::system().now()).await.unwrap();

    drained(&pool, "drained in batches, no keys", jobs, None).await;
    drained(&pool, "drained in batches, 10,000 keys", jobs, Some(10_000)).await;
    drained(&pool, "drained in batches, 100 keys", jobs / 10, Some(100)).await;
    drained_by_runner(&pool, jobs / 2).await;
    enqueued_singly(&pool, 2_000).await;
    picked_up_when_idle(&pool, 2_000).await;
    lines_stored(&pool, 200).await;
    lines_from_programs(&pool, 8, 60_000).await;

    database.stop().await;
}

fn job(event: i64, keys: Option<i64>) -> NewJob {
    let task = keys.map(|keys| TaskId(event % keys));
    let event = EventId(event);
    let job = match task {
        Some(task) => Job::Decide { event, task: Some(task) },
        None => Job::Route { event },
    };
    let key = task.map(|task| format!("task:{task}"));
    let run_at = Clock::system().now();
    NewJob { job, key, dedup: None, priority: 0, repository: None, shares: Vec::new(), run_at }
}

async fn enqueue_all(pool: &PgPool, jobs: i64, keys: Option<i64>) {
    let all: Vec<_> = (0..jobs).map(|event| job(event, keys)).collect();
    for some in all.chunks(5_000) {
        let mut transaction = pool.begin().await.unwrap();
        drop(queue::enqueue(&mut transaction, some).await.unwrap());
        transaction.commit().await.unwrap();
    }
}

async fn wal(pool: &PgPool) -> i64 {
    let query = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint";
    sqlx::query_scalar(query).fetch_one(pool).await.unwrap()
}

async fn drained(pool: &PgPool, name: &str, jobs: i64, keys: Option<i64>) {
    let log_before = wal(pool).await;
    enqueue_all(pool, jobs, keys).await;
    let lane = if keys.is_some() { Lane::Decide } else { Lane::Quick };
    let began = Instant::now();
    let mut workers = JoinSet::new();
    for _ in 0..WORKERS {
        let pool = pool.clone();
        workers.spawn(async move { drain(&pool, lane).await });
    }
    let done: i64 = workers.join_all().await.into_iter().sum();
    let elapsed = began.elapsed();
    assert_eq!(done, jobs);
    let log = (wal(pool).await - log_before) / jobs;
    println!("{name}: {:.0} jobs/s, {log} bytes of WAL a job", per_second(jobs, elapsed));
}

/// Works until nothing is left; gives how many jobs it did.
async fn drain(pool: &PgPool, lane: Lane) -> i64 {
    let clock = Clock::system();
    let (mut done, mut empty) = (0, 0);
    // A claim may come back empty while others hold all keys.
    while empty < 20 {
        let (lease, running) = (TimeDelta::seconds(60), Running::default());
        let now = clock.now();
        let request = Claim { lane, count: BATCH, worker: "bench", now, lease, running };
        let claimed = queue::claim(pool, &request).await.unwrap();
        if claimed.is_empty() {
            empty += 1;
            tokio::time::sleep(Duration::from_millis(1)).await;
            continue;
        }
        empty = 0;
        done += queue::finish_batch(pool, &claimed, clock.now()).await.unwrap().len() as i64;
    }
    done
}

async fn drained_by_runner(pool: &PgPool, jobs: i64) {
    enqueue_all(pool, jobs, None).await;
    let lanes = BTreeMap::from([(Lane::Quick, 2_000)]);
    let settings = RunnerSettings { lanes, ..RunnerSettings::new("bench") };
    let (clock, wakes) = (Clock::system(), Wakes::new());
    let runner = Runner::new(pool.clone(), clock, wakes, settings, |_| async { Outcome::Finish });
    let began = Instant::now();
    runner.run_until_idle().await.unwrap();
    println!("drained by one runner: {:.0} jobs/s", per_second(jobs, began.elapsed()));
}

/// Eight clients, a transaction a job, and other processes are told.
async fn enqueued_singly(pool: &PgPool, each: i64) {
    let wakes = Wakes::new();
    let stop = CancellationToken::new();
    // A process that runs the agent lane alone: it listens and tells, and leaves the jobs.
    let lanes = BTreeMap::from([(Lane::Agent, 1)]);
    let settings = RunnerSettings { lanes, ..RunnerSettings::new("bench") };
    let runner = Runner::new(pool.clone(), Clock::system(), wakes.clone(), settings, |_| async {
        Outcome::Finish
    });
    let running = tokio::spawn({
        let stop = stop.clone();
        async move { runner.run(stop).await }
    });
    let began = Instant::now();
    let mut clients = JoinSet::new();
    for _ in 0..8 {
        let (pool, wakes) = (pool.clone(), wakes.clone());
        clients.spawn(async move {
            for event in 0..each {
                let mut transaction = pool.begin().await.unwrap();
                let wake = queue::enqueue(&mut transaction, &[job(event, None)]).await.unwrap();
                transaction.commit().await.unwrap();
                wake.release(&wakes);
            }
        });
    }
    clients.join_all().await;
    let elapsed = began.elapsed();
    println!("enqueued singly with wake, 8 clients: {:.0} jobs/s", per_second(8 * each, elapsed));
    stop.cancel();
    running.await.unwrap();
    drain(pool, Lane::Quick).await;
}

/// From before the enqueueing transaction to the handler's first line.
async fn picked_up_when_idle(pool: &PgPool, times: i64) {
    let (wakes, stop) = (Wakes::new(), CancellationToken::new());
    let (sender, mut started) = mpsc::unbounded_channel();
    let settings = RunnerSettings::new("bench");
    let runner = Runner::new(pool.clone(), Clock::system(), wakes.clone(), settings, move |_| {
        sender.send(Instant::now()).unwrap();
        async { Outcome::Finish }
    });
    let running = tokio::spawn({
        let stop = stop.clone();
        async move { runner.run(stop).await }
    });
    let (mut whole, mut after_commit) = (Vec::new(), Vec::new());
    for event in 0..times {
        tokio::time::sleep(Duration::from_millis(3)).await;
        let began = Instant::now();
        let mut transaction = pool.begin().await.unwrap();
        let wake = queue::enqueue(&mut transaction, &[job(event, None)]).await.unwrap();
        transaction.commit().await.unwrap();
        let committed = Instant::now();
        wake.release(&wakes);
        let picked_up = started.recv().await.unwrap();
        whole.push(picked_up - began);
        after_commit.push(picked_up.saturating_duration_since(committed));
    }
    stop.cancel();
    running.await.unwrap();
    report("picked up when idle, enqueueing included", whole);
    report("picked up when idle, after the commit", after_commit);
}

async fn lines_stored(pool: &PgPool, batches: i64) {
    let text =
        "a line of ninety characters, as agents print them when they say what they do next, ok";
    let at = Clock::system().now();
    let began = Instant::now();
    let mut writers = JoinSet::new();
    for writer in 0..2 {
        let pool = pool.clone();
        writers.spawn(async move {
            for batch in 0..batches {
                let line = |n| Line {
                    agent: AgentId(writer),
                    seq: batch * 1_000 + n,
                    at,
                    stream: "out".into(),
                    text: text.into(),
                };
                let lines: Vec<_> = (0..1_000).map(line).collect();
                db::agent_lines::insert_batch(&pool, &lines).await.unwrap();
            }
        });
    }
    writers.join_all().await;
    let stored = 2 * batches * 1_000;
    println!("log lines stored: {:.0} lines/s", per_second(stored, began.elapsed()));
}

/// The whole way of lines: read by the agents' writers, without secrets, numbered, and stored.
async fn lines_from_programs(pool: &PgPool, agents: i64, lines: i64) {
    let text =
        "a line of ninety characters, as agents print them when they say what they do next, ok";
    let secrets =
        ["a-webhook-secret-of-some-length", "sk-ant-a-key-of-the-usual-length-0123456789"];
    let store = Arc::new(DatabaseLines(pool.clone()));
    let redactor = Redactor::new(secrets);
    let logs = Logs::start(store, redactor, Clock::system(), LogSettings::default());
    let began = Instant::now();
    let mut writers = JoinSet::new();
    for agent in 0..agents {
        let mut writer = logs.open(AgentId(1_000 + agent));
        writers.spawn(async move {
            for _ in 0..lines {
                writer.line(LogStream::Output, text.as_bytes()).await;
            }
        });
    }
    writers.join_all().await;
    logs.stop().await;
    let rate = per_second(agents * lines, began.elapsed());
    println!(
        "log lines of {agents} agents, from what they print to the database: {rate:.0} lines/s"
    );
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn per_second(count: i64, elapsed: Duration) -> f64 {
    count as f64 / elapsed.as_secs_f64()
}

fn report(name: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |part: usize| times[(times.len() - 1) * part / 100];
    println!("{name}: p50 {:.2?}, p99 {:.2?}", at(50), at(99));
}
