//! Agents that fail for what may pass: they are tried again by themselves, a few times.

use std::sync::Arc;

use baton::cli::demo::world::{REPOSITORY, Recipe};
use emulators::{
    github::GitHub,
    models::{Answer, Brain, Crew, Fault, Request},
};
use serde_json::json;

use crate::support::baton::{Story, asking, progress, said, say_in_policy};

#[tokio::test]
async fn a_model_api_that_is_away_is_asked_again_later_or_at_once_by_a_command() {
    let story = Story::begin().await;
    story.world.models.faults().next(1, Fault::status(500));
    let issue = story.assigned();
    let told = |github: &GitHub| {
        let comments = github.comments(REPOSITORY, issue);
        comments.iter().any(|comment| {
            let body = &comment.body;
            body.contains("the model API was away; tried again by itself at ")
                && body.contains("at once with `/baton retry`")
        })
    };
    story.until("what is tried again, and when", told).await;
    story.mara().comment(REPOSITORY, issue, "/baton retry").unwrap();
    // On a machine that is busy enough its time has come before the command has.
    story
        .until_true(
            "SELECT EXISTS (SELECT FROM decisions WHERE rule = 'restarted_now')
                 OR EXISTS (SELECT FROM agents WHERE attempt = 2 AND started_at >= not_before)",
        )
        .await;
    story.until("a plan", |github| asking(github, issue).is_some()).await;
    story.mara().comment(REPOSITORY, issue, "/baton stop").unwrap();
    story.until_state("parked").await;
    story.end().await;
}

/// A crew whose coder's program is killed by what it runs.
struct Suicidal(Crew);

impl Brain for Suicidal {
    fn answer(&self, request: &Request) -> Answer {
        if request.system.contains("Role: code") {
            let kill = json!({"command": "kill -9 $PPID", "description": "End it"});
            return Answer::tool("Bash", kill);
        }
        self.0.answer(request)
    }
}

#[tokio::test]
async fn a_program_that_crashes_is_started_again_as_often_as_policy_says() {
    let once =
        |recipe: &mut Recipe| say_in_policy(recipe, "restarts: {times: 1, after: [crashed]}");
    let story = Story::with(Arc::new(Suicidal(Crew::new())), once).await;
    let issue = story.assigned();
    story.approve(issue).await;
    story.until_state("parked").await;
    story.until_true("SELECT count(*) = 3 AND bool_and(ended_at IS NOT NULL) FROM agents").await;
    let rules = "SELECT array_agg(rule) @> '{agent_restarted,agent_failed}' FROM decisions";
    story.until_true(rules).await;
    let word = said(story.github(), issue).pop().unwrap().body;
    assert!(word.contains("/baton retry"), "{word}");
    let told = progress(story.github(), issue);
    assert!(told.contains("ended without a result"), "{told}");
    story.end().await;
}
