//! `kill -9`, before and after every request to GitHub and every commit of the main job: whatever the
//! moment, Baton goes on after its restart, and at the end there is one of everything.
//!
//! The usual tests kill at a spread of moments. All of them, several in one job:
//! `cargo test --test it -- --ignored --nocapture kill_points`; some of them again with
//! `BATON_KILL_POINTS=request:12:before+request:26:before`, the names that a failure prints.

mod ending;
mod job;
mod killer;
mod wire;

use emulators::github::Phase;
use tokio::task::JoinSet;

use job::{Played, play};
use killer::{Moment, Thing};

/// Jobs of the long test that are played side by side.
const AT_ONCE: usize = 2;

fn moments(thing: Thing, phase: Phase, numbers: impl IntoIterator<Item = u64>) -> Vec<Moment> {
    numbers.into_iter().map(|number| Moment { thing, number, phase }).collect()
}

fn check(played: &Played) {
    if !played.problems.is_empty() {
        eprintln!("{}", played.log);
    }
    assert!(played.problems.is_empty(), "killed at {:#?}: {:#?}", played.kills, played.problems);
}

/// Kills at several moments of one job.
async fn killed_at(moments: Vec<Moment>) {
    let count = moments.len();
    let played = play(moments).await;
    println!("killed {} times: {:#?}", played.kills.len(), played.kills);
    check(&played);
    assert!(played.kills.len() >= count.min(3), "the job went by without most of its moments");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_kills_baton_and_the_moments_of_the_main_job_are_counted() {
    let played = play(Vec::new()).await;
    let points = 2 * (played.requests + played.commits);
    println!("{} requests, {} commits: {points} points", played.requests, played.commits);
    check(&played);
    assert!(played.requests > 30 && played.commits > 60, "they are not seen");
}

#[tokio::test(flavor = "multi_thread")]
async fn baton_is_killed_before_every_fourteenth_request() {
    killed_at(moments(Thing::Request, Phase::Before, (5..100).step_by(14))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn baton_is_killed_after_every_fourteenth_request() {
    killed_at(moments(Thing::Request, Phase::After, (12..100).step_by(14))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn baton_is_killed_before_every_sixtieth_commit() {
    killed_at(moments(Thing::Commit, Phase::Before, (10..500).step_by(60))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn baton_is_killed_after_every_sixtieth_commit() {
    killed_at(moments(Thing::Commit, Phase::After, (40..500).step_by(60))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn baton_is_killed_around_its_pushes_to_a_fork() {
    const INSTALLED: &str = "GET /repos/friends/files-work/installation";
    const FIND: &str = "GET /repos/acme/files/pulls";
    const OPEN: &str = "POST /repos/acme/files/pulls";
    // Before the push, between it and its note, when the pull request is open and nobody knows; then in
    // the second round, before the push and after it.
    let deaths = [
        (INSTALLED, Phase::After),
        (FIND, Phase::Before),
        (OPEN, Phase::Before),
        (OPEN, Phase::After),
        (INSTALLED, Phase::Before),
        (FIND, Phase::After),
    ];
    let played = job::play_to_fork(deaths).await;
    println!("{:#?}", played.kills);
    check(&played);
    assert_eq!(played.kills.len(), deaths.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_server_on_one_data_folder_says_why_it_does_not_start() {
    let printed = job::second_server().await;
    let told = printed.contains("another baton serve runs on the data folder");
    assert!(told && printed.contains("BATON_DATA"), "{printed}");
}

/// All moments that an undisturbed job has, several to a job, or those that are asked for.
async fn all_moments() -> Vec<Vec<Moment>> {
    if let Ok(named) = std::env::var("BATON_KILL_POINTS") {
        let jobs = named.split(',');
        return jobs.map(|job| job.split('+').map(|it| it.parse().unwrap()).collect()).collect();
    }
    let played = play(Vec::new()).await;
    check(&played);
    let things = [(Thing::Request, played.requests, 14), (Thing::Commit, played.commits, 60)];
    let mut jobs = Vec::new();
    for ((thing, count, apart), phase) in
        things.into_iter().flat_map(|it| [(it, Phase::Before), (it, Phase::After)])
    {
        let starts = 0..apart;
        jobs.extend(starts.map(|start| {
            let apart = usize::try_from(apart).unwrap();
            moments(thing, phase, (start..count).step_by(apart))
        }));
    }
    jobs
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes half an hour: 88 jobs with about nine deaths each"]
async fn baton_is_killed_at_every_single_moment_of_the_main_job() {
    let jobs = all_moments().await;
    println!("{} moments in {} jobs", jobs.iter().map(Vec::len).sum::<usize>(), jobs.len());
    let mut waiting = jobs.into_iter();
    let (mut running, mut failed, mut deaths) = (JoinSet::new(), Vec::new(), 0);
    loop {
        while running.len() < AT_ONCE
            && let Some(moments) = waiting.next()
        {
            running.spawn(async move { (names(&moments), play(moments).await) });
        }
        let Some(ended) = running.join_next().await else { break };
        let (names, played) = ended.unwrap();
        deaths += played.kills.len();
        if played.problems.is_empty() {
            println!("good after {} deaths, {deaths} in all: {names}", played.kills.len());
        } else {
            let Played { problems, kills, log, .. } = played;
            println!("BAD: {names}\n{problems:#?}\n{kills:#?}\n{log}");
            failed.push(names);
        }
    }
    assert!(failed.is_empty(), "not as it should be: {}", failed.join(","));
}

fn names(moments: &[Moment]) -> String {
    moments.iter().map(Moment::to_string).collect::<Vec<_>>().join("+")
}
