//! Stops that do not wait for an agent to obey: from the thread, and from the server's command line.

use std::sync::Arc;

use baton::cli::demo::world::REPOSITORY;
use emulators::models::Hang;
use tokio::process::Command;

use crate::support::baton::Story;

const AT_WORK: &str = "SELECT count(*) = 1 FROM agents WHERE state = 'running'";

async fn baton(story: &Story, arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_baton"));
    command.args(arguments).env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin");
    command.env("DATABASE_URL", story.world.config.database_url.as_ref().unwrap());
    command.env("BATON_DATA", &story.world.config.data).current_dir(story.folder());
    let output = command.kill_on_drop(true).output().await.unwrap();
    let told = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(told).unwrap())
}

/// A task with an agent that never says a word.
async fn hanging() -> (Story, u64) {
    let story = Story::with(Arc::new(Hang), |_| ()).await;
    let issue = story.assigned();
    story.until_true(AT_WORK).await;
    (story, issue)
}

#[tokio::test]
async fn stop_now_on_the_thread_kills_the_agent_and_says_by_whom() {
    let (story, issue) = hanging().await;
    story.mara().comment(REPOSITORY, issue, "/baton stop now").unwrap();
    story.until_state("parked").await;
    let ended = "SELECT bool_and(wanted = 'kill' AND state_data #>> '{data,end}' = 'cancelled'
        AND state_data #>> '{data,data,by}' = 'person') FROM agents";
    story.until_true(ended).await;
    story.end().await;
}

#[tokio::test]
async fn the_command_line_kills_a_task_s_agents_or_one_agent_alone() {
    let (story, _) = hanging().await;
    let (done, told) = baton(&story, &["stop", "--agent", "1", "--now"]).await;
    assert!(done && told.contains("agent 1 was told to end: agents are killed"), "{told}");
    story.until_state("parked").await;
    let ended = "SELECT bool_and(wanted = 'kill' AND state_data #>> '{data,end}' = 'cancelled'
        AND state_data #>> '{data,data,by}' = 'operator') FROM agents";
    story.until_true(ended).await;
    let (done, told) = baton(&story, &["stop", "--agent", "1"]).await;
    assert!(!done && told.contains("`baton agents` lists"), "{told}");
    story.end().await;

    let (story, _) = hanging().await;
    let (done, told) = baton(&story, &["stop", "1", "--now"]).await;
    assert!(done && told.contains("1 task(s) told to stop: agents are killed"), "{told}");
    story.until_state("parked").await;
    story.until_true(ended).await;
    story.end().await;
}
