//! Agents start as the machine has room, and what they took is told.

use std::{fs, sync::Arc};

use baton::{cli::demo::world::REPOSITORY, config::Config, model::Role};
use emulators::models::Crew;

use crate::support::baton::{Story, progress};

/// Lets the machine of a story have so many MiB free.
fn leave(story: &Story, free: u64) {
    let text = format!("MemTotal: 99999999 kB\nMemAvailable: {} kB\n", free << 10);
    fs::write(story.folder().join("meminfo"), text).unwrap();
}

#[tokio::test]
async fn a_stage_without_room_on_the_machine_says_so_and_starts_when_there_is_some() {
    let limited = |config: &mut Config| {
        config.limits.role_agents.insert(Role::Starter, 3);
        config.limits.provider_agents.insert("command".to_owned(), 5);
    };
    let story = Story::configured(Arc::new(Crew::new()), |_| (), limited).await;
    leave(&story, 100);
    let issue = story.assigned();
    story
        .until("what is waited for", |github| {
            let comments = github.comments(REPOSITORY, issue);
            comments.iter().any(|it| it.body.contains("waits for free memory on the machine"))
        })
        .await;
    story.until_true("SELECT count(*) = 1 FROM agents WHERE waits_for = 'memory'").await;
    let shares = "SELECT share_names = '{role:starter,provider:command}' AND share_limits = '{3,5}'
        FROM jobs WHERE kind = 'run_agent'";
    story.until_true(shares).await;
    leave(&story, 9000);
    story.approve(issue).await;
    story.until_true("SELECT count(*) = 0 FROM agents WHERE waits_for IS NOT NULL").await;
    story.mara().comment(REPOSITORY, issue, "/baton stop").unwrap();
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
