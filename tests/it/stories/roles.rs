//! What policy says of a role reaches the program that plays it.

use std::sync::Arc;

use baton::{
    cli::demo::world::{REPOSITORY, Recipe},
    config::Config,
};
use emulators::{
    contract::node_modules,
    models::{Crew, RecordedRequest},
};
use serde_json::Value;

use super::whole::codex_program;
use crate::support::baton::{Story, said};

/// A model of the real API's that knows effort; the demo's own does not.
const THINKING: &str = "claude-opus-4-6";

/// Adds lines to the repository's policy.
pub fn policy(recipe: &mut Recipe, lines: &str) {
    let file = recipe.files.iter_mut().find(|(path, ..)| path == ".github/baton.yml").unwrap();
    file.1.push_str(lines);
}

/// Lets the real Claude Code play.
pub fn claude(recipe: &mut Recipe) {
    let program =
        node_modules().unwrap_or_default().join("@anthropic-ai/claude-code-linux-x64/claude");
    assert!(program.is_file(), "the pinned claude program is missing: npm ci installs it");
    recipe.provider = "claude".to_owned();
    recipe.claude = Some(program);
}

/// Gives the thinking model the price of the demo's.
fn priced(config: &mut Config) {
    let price = *config.agents.prices.values().next().unwrap();
    config.agents.prices.insert(THINKING.to_owned(), price);
}

/// The requests of agents whose system words say so.
pub fn of(requests: Vec<RecordedRequest>, role: &str) -> Vec<Value> {
    let marker = format!("Role: {role}\\n");
    let bodies = requests.into_iter().map(|request| request.body);
    bodies.filter(|body| body.to_string().contains(&marker)).collect()
}

pub fn offered(body: &Value) -> Vec<&str> {
    let tools = body["tools"].as_array().map(Vec::as_slice).unwrap_or_default();
    tools.iter().filter_map(|tool| tool["name"].as_str()).collect()
}

#[tokio::test]
async fn a_roles_effort_and_tools_reach_the_real_claude_program() {
    let lines = format!(
        "roles:\n  coding: {{model: {THINKING}, effort: low, tools: [Read, Edit, Write], max_turns: 50}}\n"
    );
    let adapted = |recipe: &mut Recipe| {
        claude(recipe);
        policy(recipe, &lines);
    };
    let story = Story::configured(Arc::new(Crew::new()), adapted, priced).await;
    let issue = story.assigned();
    story.approve(issue).await;
    // Without a shell the coder commits nothing itself: its edits are kept, tested and published.
    let pull = story.ready().await;
    let coder = of(story.world.models.requests(), "code");
    assert!(!coder.is_empty());
    for body in &coder {
        assert_eq!(body["output_config"]["effort"], "low", "{body}");
        assert_eq!(body["model"], THINKING);
        let offered = offered(body);
        assert!(offered.contains(&"Edit") && offered.contains(&"Read"), "{offered:?}");
        let taken = ["Bash", "Grep", "Glob"];
        assert!(!offered.iter().any(|name| taken.contains(name)), "{offered:?}");
    }
    let planner = of(story.world.models.requests(), "plan");
    assert!(!planner.is_empty());
    assert!(planner.iter().all(|body| offered(body).contains(&"Grep")));
    assert!(planner.iter().all(|body| body["output_config"]["effort"].is_null()));
    story.mara().merge_pull(REPOSITORY, pull, None).unwrap();
    story.until_state("done").await;
    story.end().await;
}

#[tokio::test]
async fn a_roles_effort_reaches_the_real_codex_program() {
    let codex = |recipe: &mut Recipe| {
        recipe.provider = "codex".to_owned();
        recipe.codex = Some(codex_program());
        policy(recipe, "roles: {starter: {effort: high}}\n");
    };
    let story = Story::with(Arc::new(Crew::new()), codex).await;
    let issue = story.assigned();
    story.approve(issue).await;
    story.ready().await;
    let effort = |role| -> Vec<Value> {
        let bodies = of(story.world.openai.requests(), role);
        bodies.iter().map(|body| body["reasoning"]["effort"].clone()).collect()
    };
    let planner = effort("plan");
    assert!(!planner.is_empty() && planner.iter().all(|effort| effort == "high"), "{planner:?}");
    let coder = effort("code");
    assert!(!coder.is_empty() && coder.iter().all(|effort| effort != "high"), "{coder:?}");
    story.end().await;
}

#[tokio::test]
async fn a_program_that_cannot_be_held_to_a_roles_tools_does_not_start() {
    // The repository does not know which program the server has play.
    let codex = |recipe: &mut Recipe| {
        recipe.provider = "codex".to_owned();
        recipe.codex = Some(codex_program());
        policy(recipe, "roles: {starter: {tools: [Read]}}\n");
    };
    let story = Story::with(Arc::new(Crew::new()), codex).await;
    let issue = story.assigned();
    story.until_state("parked").await;
    let told = said(story.github(), issue).pop().unwrap().body;
    assert!(told.contains("policy takes Grep, Glob from the role starter"), "{told}");
    assert!(story.world.openai.requests().is_empty(), "it asked the model");
    story.end().await;
}

#[tokio::test]
async fn an_agent_makes_no_more_requests_than_its_role_may() {
    let story = Story::with(Arc::new(Crew::new()), |recipe| {
        policy(recipe, "roles: {coding: {requests: 1}}\n");
    })
    .await;
    let issue = story.assigned();
    story.approve(issue).await;
    story.until_state("parked").await;
    let told = said(story.github(), issue).pop().unwrap().body;
    assert!(told.contains("made all 1 requests"), "{told}");
    assert!(told.contains("`roles.coding.requests` in `.github/baton.yml`"), "{told}");
    story.end().await;
}
