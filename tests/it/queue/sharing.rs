//! Who is next in the agent lane: no repository starves another, and limits that jobs bring along hold.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use baton::{
    clock::Clock,
    model::{Job, Lack, Lane, NewJob, Share},
    queue::{self, Outcome, Room, Runner, RunnerSettings, Running, WaitingJob, Wakes},
};
use chrono::TimeDelta;

use super::{agent, claim, count, enqueue, finish, noon};
use crate::support::database::TestDatabase;

fn sharing(id: i64, repository: i64, shares: &[(&str, u32)]) -> NewJob {
    let shares = shares.iter().map(|(name, most)| Share { name: (*name).to_owned(), most: *most });
    NewJob { shares: shares.collect(), ..agent(id, repository) }
}

#[tokio::test]
async fn one_task_is_not_kept_waiting_by_fifty_of_another_repository() {
    let database = TestDatabase::new().await;
    let pool = &database.pool;
    let mut jobs: Vec<NewJob> = (1..=50).map(|id| agent(id, 1)).collect();
    jobs.push(agent(51, 2));
    let _wake = enqueue(pool, &jobs).await;
    // One after another, as with room for one agent alone.
    let mut order = Vec::new();
    for turn in 1..=4 {
        let claimed =
            claim(pool, Lane::Agent, 1, noon() + TimeDelta::seconds(turn)).await.remove(0);
        order.push(claimed.job.clone());
        finish(pool, &claimed).await.unwrap();
    }
    let expected = [agent(1, 1), agent(51, 2), agent(2, 1), agent(3, 1)].map(|job| job.job);
    assert_eq!(order, expected);
}

#[tokio::test]
async fn of_two_that_run_the_repository_with_fewer_is_next() {
    let database = TestDatabase::new().await;
    let pool = &database.pool;
    let _wake = enqueue(pool, &[agent(1, 1), agent(2, 1), agent(3, 1), agent(4, 2)]).await;
    let mut running = Vec::new();
    for turn in 1..=3 {
        running.extend(claim(pool, Lane::Agent, 1, noon() + TimeDelta::seconds(turn)).await);
    }
    let _wake = enqueue(pool, &[agent(5, 2)]).await;
    // Repository 1 runs two of the three, and so has to wait although its turn was not the last.
    let order: Vec<Job> = running.iter().map(|it| it.job.clone()).collect();
    assert_eq!(order, [agent(1, 1), agent(4, 2), agent(2, 1)].map(|job| job.job));
    let next = claim(pool, Lane::Agent, 1, noon() + TimeDelta::seconds(9)).await.remove(0);
    assert_eq!(next.job, agent(5, 2).job);
}

#[tokio::test]
async fn shares_hold_and_the_lane_tells_what_each_waits_for() {
    let database = TestDatabase::new().await;
    let pool = &database.pool;
    let jobs = [
        sharing(1, 1, &[("role:reviewer", 1), ("provider:claude", 2)]),
        sharing(2, 2, &[("role:reviewer", 1)]),
        sharing(3, 3, &[("role:coding", 5), ("provider:claude", 2)]),
        sharing(4, 4, &[("provider:claude", 2)]),
        sharing(5, 5, &[("repo:5", 1)]),
        sharing(6, 5, &[("repo:5", 1)]),
        sharing(7, 6, &[]),
    ];
    let _wake = enqueue(pool, &jobs).await;
    let mut running = Vec::new();
    while running.len() < 4 {
        let later = noon() + TimeDelta::seconds(running.len() as i64);
        let claimed = claim(pool, Lane::Agent, 1, later).await;
        assert_eq!(claimed.len(), 1, "{running:?}");
        running.extend(claimed);
    }
    let ran: Vec<Job> = running.iter().map(|it| it.job.clone()).collect();
    assert_eq!(ran, [0, 2, 4, 6].map(|at| jobs[at].job.clone()));
    assert!(claim(pool, Lane::Agent, 1, noon()).await.is_empty());

    let waiting = |at: usize, held_by| WaitingJob { job: jobs[at].job.clone(), held_by };
    let (role, provider) = (Some(Lack::RoleLimit), Some(Lack::ProviderLimit));
    let repository = Some(Lack::RepositoryLimit);
    let told = queue::list_waiting(pool, noon(), Running::default()).await.unwrap();
    assert_eq!(told, [waiting(1, role), waiting(3, provider), waiting(5, repository)]);
    let full = Running { total: 4, per_repository: 1 };
    let told = queue::list_waiting(pool, noon(), full).await.unwrap();
    assert_eq!(told, [1, 3, 5].map(|at| waiting(at, Some(Lack::ServerLimit))));

    finish(pool, &running[0]).await.unwrap();
    assert_eq!(claim(pool, Lane::Agent, 1, noon()).await[0].job, jobs[1].job);
}

#[tokio::test]
async fn without_room_on_the_machine_nothing_of_the_agent_lane_is_claimed() {
    let database = TestDatabase::new().await;
    let pool = database.pool.clone();
    let _wake = enqueue(&pool, &[agent(1, 1), agent(2, 1)]).await;
    let room = Arc::new(AtomicUsize::new(0));
    let left = Arc::clone(&room);
    let mut settings = RunnerSettings::new("test");
    settings.lanes.insert(Lane::Agent, 9);
    settings.room = Room::new(move |running| running < left.load(Ordering::SeqCst));
    let runner = Runner::new(pool.clone(), Clock::system(), Wakes::new(), settings, |_| async {
        Outcome::Finish
    });
    assert_eq!(runner.run_until_idle().await.unwrap(), 0);
    assert_eq!(count(&pool, "jobs").await, 2);
    room.store(1, Ordering::SeqCst);
    assert_eq!(runner.run_until_idle().await.unwrap(), 2);
}
