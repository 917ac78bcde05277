//! Claiming, finishing and taking back, statement by statement.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering},
    },
};

use baton::{
    model::{EventId, Job, Lane, NewJob, RepositoryId, TaskId},
    queue::{self, QueueError, Retried, Running, Scope},
};
use chrono::TimeDelta;
use sqlx::PgPool;

use super::{
    agent, claim, count, deduplicated, enqueue, finish, keyed, last_attempt, noon, plain, request,
};
use crate::support::database::TestDatabase;

/// What sixteen workers share.
struct Work {
    pool: PgPool,
    jobs: usize,
    /// Whether a job of that key runs.
    busy: [AtomicBool; 4],
    /// What ran, a key, in order.
    ran: Mutex<BTreeMap<i64, Vec<i64>>>,
    done: AtomicUsize,
    /// Milliseconds since noon.
    time: AtomicI64,
}

impl Work {
    /// Enqueues the jobs and lets sixteen workers do them.
    async fn all_done(pool: &PgPool, jobs: &[NewJob]) -> BTreeMap<i64, Vec<i64>> {
        let _wake = enqueue(pool, jobs).await;
        let work = Arc::new(Self {
            pool: pool.clone(),
            jobs: jobs.len(),
            busy: Default::default(),
            ran: Mutex::default(),
            done: AtomicUsize::new(0),
            time: AtomicI64::new(0),
        });
        let mut workers = tokio::task::JoinSet::new();
        for worker in 0..16 {
            let work = Arc::clone(&work);
            // Some ask for one, some for more than there are keys.
            workers.spawn(async move { work.some(1 + worker % 6).await });
        }
        workers.join_all().await;
        assert_eq!(count(pool, "jobs").await, 0);
        assert_eq!(count(pool, "job_keys").await, 0);
        assert_eq!(count(pool, "job_history").await, jobs.len() as i64);
        work.ran.lock().unwrap().clone()
    }

    async fn some(&self, batch: u32) {
        while self.done.load(Ordering::SeqCst) < self.jobs {
            let now = noon() + TimeDelta::milliseconds(self.time.fetch_add(1, Ordering::SeqCst));
            for claimed in claim(&self.pool, Lane::Decide, batch, now).await {
                let Job::Decide { event, task: Some(TaskId(key)) } = claimed.job else {
                    panic!("another job than was enqueued: {claimed:?}")
                };
                let busy = &self.busy[key as usize];
                assert!(!busy.swap(true, Ordering::SeqCst), "two jobs of key {key} at once");
                tokio::task::yield_now().await;
                self.ran.lock().unwrap().entry(key).or_default().push(event.0);
                busy.store(false, Ordering::SeqCst);
                finish(&self.pool, &claimed).await.unwrap();
                self.done.fetch_add(1, Ordering::SeqCst);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixteen_workers_on_four_keys_keep_the_order_of_each() {
    let database = TestDatabase::new().await;
    let jobs: Vec<_> = (0..600).map(|n| keyed(n, n % 4)).collect();
    for (key, events) in Work::all_done(&database.pool, &jobs).await {
        assert_eq!(events.len(), 150);
        assert!(events.is_sorted(), "key {key} ran out of order: {events:?}");
    }
}

/// An earlier job that comes due while a later one runs, or is claimed, is where statements that look
/// before they lock go wrong.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixteen_workers_on_four_keys_never_overlap_when_jobs_come_due_meanwhile() {
    let database = TestDatabase::new().await;
    let due = |n: i64| noon() + TimeDelta::milliseconds((600 - n) / 2);
    let jobs: Vec<_> = (0..600).map(|n| NewJob { run_at: due(n), ..keyed(n, n % 4) }).collect();
    let ran = Work::all_done(&database.pool, &jobs).await;
    assert_eq!(ran.values().map(Vec::len).sum::<usize>(), 600);
}

#[tokio::test]
async fn jobs_are_given_by_priority_then_time_then_order() {
    let database = TestDatabase::new().await;
    let late = NewJob { run_at: noon() + TimeDelta::seconds(1), ..plain(1) };
    let later = NewJob { run_at: noon() + TimeDelta::hours(1), priority: -9, ..plain(2) };
    let urgent = NewJob { priority: -1, run_at: noon() + TimeDelta::seconds(2), ..plain(3) };
    let _wake = enqueue(&database.pool, &[late, later, urgent, plain(4), plain(5)]).await;

    let claimed = claim(&database.pool, Lane::Quick, 9, noon() + TimeDelta::minutes(1)).await;
    let order: Vec<_> = claimed.iter().map(|it| it.job.clone()).collect();
    let expected = [3, 4, 5, 1].map(|n| Job::Route { event: EventId(n) });
    assert_eq!(order, expected);
}

#[tokio::test]
async fn a_lease_that_ran_out_is_given_to_another_and_the_first_cannot_finish() {
    let database = TestDatabase::new().await;
    let pool = &database.pool;
    let _wake = enqueue(pool, &[keyed(1, 7)]).await;
    let first = claim(pool, Lane::Decide, 1, noon()).await.remove(0);

    let soon = noon() + TimeDelta::seconds(59);
    assert_eq!(queue::rescue(pool, soon).await.unwrap(), 0);
    let later = noon() + TimeDelta::seconds(61);
    assert_eq!(queue::rescue(pool, later).await.unwrap(), 1);
    let second = claim(pool, Lane::Decide, 1, later).await.remove(0);
    assert_eq!((second.id, second.attempts), (first.id, 2));

    // What the first one writes in the same transaction is gone with it.
    let mut transaction = pool.begin().await.unwrap();
    let _wake = queue::enqueue(&mut transaction, &[plain(99)]).await.unwrap();
    let refused = queue::finish(&mut transaction, &first, later).await;
    assert!(matches!(refused, Err(QueueError::LeaseLost(id)) if id == first.id), "{refused:?}");
    drop(transaction);
    assert!(
        queue::finish_batch(pool, std::slice::from_ref(&first), later).await.unwrap().is_empty()
    );
    let refused = queue::retry(pool, &first, "late", TimeDelta::zero(), later).await;
    assert!(matches!(refused, Err(QueueError::LeaseLost(_))), "{refused:?}");
    let lease = TimeDelta::seconds(60);
    let held = [(first.id, first.token), (second.id, second.token)];
    assert_eq!(queue::heartbeat(pool, &held, later, [lease, lease]).await.unwrap(), [second.token]);

    finish(pool, &second).await.unwrap();
    assert_eq!((count(pool, "jobs").await, count(pool, "job_history").await), (0, 1));
}

#[tokio::test]
async fn a_process_takes_back_at_once_what_those_before_it_on_its_node_died_over() {
    let database = TestDatabase::new().await;
    let pool = &database.pool;
    let _wake = enqueue(pool, &[keyed(1, 7), keyed(2, 8), keyed(3, 9)]).await;
    let by = |worker| queue::Claim { worker, ..request(Lane::Decide, 1, noon()) };
    let dead = queue::claim(pool, &by("1:4711")).await.unwrap().remove(0);
    let other_node = queue::claim(pool, &by("11:4712")).await.unwrap().remove(0);
    let another = queue::claim(pool, &by("21:4713")).await.unwrap().remove(0);

    assert_eq!(queue::rescue_from(pool, "1:", noon()).await.unwrap(), 1);
    let again = claim(pool, Lane::Decide, 9, noon()).await;
    assert_eq!(again.iter().map(|it| (it.id, it.attempts)).collect::<Vec<_>>(), [(dead.id, 2)]);
    assert!(finish(pool, &dead).await.is_err());
    for holder in [&again[0], &other_node, &another] {
        finish(pool, holder).await.unwrap();
    }
}

#[tokio::test]
async fn a_renewed_lease_is_not_taken_back() {
    let database = TestDatabase::new().await;
    let pool = &database.pool;
    let _wake = enqueue(pool, &[plain(1)]).await;
    let claimed = claim(pool, Lane::Quick, 1, noon()).await.remove(0);
    let later = noon() + TimeDelta::seconds(50);
    let held = [(claimed.id, claimed.token)];
    let leases = [TimeDelta::seconds(60), TimeDelta::seconds(180)];
    queue::heartbeat(pool, &held, later, leases).await.unwrap();
    assert_eq!(queue::rescue(pool, noon() + TimeDelta::seconds(100)).await.unwrap(), 0);
    finish(pool, &claimed).await.unwrap();
}

#[tokio::test]
async fn a_job_whose_worker_died_in_its_last_attempt_is_handed_out_as_lost_and_never_run_again() {
    let database = TestDatabase::new().await;
    let pool = &database.pool;
    let _wake = enqueue(pool, &[agent(5, 1)]).await;
    last_attempt(pool).await;
    let claimed = claim(pool, Lane::Agent, 1, noon()).await.remove(0);
    let later = noon() + TimeDelta::seconds(61);
    assert_eq!(queue::rescue(pool, later).await.unwrap(), 0);
    assert!(claim(pool, Lane::Agent, 1, later).await.is_empty());

    // Rolled back, it is handed out again; committed, it is gone.
    let mut transaction = pool.begin().await.unwrap();
    assert_eq!(queue::take_lost(&mut transaction, later).await.unwrap().len(), 1);
    transaction.rollback().await.unwrap();
    let mut transaction = pool.begin().await.unwrap();
    let lost = queue::take_lost(&mut transaction, later).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(lost[0].job, claimed.job);
    assert_eq!(lost[0].repository, Some(RepositoryId(1)));
    assert!(finish(pool, &claimed).await.is_err());
    let failed = queue::list_failed(pool, noon(), 10).await.unwrap();
    assert_eq!(failed.iter().map(|it| it.id).collect::<Vec<_>>(), [claimed.id]);
}

#[tokio::test]
async fn a_waiting_word_is_not_added_twice_but_a_running_one_is() {
    let database = TestDatabase::new().await;
    let pool = &database.pool;
    let later = NewJob { run_at: noon() + TimeDelta::hours(1), ..deduplicated(1) };
    let _wake = enqueue(pool, &[later.clone(), later]).await;
    // The earlier of both times counts.
    let _wake = enqueue(pool, &[deduplicated(1), deduplicated(2)]).await;
    let running = claim(pool, Lane::Say, 9, noon()).await;
    assert_eq!(running.len(), 2);

    let _wake = enqueue(pool, &[deduplicated(1)]).await;
    assert_eq!(claim(pool, Lane::Say, 9, noon()).await.len(), 1);
}

#[tokio::test]
async fn whoever_runs_a_waiting_job_sees_what_was_written_by_those_who_asked_for_it_again() {
    let database = TestDatabase::new().await;
    let pool = &database.pool;
    let _wake = enqueue(pool, &[deduplicated(1)]).await;
    let mut transaction = pool.begin().await.unwrap();
    let _wake = queue::enqueue(&mut transaction, &[deduplicated(1)]).await.unwrap();
    assert!(claim(pool, Lane::Say, 1, noon()).await.is_empty(), "run before the second commit");
    transaction.commit().await.unwrap();
    assert_eq!(claim(pool, Lane::Say, 1, noon()).await.len(), 1);
}

#[tokio::test]
async fn a_failed_attempt_leaves_its_work_and_its_pause_to_the_waiting_twin() {
    let database = TestDatabase::new().await;
    let pool = &database.pool;
    let _wake = enqueue(pool, &[deduplicated(1)]).await;
    let running = claim(pool, Lane::Say, 1, noon()).await.remove(0);
    let _wake = enqueue(pool, &[deduplicated(1)]).await;
    let pause = TimeDelta::minutes(5);
    let retried = queue::retry(pool, &running, "rate limit", pause, noon()).await.unwrap();
    assert_eq!(retried, Retried::Superseded);
    assert_eq!(count(pool, "jobs").await, 1);

    // A pause after a failure is not cut short by asking again.
    let _wake = enqueue(pool, &[deduplicated(1)]).await;
    assert!(claim(pool, Lane::Say, 9, noon() + TimeDelta::minutes(4)).await.is_empty());
    let again = claim(pool, Lane::Say, 9, noon() + TimeDelta::minutes(5)).await;
    assert_eq!(again.iter().map(|it| it.attempts).collect::<Vec<_>>(), [2]);
}

#[tokio::test]
async fn a_job_to_be_tried_again_holds_its_key_and_a_scheduled_one_does_not() {
    let database = TestDatabase::new().await;
    let pool = &database.pool;
    let scheduled = NewJob { run_at: noon() + TimeDelta::hours(1), ..keyed(1, 7) };
    let _wake = enqueue(pool, &[scheduled, keyed(2, 7), keyed(3, 7)]).await;
    let second = claim(pool, Lane::Decide, 9, noon()).await;
    assert_eq!(second.len(), 1);
    assert!(claim(pool, Lane::Decide, 9, noon()).await.is_empty());

    let soon = TimeDelta::minutes(1);
    queue::retry(pool, &second[0], "away", soon, noon()).await.unwrap();
    assert!(claim(pool, Lane::Decide, 9, noon()).await.is_empty(), "the third overtook the second");
    let again = claim(pool, Lane::Decide, 9, noon() + soon).await;
    assert_eq!((again[0].id, again[0].attempts), (second[0].id, 2));
    finish(pool, &again[0]).await.unwrap();
    let third = claim(pool, Lane::Decide, 9, noon() + soon).await;
    assert_eq!(third[0].job, keyed(3, 7).job);
}

#[tokio::test]
async fn after_its_last_attempt_a_job_is_failed_visible_and_can_be_enqueued_again() {
    let database = TestDatabase::new().await;
    let pool = &database.pool;
    let _wake = enqueue(pool, &[plain(1)]).await;
    for attempt in 1..=10 {
        let claimed = claim(pool, Lane::Quick, 1, noon()).await.remove(0);
        let retried = queue::retry(pool, &claimed, "boom\0", TimeDelta::zero(), noon()).await;
        let expected = if attempt < 10 { Retried::At(noon()) } else { Retried::Exhausted };
        assert_eq!(retried.unwrap(), expected);
    }
    assert_eq!(count(pool, "jobs").await, 0);
    let failed = queue::list_failed(pool, noon(), 10).await.unwrap().remove(0);
    assert_eq!((failed.attempts, failed.error.as_deref()), (10, Some("boom\u{FFFD}")));

    let mut connection = pool.acquire().await.unwrap();
    let again = queue::enqueue_failed_again(&mut connection, failed.id, noon()).await.unwrap();
    assert!(again.is_some());
    assert_eq!(claim(pool, Lane::Quick, 1, noon()).await[0].job, plain(1).job);
}

#[tokio::test]
async fn agents_run_within_the_limits_of_all_of_one_repository_and_of_what_is_set() {
    let database = TestDatabase::new().await;
    let pool = &database.pool;
    let _wake = enqueue(pool, &[agent(1, 1), agent(2, 1), agent(3, 2), agent(4, 3)]).await;
    let mut request = request(Lane::Agent, 1, noon());
    request.running = Running { total: 2, per_repository: 1 };
    let mut running = Vec::new();
    for _ in 0..4 {
        running.extend(queue::claim(pool, &request).await.unwrap());
    }
    let claimed: Vec<_> = running.iter().map(|it| it.job.clone()).collect();
    assert_eq!(claimed, [agent(1, 1).job, agent(3, 2).job]);

    // Room for one more, but not in the first repository.
    request.running = Running { total: 3, per_repository: 1 };
    let claimed = queue::claim(pool, &request).await.unwrap();
    assert_eq!(claimed[0].job, agent(4, 3).job);
    request.running = Running::default();
    let scope = Scope::Lane(Lane::Agent);
    let _wake = queue::set_max_running(pool, scope, Some(3), noon()).await.unwrap();
    assert!(queue::claim(pool, &request).await.unwrap().is_empty());
    let _wake = queue::set_max_running(pool, scope, None, noon()).await.unwrap();
    assert_eq!(queue::claim(pool, &request).await.unwrap()[0].job, agent(2, 1).job);
}

#[tokio::test]
async fn what_is_paused_is_not_claimed_until_it_is_resumed() {
    let database = TestDatabase::new().await;
    let pool = &database.pool;
    let repository = RepositoryId(1);
    let own = NewJob { repository: Some(repository), ..plain(1) };
    for (scope, left) in
        [(Scope::All, 0), (Scope::Lane(Lane::Quick), 0), (Scope::Repository(repository), 1)]
    {
        let _wake = enqueue(pool, &[own.clone(), plain(2)]).await;
        queue::pause(pool, scope, "maintenance", noon()).await.unwrap();
        let claimed = claim(pool, Lane::Quick, 9, noon()).await;
        assert_eq!(claimed.len(), left, "{scope:?}");
        let _wake = queue::resume(pool, scope, noon()).await.unwrap();
        let rest = claim(pool, Lane::Quick, 9, noon()).await;
        assert_eq!(rest.len(), 2 - left, "{scope:?}");
    }
    assert_eq!(queue::paused(pool, Some(repository)).await.unwrap(), None);
    queue::pause(pool, Scope::Repository(repository), "off", noon()).await.unwrap();
    assert_eq!(queue::paused(pool, Some(repository)).await.unwrap().as_deref(), Some("off"));
    assert_eq!(queue::paused(pool, None).await.unwrap(), None);
}

#[tokio::test]
async fn a_failure_pauses_what_is_set_to_stop_on_it() {
    let database = TestDatabase::new().await;
    let pool = &database.pool;
    let scope = Scope::Repository(RepositoryId(1));
    queue::set_stop_on_failure(pool, scope, true, noon()).await.unwrap();
    let _wake = enqueue(pool, &[agent(1, 1), agent(2, 1), agent(3, 2)]).await;
    let claimed = claim(pool, Lane::Agent, 1, noon()).await.remove(0);
    let mut connection = pool.acquire().await.unwrap();
    queue::fail(&mut connection, &claimed, "boom", noon()).await.unwrap();
    assert_eq!(claim(pool, Lane::Agent, 1, noon()).await[0].job, agent(3, 2).job);
    let reason = queue::paused(pool, Some(RepositoryId(1))).await.unwrap().unwrap();
    assert!(reason.contains("run_agent"), "{reason}");
}

#[tokio::test]
async fn a_batch_is_claimed_and_finished_whole() {
    let database = TestDatabase::new().await;
    let pool = &database.pool;
    let jobs: Vec<_> = (0..1_000).map(plain).collect();
    let _wake = enqueue(pool, &jobs).await;
    let claimed = claim(pool, Lane::Quick, 700, noon()).await;
    assert_eq!(claimed.len(), 700);
    assert_eq!(queue::finish_batch(pool, &claimed, noon()).await.unwrap().len(), 700);
    assert_eq!(claim(pool, Lane::Quick, 700, noon()).await.len(), 300);
}

#[tokio::test]
async fn an_agents_lease_lasts_until_its_container_can_be_there_no_more() {
    let database = TestDatabase::new().await;
    let pool = &database.pool;
    let _wake = enqueue(pool, &[agent(1, 1)]).await;
    let claimed = claim(pool, Lane::Agent, 1, noon()).await.remove(0);
    let leases = [TimeDelta::seconds(60), TimeDelta::seconds(180)];
    let held = [(claimed.id, claimed.token)];
    queue::heartbeat(pool, &held, noon(), leases).await.unwrap();
    assert_eq!(queue::rescue(pool, noon() + TimeDelta::seconds(179)).await.unwrap(), 0);
    assert_eq!(queue::rescue(pool, noon() + TimeDelta::seconds(181)).await.unwrap(), 1);
}

#[tokio::test]
async fn an_agent_that_was_begun_goes_before_all_that_wait_for_their_first_turn() {
    let database = TestDatabase::new().await;
    let pool = &database.pool;
    let _wake = enqueue(pool, &[agent(1, 1)]).await;
    let claimed = claim(pool, Lane::Agent, 1, noon()).await.remove(0);
    // Of a repository that never had a turn.
    let _wake = enqueue(pool, &[agent(2, 2)]).await;
    let later = noon() + TimeDelta::seconds(300);
    assert_eq!(queue::rescue(pool, later).await.unwrap(), 1);
    let again = claim(pool, Lane::Agent, 1, later).await.remove(0);
    assert_eq!((again.id, again.attempts), (claimed.id, 2));
}
