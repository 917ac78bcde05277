//! Agents that search the web through their model's provider: where the server names it, the repository asks for it,
//! and nobody from outside has a word in the task.

use std::sync::Arc;

use baton::{
    cli::demo::world::{REPOSITORY, Recipe},
    config::Config,
    model::{Micros, Web, WebTerms, WebTools},
};
use emulators::{
    github::GitHub,
    models::{Answer, Block, Brain, Crew, Request},
    sample,
};
use serde_json::{Value, json};

use super::{
    roles::{claude, of, offered, policy},
    whole::codex_program,
};
use crate::support::baton::{Story, asking};

/// What who may search is told.
const WORDS: &str = "Your program can search the web.";

/// A crew that searches once before it plans, by whichever tool it has.
struct Searching(Crew);

impl Brain for Searching {
    fn answer(&self, request: &Request) -> Answer {
        let plans = request.system.contains("Role: plan");
        let has_begun = !request.tool_results_since_last_user_text().is_empty();
        let search =
            || Answer::new().and_search("open ranges", "RFC 9110", "https://example.test/9110");
        // Claude Code has its search made by a request of its own.
        if request.web.searches > 0 && !plans {
            return search().and_text("RFC 9110 says it.");
        }
        if plans && !has_begun && request.offers("WebSearch") {
            return Answer::tool("WebSearch", json!({"query": "open ranges"}));
        }
        let mut answer = self.0.answer(request);
        if plans && !has_begun && request.web.searches > 0 {
            let found: Vec<Block> = search().blocks;
            answer.blocks.splice(0..0, found);
        }
        answer
    }
}

/// Names both providers' searches, at a cent each.
fn named(config: &mut Config) {
    let terms = WebTerms {
        price: Micros(10_000),
        most: 3,
        tokens: 5_000,
        domains: Vec::new(),
        live: false,
    };
    let tools = WebTools { search: Some(terms), fetch: None };
    config.agents.web = Web { anthropic: tools.clone(), openai: tools };
}

/// Requests that were charged for one search besides their tokens.
const CHARGED: &str = "SELECT count(*) FROM usage u JOIN agents a ON a.id = u.agent_id WHERE u.cost_micros = 10000
    + ceil(tokens_input * 3 + tokens_output * 15 + tokens_cache_read * 0.3 + tokens_cache_write * 3.75)";

/// Agents whose log shows that they searched.
const LOGGED: &str = "SELECT count(DISTINCT agent_id) FROM agent_lines WHERE text LIKE $1";

async fn count(story: &Story, query: &'static str) -> i64 {
    sqlx::query_scalar(query).fetch_one(story.pool()).await.unwrap()
}

async fn logged(story: &Story, words: &str) -> i64 {
    sqlx::query_scalar(LOGGED).bind(words).fetch_one(story.pool()).await.unwrap()
}

#[tokio::test]
async fn the_real_claude_program_searches_where_it_may_and_not_beside_an_outsiders_words() {
    let adapted = |recipe: &mut Recipe| {
        claude(recipe);
        policy(recipe, "roles: {starter: {web: true}}\n");
    };
    let story = Story::configured(Arc::new(Searching(Crew::new())), adapted, named).await;
    let issue = story.assigned();
    story.until("a plan", |github| asking(github, issue).is_some()).await;
    let bodies = |story: &Story| -> Vec<Value> {
        story.world.models.requests().into_iter().map(|request| request.body).collect()
    };
    let searches = |story: &Story| -> Vec<Value> {
        let tools = bodies(story).into_iter().map(|body| body["tools"][0].clone());
        tools.filter(|tool| tool["type"] == "web_search_20250305").collect()
    };
    // The program itself would have searched eight times at most.
    assert_eq!(searches(&story).len(), 1);
    assert_eq!(searches(&story)[0]["max_uses"], 3);
    let planning = of(story.world.models.requests(), "plan");
    assert!(planning.iter().all(|body| offered(body).contains(&"WebSearch")));
    assert!(planning[0]["system"].to_string().contains(WORDS));
    let last = planning.last().unwrap()["messages"].to_string();
    assert!(last.contains("RFC 9110 says it."), "{last}");
    assert_eq!(count(&story, CHARGED).await, 1);
    assert_eq!(logged(&story, "%WebSearch%open ranges%").await, 1);

    // What olga writes could talk an agent into searching for what it has read.
    story.github().add_user("olga");
    let (title, body) = sample::issue();
    let foreign = story.github().as_user("olga").open_issue(REPOSITORY, title, body).unwrap();
    story.mara().label(REPOSITORY, foreign, "baton").unwrap();
    let planned = |github: &GitHub| asking(github, foreign).is_some();
    story.until("a plan for olga", planned).await;
    let all = of(story.world.models.requests(), "plan");
    let beside = &all[planning.len()..];
    assert!(!beside.is_empty());
    for body in beside {
        assert!(!offered(body).contains(&"WebSearch"), "{body}");
        assert!(!body["system"].to_string().contains(WORDS), "{body}");
    }
    assert_eq!(searches(&story).len(), 1);
    for issue in [issue, foreign] {
        story.mara().unlabel(REPOSITORY, issue, "baton").unwrap();
    }
    story.until_quiet().await;
    story.end().await;
}

#[tokio::test]
async fn the_real_codex_program_searches_in_the_providers_index_alone() {
    let program = codex_program();
    let adapted = |recipe: &mut Recipe| {
        recipe.provider = "codex".to_owned();
        recipe.codex = Some(program);
        policy(recipe, "roles: {starter: {web: true}}\n");
    };
    let story = Story::configured(Arc::new(Searching(Crew::new())), adapted, named).await;
    let issue = story.assigned();
    story.until("a plan", |github| asking(github, issue).is_some()).await;
    let requests = story.world.openai.requests();
    assert!(requests.len() > 1, "it goes on with the search in its conversation");
    for request in &requests {
        let tools = request.body["tools"].as_array().unwrap();
        let search = tools.iter().find(|tool| tool["type"] == "web_search").unwrap();
        assert_eq!(search["external_web_access"], false, "no page is read at an agent's word");
        assert!(request.body["max_tool_calls"].as_u64().is_some_and(|calls| calls <= 3));
    }
    let last = requests.last().unwrap().body["input"].to_string();
    assert!(last.contains("web_search_call"), "{last}");
    assert_eq!(count(&story, CHARGED).await, 1);
    assert_eq!(logged(&story, "%web_search%open ranges%").await, 1);
    story.mara().unlabel(REPOSITORY, issue, "baton").unwrap();
    story.until_state("cancelled").await;
    story.end().await;
}

#[tokio::test]
async fn a_repository_that_asks_for_the_web_has_none_where_the_server_names_nothing() {
    let adapted = |recipe: &mut Recipe| {
        claude(recipe);
        policy(recipe, "roles: {starter: {web: true}}\n");
    };
    let story = Story::with(Arc::new(Searching(Crew::new())), adapted).await;
    let issue = story.assigned();
    story.until("a plan", |github| asking(github, issue).is_some()).await;
    for body in of(story.world.models.requests(), "plan") {
        assert!(!offered(&body).contains(&"WebSearch"), "{body}");
    }
    story.mara().unlabel(REPOSITORY, issue, "baton").unwrap();
    story.until_state("cancelled").await;
    story.end().await;
}
