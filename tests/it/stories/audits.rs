//! `/baton audit`: few issues, and none twice.

use std::sync::Arc;

use baton::cli::demo::world::REPOSITORY;
use emulators::models::{Answer, Brain, Request};
use serde_json::{Value, json};

use crate::support::baton::{Story, said};

/// An auditor that finds seven things, or five where seven are too many.
struct Strict;

impl Brain for Strict {
    fn answer(&self, request: &Request) -> Answer {
        if !request.tool_results_since_last_user_text().is_empty() {
            return Answer::text("That is all.");
        }
        // Seven are too many: it is asked again, and confines itself.
        let count = if request.user_texts().len() > 1 { 5 } else { 7 };
        let findings: Vec<Value> = (1..=count)
            .map(|number| {
                json!({
                    "title": format!("Flaw {number} in the server"),
                    "severity": "medium",
                    "path": "server.mjs",
                    "line": number,
                    "body": format!("It goes wrong in the {number}. way."),
                    "evidence": format!("server.mjs:{number} shows it"),
                })
            })
            .collect();
        let outcome = json!({"summary": "Several things.", "findings": findings});
        Answer::tool("StructuredOutput", outcome)
    }
}

#[tokio::test]
async fn an_audit_opens_at_most_five_issues_and_a_second_none_twice() {
    let story = Story::with(Arc::new(Strict), |_| ()).await;
    let issue = story.issue();
    for round in 1..=2 {
        story.mara().comment(REPOSITORY, issue, "/baton audit").unwrap();
        story
            .until("a report of the audit", |github| {
                let told = said(github, issue);
                told.iter().filter(|comment| comment.body.contains("udit")).count() >= round
            })
            .await;
        story.until_state("done").await;
        let issues = story.github().issues(REPOSITORY);
        let opened = issues.iter().filter(|issue| issue.title.contains("Flaw")).count();
        assert_eq!(opened, 5, "round {round}: {}", story.told().await);
    }
    story.end().await;
}
