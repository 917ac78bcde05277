//! Baton or its database goes away in the midst.

use std::{fs, sync::Arc, time::Duration};

use baton::embedded::{self, Identity};
use emulators::models::{Crew, Pace};

use super::whole::{is_said_once, is_whole};
use crate::support::baton::Story;

/// A crew that takes a moment for each answer, so that there is a midst.
fn slow_crew() -> Arc<Crew> {
    Arc::new(Crew::with_pace(Pace::After(Duration::from_millis(400))))
}

const CODING: &str = "SELECT EXISTS (SELECT FROM agents a JOIN stages s ON s.id = a.stage_id
    WHERE s.key = 'code' AND a.state = 'running' AND a.last_line IS NOT NULL)";

#[tokio::test]
async fn an_agent_goes_on_in_its_session_after_a_restart() {
    let mut story = Story::with(slow_crew(), |_| ()).await;
    let issue = story.assigned();
    story.approve(issue).await;
    story.until_true(CODING).await;
    story.stop_baton().await;
    story.start_baton().await;
    story.merge().await;
    story.until_state("done").await;
    is_said_once(story.github(), issue);
    story
        .until_true(
            "SELECT EXISTS (SELECT FROM agents resumed JOIN agents stopped ON stopped.id = resumed.resumes_id
             WHERE stopped.state_data::text LIKE '%shutdown%' AND stopped.session_id = resumed.session_id
               AND resumed.state_data::text LIKE '%succeeded%')",
        )
        .await;
    story.end().await;
}

/// Ends the story's private Postgres in the midst of coding, and starts it again.
async fn database_dies_by(signal: rustix::process::Signal) {
    let story = Story::with_private_database(slow_crew()).await;
    let issue = story.assigned();
    story.approve(issue).await;
    story.until_true(CODING).await;
    let folder = story.world.config.data.join("postgres");
    let file = fs::read_to_string(folder.join("data").join("postmaster.pid")).unwrap();
    let number: i32 = file.lines().next().unwrap().parse().unwrap();
    let pid = rustix::process::Pid::from_raw(number).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
    let settings = embedded::Settings {
        folder,
        identity: Identity::of_server(),
        durable: true,
        max_connections: 96,
    };
    // Long enough away for more than one attempt to be made meanwhile.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let again = embedded::start(&settings).await.unwrap();
    let pull = story.merge().await;
    story.until_state("done").await;
    is_whole(story.github(), issue, pull);
    // Baton stops it, as its last user.
    drop(again);
    story.end().await;
}

#[tokio::test]
async fn a_database_that_is_restarted_in_the_midst_costs_nothing() {
    database_dies_by(rustix::process::Signal::INT).await;
}

#[tokio::test]
async fn a_database_that_is_killed_in_the_midst_costs_nothing() {
    database_dies_by(rustix::process::Signal::KILL).await;
}
