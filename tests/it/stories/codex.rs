//! What the real Codex program does beyond the straight way: it takes one prompt a process, so every
//! further word is another process in the same session.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use baton::{
    cli::demo::world::{REPOSITORY, Recipe},
    db::agent_inbox,
    model::{AgentId, Message},
};
use emulators::models::{Answer, Brain, Crew, RecordedRequest, Request};
use serde_json::json;

use super::whole::codex_program;
use crate::support::baton::{Story, asking};

async fn story(brain: impl Brain + 'static) -> Story {
    let program = codex_program();
    let codex = |recipe: &mut Recipe| {
        recipe.provider = "codex".to_owned();
        recipe.codex = Some(program);
    };
    Story::with(Arc::new(brain), codex).await
}

/// A brain that leaves the crew's way where it has something to say.
struct Astray<F>(F);

impl<F: Fn(&Request) -> Option<Answer> + Send + Sync> Brain for Astray<F> {
    fn answer(&self, request: &Request) -> Answer {
        self.0(request).unwrap_or_else(|| Crew::new().answer(request))
    }
}

fn plays(request: &Request, role: &str) -> bool {
    request.system.lines().any(|line| line.trim() == format!("Role: {role}"))
}

fn run(command: &str) -> Answer {
    Answer::tool("Bash", json!({"command": command, "description": "Look"}))
}

/// The id of the session that a request belongs to.
fn session(request: &RecordedRequest) -> &str {
    request.body["prompt_cache_key"].as_str().unwrap()
}

/// What tools gave back, in the order in which it was told.
fn outputs(requests: &[RecordedRequest]) -> String {
    let items = requests.iter().filter_map(|request| request.body["input"].as_array()).flatten();
    items.filter_map(|item| item["output"].as_str()).collect::<Vec<_>>().join("\n")
}

/// The words of everybody in a request.
fn words(request: &RecordedRequest) -> String {
    let items = request.body["input"].as_array().unwrap().iter();
    let parts = items.filter_map(|item| item["content"].as_array()).flatten();
    parts.filter_map(|part| part["text"].as_str()).collect::<Vec<_>>().join("\n")
}

/// Ends a story whose plan is waiting.
async fn ended(story: Story, issue: u64) {
    story.until_state("waiting").await;
    story.mara().unlabel(REPOSITORY, issue, "baton").unwrap();
    story.until_state("cancelled").await;
    story.end().await;
}

#[tokio::test]
async fn codex_is_asked_once_more_for_an_answer_of_the_wrong_form_in_the_same_session() {
    let story = story(Astray(|request: &Request| {
        (request.user_texts().len() == 1).then(|| Answer::text("NOT-OF-THE-FORM"))
    }))
    .await;
    let issue = story.assigned();
    story.until("a plan", |github| asking(github, issue).is_some()).await;
    let requests = story.world.openai.requests();
    let (first, last) = (&requests[0], requests.last().unwrap());
    assert_eq!(session(first), session(last));
    assert!(words(last).contains("NOT-OF-THE-FORM"), "it has forgotten: {}", words(last));
    assert!(words(last).contains("Your answer was not of the agreed form"));
    let offered: Vec<&str> = first.body["tools"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|it| it["type"].as_str())
        .collect();
    assert!(offered.contains(&"function"), "{offered:?}");
    assert!(offered.iter().all(|kind| ["function", "custom", "tool_search"].contains(kind)));
    ended(story, issue).await;
}

#[tokio::test]
async fn settings_that_an_agent_planted_are_gone_when_its_program_starts_again() {
    const PLANT: &str = "cd $CODEX_HOME && echo 'developer_instructions = \"PLANTED\"' > config.toml \
                         && touch planted && mkdir -p skills && ls; echo \"plan\"-TED";
    const LOOK: &str =
        "ls -R $CODEX_HOME; cat $CODEX_HOME/config.toml | grep -c Role:; echo LOOK\"ED\"";
    let story = story(Astray(|request: &Request| {
        let done = request.tool_results_since_last_user_text().len();
        match (request.user_texts().len(), done) {
            (1, 0) => Some(run(PLANT)),
            (1, _) => Some(Answer::text("NOT-OF-THE-FORM")),
            (_, 0) => Some(run(LOOK)),
            (_, _) => None,
        }
    }))
    .await;
    let issue = story.assigned();
    story.until("a plan", |github| asking(github, issue).is_some()).await;
    let requests = story.world.openai.requests();
    let seen = outputs(&requests);
    assert!(seen.contains("plan-TED") && seen.contains("LOOKED"), "{seen}");
    let (_, after) = seen.rsplit_once("plan-TED").unwrap();
    assert!(!after.contains("planted"), "{after}");
    assert!(!requests.iter().any(|request| words(request).contains("PLANTED")));
    ended(story, issue).await;
}

#[tokio::test]
async fn a_role_that_reads_only_cannot_write_to_its_worktree_of_codex() {
    const WRITE: &str = "touch own.txt && echo WRO\"TE\"; echo x > $(git rev-parse --git-dir)/own \
                         && echo WRO\"TE\"; echo TRI\"ED\"";
    let story = story(Astray(|request: &Request| {
        request.tool_results_since_last_user_text().is_empty().then(|| run(WRITE))
    }))
    .await;
    let issue = story.assigned();
    story.until("a plan", |github| asking(github, issue).is_some()).await;
    let seen = outputs(&story.world.openai.requests());
    assert!(seen.contains("TRIED") && seen.contains("Read-only file system"), "{seen}");
    assert!(!seen.contains("WROTE"), "{seen}");
    ended(story, issue).await;
}

#[tokio::test]
async fn a_word_said_while_codex_works_is_heard_in_its_next_turn() {
    let said = Arc::new(AtomicBool::new(false));
    let heard = Arc::clone(&said);
    let story = story(Astray(move |request: &Request| {
        if !plays(request, "code") || request.user_texts().len() > 1 {
            return None;
        }
        if !heard.load(Ordering::SeqCst) {
            return Some(run("sleep 0.2"));
        }
        let early = json!({"summary": "TOO-EARLY", "tests_run": "none", "notes": ""});
        Some(Answer::text(early.to_string()))
    }))
    .await;
    let issue = story.assigned();
    story.approve(issue).await;
    const RUNS: &str =
        "SELECT EXISTS (SELECT FROM agents JOIN stages ON stages.id = agents.stage_id
        WHERE stages.key = 'code' AND agents.state = 'running')";
    story.until_true(RUNS).await;
    let coder = "SELECT max(id) FROM agents";
    let coder: i64 = sqlx::query_scalar(coder).fetch_one(story.pool()).await.unwrap();
    let message = Message::Revise { text: "MIND-THE-WORD".into(), by: "mara".to_owned() };
    let now = story.server().pipeline().parts().clock.now();
    agent_inbox::insert(story.pool(), AgentId(coder), &message, now).await.unwrap();
    story.until_true("SELECT bool_and(delivered_at IS NOT NULL) FROM agent_inbox").await;
    said.store(true, Ordering::SeqCst);
    let pull = story.merge().await;
    story.until_state("done").await;
    assert!(!story.github().issue(REPOSITORY, pull).unwrap().body.contains("TOO-EARLY"));
    let requests = story.world.openai.requests();
    let with_word =
        requests.iter().find(|request| words(request).contains("MIND-THE-WORD")).unwrap();
    assert!(words(with_word).contains("TOO-EARLY"), "the word came before the turn was over");
    story.end().await;
}

#[tokio::test]
async fn a_stopped_codex_goes_on_in_its_session_with_the_next_agent() {
    let story = story(Astray(|request: &Request| {
        let first = plays(request, "code") && request.user_texts().len() == 1;
        first.then(|| run("echo begun; sleep 600"))
    }))
    .await;
    let issue = story.assigned();
    story.approve(issue).await;
    let github = story.github();
    story.until_true("SELECT EXISTS (SELECT FROM agent_lines WHERE text LIKE '%sleep 600%')").await;
    story.mara().comment(REPOSITORY, issue, "/baton stop").unwrap();
    story.until_state("parked").await;
    let saved = "SELECT count(*) FROM agent_sessions JOIN agents ON agents.id = agent_id
        JOIN stages ON stages.id = agents.stage_id WHERE stages.key = 'code'";
    let saved: i64 = sqlx::query_scalar(saved).fetch_one(story.pool()).await.unwrap();
    assert_eq!(saved, 1, "the interrupted session is kept");
    story.mara().comment(REPOSITORY, issue, "/baton resume").unwrap();
    let pull = story.merge().await;
    story.until_state("done").await;
    assert!(github.pull(REPOSITORY, pull).unwrap().merged.is_some());
    let requests = story.world.openai.requests();
    let coders: Vec<&RecordedRequest> =
        requests.iter().filter(|request| words(request).contains("Role: code")).collect();
    let (first, next) = (coders[0], coders[1]);
    assert_eq!(session(first), session(next));
    let calls = next.body["input"].as_array().unwrap().iter();
    let calls = calls.filter(|item| item["arguments"].to_string().contains("sleep 600")).count();
    assert_eq!(calls, 1, "it remembers what it was at: {:#}", next.body);
    story.end().await;
}
