//! The runner: handlers that work, panic, hang and lose their lease.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use baton::{
    clock::Clock,
    db, embedded,
    model::{EventId, Job, Lane, NewJob},
    queue::{self, Claimed, Outcome, Runner, RunnerSettings, Wakes},
};
use chrono::TimeDelta;
use sqlx::PgPool;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use super::{agent, count, enqueue, keyed, last_attempt, plain};
use crate::support::database::{OwnServer, TestDatabase};

/// Long enough for a loaded machine; reached only by a test that fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often each event was run.
type Seen = Arc<Mutex<BTreeMap<i64, usize>>>;

fn event_of(claimed: &Claimed) -> i64 {
    match claimed.job {
        Job::Route { event } | Job::Decide { event, .. } => event.0,
        ref other => panic!("unexpected {other:?}"),
    }
}

/// Nothing happens by polling.
fn without_poll(worker: &str) -> RunnerSettings {
    RunnerSettings { poll: Duration::from_secs(3_600), ..RunnerSettings::new(worker) }
}

fn runner_that_counts(pool: PgPool, wakes: Wakes, settings: RunnerSettings, seen: Seen) -> Runner {
    Runner::new(pool, Clock::system(), wakes, settings, move |claimed| {
        *seen.lock().unwrap().entry(event_of(&claimed)).or_default() += 1;
        async { Outcome::Finish }
    })
}

async fn until(mut is_so: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("it never came to be");
}

#[tokio::test]
async fn running_until_idle_follows_what_handlers_enqueue_and_leaves_the_future_alone() {
    let database = TestDatabase::new().await;
    let pool = database.pool.clone();
    let tomorrow = NewJob { run_at: Clock::system().now() + TimeDelta::days(1), ..plain(9) };
    let _wake = enqueue(&pool, &[plain(1), plain(7), tomorrow]).await;
    let seen: Seen = Seen::default();
    let (log, handler_pool) = (Arc::clone(&seen), pool.clone());
    let clock = Clock::system();
    let settings = RunnerSettings::new("a");
    let runner = Runner::new(pool.clone(), clock.clone(), Wakes::new(), settings, move |job| {
        let (pool, log) = (handler_pool.clone(), Arc::clone(&log));
        async move {
            let event = event_of(&job);
            *log.lock().unwrap().entry(event).or_default() += 1;
            if event == 1 {
                // Nothing is due while this one still runs.
                while count(&pool, "job_history").await == 0 {
                    tokio::task::yield_now().await;
                }
            }
            let mut transaction = pool.begin().await.unwrap();
            let next = if event < 5 { vec![keyed(event + 1, 7)] } else { vec![] };
            let wake = queue::enqueue(&mut transaction, &next).await.unwrap();
            queue::finish(&mut transaction, &job, super::noon()).await.unwrap();
            transaction.commit().await.unwrap();
            drop(wake);
            Outcome::Done
        }
    });
    assert_eq!(runner.run_until_idle().await.unwrap(), 6);
    assert_eq!(seen.lock().unwrap().keys().copied().collect::<Vec<_>>(), [1, 2, 3, 4, 5, 7]);
    clock.advance(TimeDelta::days(2));
    assert_eq!(runner.run_until_idle().await.unwrap(), 1);
    assert_eq!(count(&pool, "jobs").await, 0);
}

#[tokio::test]
async fn a_panic_costs_its_job_an_attempt_and_nothing_else() {
    let database = TestDatabase::new().await;
    let pool = database.pool.clone();
    let _wake = enqueue(&pool, &[plain(1), plain(2), agent(3, 1)]).await;
    last_attempt(&pool).await;
    let clock = Clock::system();
    let settings = RunnerSettings::new("a");
    let runner =
        Runner::new(pool.clone(), clock.clone(), Wakes::new(), settings, |job| async move {
            let is_first = job.attempts == 1;
            match job.job {
                Job::Route { event: EventId(1) } if is_first => {
                    panic!("a bug (as this test wants)")
                }
                Job::RunAgent { .. } => panic!("a bug (as this test wants)"),
                _ => Outcome::Finish,
            }
        });
    runner.run_until_idle().await.unwrap();
    assert_eq!(count(&pool, "jobs").await, 2);
    clock.advance(TimeDelta::minutes(1));
    assert_eq!(runner.run_until_idle().await.unwrap(), 1);

    // What was its last attempt is lost: whoever takes what is lost hears of it at once.
    let mut connection = pool.acquire().await.unwrap();
    let lost = queue::take_lost(&mut connection, clock.now()).await.unwrap();
    assert_eq!(lost[0].job, agent(3, 1).job);
    assert_eq!(count(&pool, "jobs").await, 0);
}

#[tokio::test]
async fn another_process_is_woken_without_polling() {
    let database = TestDatabase::new().await;
    let stop = CancellationToken::new();
    let (sender, mut ran) = mpsc::unbounded_channel();
    let (clock, wakes) = (Clock::system(), Wakes::new());
    let runner =
        Runner::new(database.another_pool().await, clock, wakes, without_poll("a"), move |job| {
            sender.send(event_of(&job)).unwrap();
            async { Outcome::Finish }
        });
    // The other process runs no jobs of its own; it enqueues and tells.
    let here = Wakes::new();
    let settings = RunnerSettings { lanes: BTreeMap::new(), ..without_poll("b") };
    let idle =
        Runner::new(database.pool.clone(), Clock::system(), here.clone(), settings, |_| async {
            Outcome::Finish
        });
    let _drop = stop.clone().drop_guard();
    tokio::spawn({
        let stop = stop.clone();
        async move { runner.run(stop).await }
    });
    // Its first look at the queue is over once it listens.
    until(async || {
        let listening = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND \
            datname = current_database()";
        let listening: i64 = sqlx::query_scalar(listening).fetch_one(&database.pool).await.unwrap();
        listening == 1
    })
    .await;
    for event in 1..=50 {
        enqueue(&database.pool, &[plain(event)]).await.release(&here);
        here.flush(&database.pool).await.unwrap();
        let heard = tokio::time::timeout(PATIENCE, ran.recv()).await.expect("a wake-up was lost");
        assert_eq!(heard, Some(event));
    }
    idle.run(CancellationToken::new()).await;
}

#[tokio::test]
async fn this_process_is_woken_without_polling_or_notify() {
    let database = TestDatabase::new().await;
    let stop = CancellationToken::new();
    let _drop = stop.clone().drop_guard();
    let wakes = Wakes::new();
    let (sender, mut ran) = mpsc::unbounded_channel();
    let pool = database.pool.clone();
    let runner = Runner::new(pool, Clock::system(), wakes.clone(), without_poll("a"), move |job| {
        sender.send(event_of(&job)).unwrap();
        async { Outcome::Finish }
    });
    tokio::spawn(async move { runner.run(stop).await });
    for event in 1..=200 {
        enqueue(&database.pool, &[plain(event)]).await.release(&wakes);
        let heard = tokio::time::timeout(PATIENCE, ran.recv()).await.expect("a wake-up was lost");
        assert_eq!(heard, Some(event));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_runners_share_the_work_and_run_each_job_once() {
    const JOBS: i64 = 1_000;
    let database = TestDatabase::new().await;
    let jobs: Vec<_> =
        (0..JOBS).map(|n| if n % 2 == 0 { plain(n) } else { keyed(n, n % 10) }).collect();
    let _wake = enqueue(&database.pool, &jobs).await;
    let (first, second) = (Seen::default(), Seen::default());
    let stop = CancellationToken::new();
    let mut runners = tokio::task::JoinSet::new();
    for (name, seen) in [("a", &first), ("b", &second)] {
        let (pool, settings) = (database.another_pool().await, RunnerSettings::new(name));
        let runner = runner_that_counts(pool, Wakes::new(), settings, Arc::clone(seen));
        let stop = stop.clone();
        runners.spawn(async move { runner.run(stop).await });
    }
    until(async || count(&database.pool, "jobs").await == 0).await;
    stop.cancel();
    while let Some(ended) = runners.join_next().await {
        ended.unwrap();
    }
    let mut all = first.lock().unwrap().clone();
    for (event, times) in second.lock().unwrap().iter() {
        *all.entry(*event).or_default() += times;
    }
    assert_eq!(all.len(), JOBS as usize);
    assert!(all.values().all(|times| *times == 1), "some ran twice: {all:?}");
    assert!(!first.lock().unwrap().is_empty() && !second.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_handler_hears_that_its_lease_was_lost_and_writes_nothing() {
    let database = TestDatabase::new().await;
    let pool = database.pool.clone();
    let _wake = enqueue(&pool, &[plain(1)]).await;
    let (started, heard) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (starts, hears) = (Arc::clone(&started), Arc::clone(&heard));
    let settings = RunnerSettings { heartbeat: Duration::from_millis(20), ..without_poll("a") };
    let stop = CancellationToken::new();
    let runner = Runner::new(pool.clone(), Clock::system(), Wakes::new(), settings, move |job| {
        let (started, heard) = (Arc::clone(&starts), Arc::clone(&hears));
        async move {
            started.notify_one();
            job.lost.cancelled().await;
            heard.notify_one();
            Outcome::Fail { error: "written without a lease".into() }
        }
    });
    let running = tokio::spawn({
        let stop = stop.clone();
        async move { runner.run(stop).await }
    });
    tokio::time::timeout(PATIENCE, started.notified()).await.unwrap();
    sqlx::query("UPDATE jobs SET lease_token = gen_random_uuid()").execute(&pool).await.unwrap();
    tokio::time::timeout(PATIENCE, heard.notified()).await.expect("it was not told");
    stop.cancel();
    tokio::time::timeout(PATIENCE, running).await.unwrap().unwrap();
    assert_eq!((count(&pool, "jobs").await, count(&pool, "job_history").await), (1, 0));
}

#[tokio::test]
async fn stopping_claims_nothing_more_and_waits_for_what_runs() {
    let database = TestDatabase::new().await;
    let pool = database.pool.clone();
    let _wake = enqueue(&pool, &[keyed(1, 1), keyed(2, 1)]).await;
    let (started, gate) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (starts, waits) = (Arc::clone(&started), Arc::clone(&gate));
    let stop = CancellationToken::new();
    let settings = RunnerSettings::new("a");
    let runner = Runner::new(pool.clone(), Clock::system(), Wakes::new(), settings, move |_| {
        let (started, gate) = (Arc::clone(&starts), Arc::clone(&waits));
        async move {
            started.notify_one();
            gate.notified().await;
            Outcome::Finish
        }
    });
    let running = tokio::spawn({
        let stop = stop.clone();
        async move { runner.run(stop).await }
    });
    tokio::time::timeout(PATIENCE, started.notified()).await.unwrap();
    stop.cancel();
    tokio::task::yield_now().await;
    assert!(!running.is_finished());
    gate.notify_one();
    tokio::time::timeout(PATIENCE, running).await.unwrap().unwrap();
    assert_eq!((count(&pool, "jobs").await, count(&pool, "job_history").await), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_lost_when_the_database_server_is_killed() {
    const JOBS: i64 = 3_000;
    let mut own = OwnServer::new();
    own.settings.durable = true;
    let server = embedded::start(&own.settings).await.unwrap();
    let pool = own.pool(&server).await;
    db::migrate(&pool).await.unwrap();
    let jobs: Vec<_> =
        (0..JOBS).map(|n| if n % 3 == 0 { keyed(n, n % 7) } else { plain(n) }).collect();
    let _wake = enqueue(&pool, &jobs).await;

    let (clock, seen) = (Clock::system(), Seen::default());
    let log = Arc::clone(&seen);
    let stop = CancellationToken::new();
    let poll = Duration::from_millis(50);
    let quick = RunnerSettings { poll, heartbeat: poll, ..RunnerSettings::new("a") };
    let runner = Runner::new(pool.clone(), clock.clone(), Wakes::new(), quick, move |job| {
        *log.lock().unwrap().entry(event_of(&job)).or_default() += 1;
        async { Outcome::Finish }
    });
    let running = tokio::spawn({
        let stop = stop.clone();
        async move { runner.run(stop).await }
    });
    until(async || seen.lock().unwrap().len() > 300).await;
    own.kill();
    drop(server);
    let server = embedded::start(&own.settings).await.unwrap();

    // Claims whose answer the crash swallowed are under leases that nobody holds.
    clock.advance(TimeDelta::minutes(2));
    until(async || {
        let left = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM jobs").fetch_one(&pool).await;
        left.is_ok_and(|left| left == 0)
    })
    .await;
    stop.cancel();
    running.await.unwrap();
    assert_eq!(seen.lock().unwrap().len(), JOBS as usize);
    let ended = "SELECT count(DISTINCT id) FROM job_history WHERE result = 'done'";
    let ended: i64 = sqlx::query_scalar(ended).fetch_one(&pool).await.unwrap();
    assert_eq!(ended, JOBS);
    assert_eq!(count(&pool, "job_keys").await, 0);
    pool.close().await;
    assert!(server.discard().await.unwrap());
}

#[test]
fn every_lane_has_workers_by_default() {
    let settings = RunnerSettings::new("a");
    assert!(Lane::ALL.iter().all(|lane| settings.lanes.contains_key(lane)));
}
