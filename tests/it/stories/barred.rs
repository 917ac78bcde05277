//! What an agent tries at the gateway and may not: its log and its thread name it.

use std::sync::Arc;

use baton::cli::demo::world::REPOSITORY;
use emulators::{
    github::GitHub,
    models::{Answer, Brain, Crew, Pace, Request},
};
use serde_json::json;

use crate::support::baton::Story;

/// Asks thrice for a search on the provider's side and once for a file, with the agent's own token.
const TRY: &str = r#"
    export KEY=$(tr '\0' '\n' < /proc/$PPID/environ | sed -n 's/^ANTHROPIC_API_KEY=//p')
    node --input-type=module -e '
      const base = process.env.ANTHROPIC_BASE_URL;
      const headers = {"content-type": "application/json", "x-api-key": process.env.KEY};
      const ask = (path, body) => fetch(base + path, {method: "POST", headers, body: JSON.stringify(body)});
      const tools = [{type: "web_search_20250305", name: "web_search"}];
      for (let n = 0; n < 3; n += 1) {
        const answer = await ask("/v1/messages", {model: "claude-sonnet-4-5", max_tokens: 9, messages: [], tools});
        console.log(answer.status);
      }
      console.log((await ask("/v1/files", {})).status);
    '"#;

/// A crew whose coder tries that, and then says no more.
struct Curious(Crew);

impl Brain for Curious {
    fn answer(&self, request: &Request) -> Answer {
        if !request.system.contains("Role: code") {
            return self.0.answer(request);
        }
        if request.tool_results_since_last_user_text().is_empty() {
            return Answer::tool("Bash", json!({"command": TRY, "description": "Look around"}));
        }
        Answer::new().with_pace(Pace::Never)
    }
}

#[tokio::test]
async fn what_the_gateway_refuses_is_in_the_agents_log_and_on_its_thread() {
    let story = Story::with(Arc::new(Curious(Crew::new())), |_| ()).await;
    let issue = story.assigned();
    story.approve(issue).await;
    let kept = "SELECT EXISTS (SELECT FROM agents WHERE refused @>
            '[{\"what\": \"web_search_20250305\", \"times\": 3}, {\"what\": \"POST /v1/files\", \"times\": 1}]')";
    story.until_true(kept).await;
    story.mara().comment(REPOSITORY, issue, "/baton stop").unwrap();
    story.until_state("parked").await;
    let told = |github: &GitHub| {
        let comments = github.comments(REPOSITORY, issue);
        comments.iter().any(|comment| {
            let words =
                "**The gateway refused** `web_search_20250305`, 3 times; `POST /v1/files`, 1 time";
            comment.body.contains(words)
        })
    };
    story.until("what was refused", told).await;
    story.end().await;
}
