//! Two Batons on one database: what one of them hears reaches the agents of the other.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use std::time::Duration;

use baton::{app::Server, cli::demo::world::REPOSITORY};
use emulators::models::{Answer, Brain, Crew, Pace, Request};
use serde_json::json;

use crate::support::baton::{Story, said};

/// A crew that reads on and on before it plans, until it is let go.
struct Reader {
    crew: Crew,
    released: Arc<AtomicBool>,
}

impl Brain for Reader {
    fn answer(&self, request: &Request) -> Answer {
        if self.released.load(Ordering::SeqCst) {
            return self.crew.answer(request);
        }
        Answer::tool("Read", json!({"file_path": "README.md"}))
            .with_pace(Pace::After(Duration::from_millis(700)))
    }
}

const PLANNING: &str =
    "SELECT EXISTS (SELECT FROM agents WHERE state = 'running' AND last_line IS NOT NULL)";

/// A story whose agent plans on the first Baton, while webhooks go to a second; gives its issue.
async fn planning_on_the_first() -> (Story, Server, u64, Arc<AtomicBool>) {
    let released = Arc::new(AtomicBool::new(false));
    let reader = Reader { crew: Crew::new(), released: Arc::clone(&released) };
    let story = Story::with(Arc::new(reader), |_| ()).await;
    let issue = story.assigned();
    story.until_true(PLANNING).await;
    let other = story.another_baton().await;
    (story, other, issue, released)
}

#[tokio::test]
async fn a_follow_up_reaches_an_agent_of_the_other_replica() {
    let (story, other, issue, released) = planning_on_the_first().await;
    let wish = "/baton revise Mention the tide tables.";
    story.mara().comment(REPOSITORY, issue, wish).unwrap();
    story
        .until_true("SELECT EXISTS (SELECT FROM agent_inbox WHERE delivered_at IS NOT NULL)")
        .await;
    released.store(true, Ordering::SeqCst);
    story.until_state("waiting").await;
    let asked = story.world.models.requests();
    let heard =
        asked.iter().any(|request| request.body.to_string().contains("Mention the tide tables."));
    assert!(heard, "the agent was told");
    story.until_true("SELECT count(*) = 1 FROM agents").await;
    other.stop().await;
    story.end().await;
}

#[tokio::test]
async fn a_stop_reaches_an_agent_of_the_other_replica() {
    let (story, other, issue, _) = planning_on_the_first().await;
    story.mara().comment(REPOSITORY, issue, "/baton stop").unwrap();
    story.until_state("parked").await;
    let word = said(story.github(), issue).pop().unwrap().body;
    assert!(word.contains("Stopped by"), "{word}");
    story.until_true("SELECT state_data::text LIKE '%cancelled%' FROM agents").await;
    other.stop().await;
    story.end().await;
}
