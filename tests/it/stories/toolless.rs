//! Baton's own tools go while an agent is at work.

use std::{sync::Arc, time::Duration};

use baton::{app::Options, cli::demo::world::Recipe};
use emulators::models::{Answer, Brain, Crew, Pace, Request};
use serde_json::json;

use super::asking::{claude, codex};
use crate::support::baton::{Story, progress, say_in_policy};

/// The crew, whose coder thinks without end.
struct Thinking(Crew);

impl Brain for Thinking {
    fn answer(&self, request: &Request) -> Answer {
        match request.system.contains("Role: code") {
            true => Answer::new().with_pace(Pace::Never),
            false => self.0.answer(request),
        }
    }
}

/// Nothing is tried again by itself.
fn once(recipe: &mut Recipe, change: impl FnOnce(&mut Recipe)) {
    say_in_policy(recipe, "restarts: {times: 0}");
    change(recipe);
}

async fn tools_that_go_end_the_agent(change: impl FnOnce(&mut Recipe)) {
    let watchful = Options { tools_every: Duration::from_millis(100), ..Options::default() };
    let once = |recipe: &mut Recipe| once(recipe, change);
    let story = Story::varied(Arc::new(Thinking(Crew::new())), once, watchful).await;
    let issue = story.assigned();
    story.approve(issue).await;
    // It has been connected to its tools and asks the model.
    story.until_true("SELECT EXISTS (SELECT FROM usage WHERE agent_id = 2)").await;
    std::fs::remove_file(story.world.config.data.join("gateway/gateway.sock")).unwrap();
    story.until_state("parked").await;
    story.until_quiet().await;
    let told = progress(story.github(), issue);
    assert!(told.contains("could not reach Baton's tools"), "{told}");
    assert!(told.contains("the gateway's socket leads nowhere"), "{told}");
    assert!(told.contains("/baton retry"), "{told}");
    story.end().await;
}

#[tokio::test]
async fn tools_that_go_while_an_agent_works_end_it_with_the_reason() {
    tools_that_go_end_the_agent(|_| ()).await;
}

#[tokio::test]
async fn tools_that_go_while_the_real_claude_program_works_end_it_with_the_reason() {
    tools_that_go_end_the_agent(claude).await;
}

/// The crew, whose coder calls one of Baton's tools again and again.
struct Insisting(Crew);

impl Brain for Insisting {
    fn answer(&self, request: &Request) -> Answer {
        match request.system.contains("Role: code") {
            true => Answer::tool("mcp__baton__context_list", json!({}))
                .with_pace(Pace::After(Duration::from_millis(100))),
            false => self.0.answer(request),
        }
    }
}

async fn calls_that_get_lost_end_the_agent(change: impl FnOnce(&mut Recipe)) {
    let once = |recipe: &mut Recipe| once(recipe, change);
    let story = Story::with(Arc::new(Insisting(Crew::new())), once).await;
    let issue = story.assigned();
    story.approve(issue).await;
    story.until_true("SELECT EXISTS (SELECT FROM agents WHERE id = 2 AND tool_calls > 3)").await;
    // The tool server still answers, with nothing but errors.
    let broken = r#"UPDATE agents SET tools = '["gone"]' WHERE id = 2"#;
    sqlx::query(broken).execute(story.pool()).await.unwrap();
    story.until_state("parked").await;
    story.until_quiet().await;
    let told = progress(story.github(), issue);
    assert!(told.contains("could not reach Baton's tools"), "{told}");
    assert!(told.contains("rights cannot be looked up right now"), "{told}");
    story.end().await;
}

#[tokio::test]
async fn calls_that_get_lost_end_the_real_claude_program_early() {
    calls_that_get_lost_end_the_agent(claude).await;
}

#[tokio::test]
async fn calls_that_get_lost_end_the_real_codex_program_early() {
    calls_that_get_lost_end_the_agent(codex).await;
}
