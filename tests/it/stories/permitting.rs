//! What Claude Code asks leave for while it works is decided by policy, and seen by people.

use std::sync::Arc;

use baton::cli::demo::world::{REPOSITORY, Recipe};
use emulators::models::{Answer, Brain, Content, Crew, Request};
use serde_json::{Value, json};

use super::{
    roles::{claude, policy},
    watching::rows,
};
use crate::support::baton::{Story, progress};

/// A file that the program holds for sensitive and policy allows.
const ALLOWED: &str = ".mcp.json";
/// A file that this repository's policy protects.
const PROTECTED: &str = ".claude/settings.json";

/// The crew, whose coder first writes two files that it has to ask leave for.
struct Asking(Crew);

impl Brain for Asking {
    fn answer(&self, request: &Request) -> Answer {
        if !request.system.contains("Role: code") {
            return self.0.answer(&without(request));
        }
        let write =
            |path: &str| Answer::tool("Write", json!({"file_path": path, "content": "{}\n"}));
        match request.tool_results_since_last_user_text().len() {
            0 => write(ALLOWED),
            1 => write(PROTECTED),
            _ => self.0.answer(&without(request)),
        }
    }
}

/// The conversation as the crew knows it.
fn without(request: &Request) -> Request {
    let mut rest = request.clone();
    let blocks = || request.messages.iter().flat_map(|message| &message.blocks);
    let ours = |asked: &str| {
        blocks().any(|block| match block {
            Content::ToolUse { id, input, .. } => id == asked && is_ours(input),
            Content::Text(_) | Content::ToolResult { .. } => false,
        })
    };
    for message in &mut rest.messages {
        message.blocks.retain(|block| match block {
            Content::ToolUse { id, .. } | Content::ToolResult { id, .. } => !ours(id),
            Content::Text(_) => true,
        });
    }
    rest
}

fn is_ours(input: &Value) -> bool {
    let path = input["file_path"].as_str().unwrap_or_default();
    input["content"].is_string() && (path.ends_with(ALLOWED) || path.ends_with(PROTECTED))
}

/// What the coder was told when it wrote there.
fn told(story: &Story, path: &str) -> (String, bool) {
    let requests = story.world.models.requests();
    let parsed: Vec<Request> =
        requests.iter().map(|request| Request::parse(&request.body)).collect();
    let calls = parsed.iter().flat_map(Request::tool_results_since_last_user_text);
    let mut calls = calls.filter(|call| {
        is_ours(call.input) && call.input["file_path"].as_str().unwrap().ends_with(path)
    });
    let call = calls.next().expect("it was tried");
    (call.result.to_owned(), call.is_error)
}

#[tokio::test]
async fn what_the_real_claude_program_asks_leave_for_is_decided_by_policy_and_shown() {
    let adapted = |recipe: &mut Recipe| {
        claude(recipe);
        policy(recipe, "protected: [\".claude/**\"]\n");
    };
    let story = Story::with(Arc::new(Asking(Crew::new())), adapted).await;
    let (issue, pull) = story.to_merge().await;
    story.until_state("done").await;

    let (result, failed) = told(&story, ALLOWED);
    assert!(!failed, "{result}");
    let (result, failed) = told(&story, PROTECTED);
    assert!(failed && result.contains("is protected in this repository"), "{result}");
    let github = story.github();
    let merged = github.pull(REPOSITORY, pull).unwrap().merged.is_some();
    assert!(merged && github.file(REPOSITORY, "main", ALLOWED).is_some());
    assert_eq!(github.file(REPOSITORY, "main", PROTECTED), None);

    let agents = rows(&story, &["agents", "--all", "--json"]).await;
    let coder = agents.iter().find(|agent| agent["stage"] == "code" && agent["attempt"] == 1);
    let coder = coder.expect("a coder was at work");
    assert_eq!((&coder["denied"], &coder["failed"]), (&json!(1), &json!(1)), "{coder}");
    assert!(coder["told_tokens"].as_i64().unwrap() > 0, "{coder}");
    assert!(coder["told_micros"].as_i64().unwrap() > 0, "{coder}");
    let id = coder["id"].to_string();
    let lines = rows(&story, &["logs", "1", "--json", "--agent", &id]).await;
    let said = format!("denied Write: {PROTECTED} is protected");
    let noted = |line: &&Value| line["text"].as_str().is_some_and(|text| text.starts_with(&said));
    assert_eq!(lines.iter().filter(noted).count(), 1, "{lines:#?}");
    let thread = progress(github, issue);
    // The second round wrote there, too.
    assert!(thread.contains(" tool calls (2 failed, 2 denied)"), "{thread}");
    story.end().await;
}
