//! Agents start as the machine has room, and what they took is told.

use std::{fs, path::Path, sync::Arc};

use baton::{app::Options, sandbox::Gauge};
use emulators::models::Crew;

use crate::support::baton::{Story, progress};

/// What a machine with so many MiB free tells.
fn machine(folder: &Path, free: u64) -> Gauge {
    let text = format!("MemTotal: 99999999 kB\nMemAvailable: {} kB\n", free << 10);
    fs::write(folder.join("meminfo"), text).unwrap();
    Gauge::at(folder, folder)
}

#[tokio::test]
async fn a_stage_without_room_on_the_machine_says_so_and_starts_when_there_is_some() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { gauge: machine(folder.path(), 100), ..Options::default() };
    let story = Story::with_options(Arc::new(Crew::new()), options).await;
    let issue = story.assigned();
    story
        .until("what is waited for", |github| {
            let comments = github.comments(baton::cli::demo::world::REPOSITORY, issue);
            comments.iter().any(|it| it.body.contains("waits for free memory on the machine"))
        })
        .await;
    story.until_true("SELECT count(*) = 1 FROM agents WHERE waits_for = 'memory'").await;
    machine(folder.path(), 9000);
    story.approve(issue).await;
    story.until_true("SELECT count(*) = 0 FROM agents WHERE waits_for IS NOT NULL").await;
    story.mara().comment(baton::cli::demo::world::REPOSITORY, issue, "/baton stop").unwrap();
    story.until_state("parked").await;
    story.end().await;
}

#[tokio::test]
async fn what_a_tasks_agents_took_is_stored_and_told_at_its_end() {
    let story = Story::begin().await;
    let (issue, _) = story.to_merge().await;
    story.until_state("done").await;
    // Some of them are done before a hundredth of a second on a processor has passed.
    let taken = "SELECT count(*) >= 3 AND sum(cpu_ms) > 0
        AND bool_and(memory_peak_bytes > 0 AND memory_bytes = 0) FROM agents";
    story.until_true(taken).await;
    let told = progress(story.github(), issue);
    assert!(told.contains(" of processor time, ") && told.contains(" of memory"), "{told}");
    story.end().await;
}
