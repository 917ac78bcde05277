//! Agents that do not end by themselves: they are ended, with everything they started.

use std::{sync::Arc, time::Duration};

use baton::{app::Options, cli::demo::world::REPOSITORY};
use emulators::models::{Answer, Brain, Crew, Hang, Pace, Request};
use serde_json::json;

use crate::support::{
    baton::{Story, progress, said},
    leftovers::processes_of,
};

/// A crew whose coder starts something stubborn and then never says another word.
struct Stubborn(Crew);

/// What the coder starts: it outlives its shell and does not listen to signals.
const STUBBORN: &str = "setsid sh -c 'trap \"\" TERM INT HUP; while :; do sleep 1; done' stubborn-child \
                        </dev/null >/dev/null 2>&1 & echo started";

impl Brain for Stubborn {
    fn answer(&self, request: &Request) -> Answer {
        if !request.system.contains("Role: code") {
            return self.0.answer(request);
        }
        if request.tool_results_since_last_user_text().is_empty() {
            return Answer::tool("Bash", json!({"command": STUBBORN, "description": "Start it"}));
        }
        Answer::new().with_pace(Pace::Never)
    }
}

fn stubborn_children(story: &Story) -> usize {
    let processes = processes_of(story.folder());
    processes.iter().filter(|process| process.contains("stubborn-child")).count()
}

async fn until_a_stubborn_child_runs(story: &Story) {
    let look = async {
        while stubborn_children(story) == 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), look).await.expect("the agent starts a child");
}

#[tokio::test]
async fn a_stop_ends_a_hanging_agent_with_its_stubborn_children() {
    let story = Story::with(Arc::new(Stubborn(Crew::new())), |_| ()).await;
    let issue = story.assigned();
    story.approve(issue).await;
    until_a_stubborn_child_runs(&story).await;
    story.mara().comment(REPOSITORY, issue, "/baton stop").unwrap();
    story.until_state("parked").await;
    assert_eq!(stubborn_children(&story), 0);
    let github = story.github();
    assert!(
        progress(github, issue).contains("stopped by @mara")
            || progress(github, issue).contains("stopped by mara"),
        "{}",
        progress(github, issue)
    );
    let word = said(github, issue).pop().unwrap().body;
    assert!(word.contains("/baton resume"), "{word}");
    story.end().await;
}

#[tokio::test]
async fn an_agent_that_says_nothing_for_too_long_is_ended_and_the_thread_says_what_to_do() {
    let impatient = Options { minute: Duration::from_millis(400), ..Options::default() };
    let story = Story::with_options(Arc::new(Hang), impatient).await;
    let issue = story.assigned();
    story.until_state("parked").await;
    let word = said(story.github(), issue).pop().unwrap().body;
    assert!(word.contains("/baton retry"), "{word}");
    assert!(word.contains("said nothing") || word.contains("silen"), "{word}");
    story.end().await;
}
