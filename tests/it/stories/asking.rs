//! Agents that ask people: the question, what waits meanwhile, the answer.

use std::{path::PathBuf, sync::Arc};

use baton::cli::demo::world::{REPOSITORY, Recipe};
use chrono::TimeDelta;
use emulators::{
    contract::node_modules,
    github::{Comment, GitHub},
    models::{Answer, Brain, Content, Crew, Pace, Request},
};
use serde_json::json;
use sqlx::AssertSqlSafe;

use crate::support::{
    baton::{Story, progress, said, say_in_policy},
    leftovers::processes_of,
};

const ASK: &str = "mcp__baton__ask_human";
const REPORT: &str = "mcp__baton__report_progress";

/// The crew, whose coder first asks which way to round, and then works as ever.
struct Asking(Crew);

impl Brain for Asking {
    fn answer(&self, request: &Request) -> Answer {
        let told = request.user_texts().concat();
        if !request.system.contains("Role: code") || told.contains("You asked:") {
            return self.0.answer(request);
        }
        // Claude Code reminds it once of the structured output.
        if asked(request) {
            return Answer::text("I wait for the answer.");
        }
        match request.tool_results_since_last_user_text().len() {
            0 => Answer::text("Two readings.").and_tool(
                REPORT,
                json!({ "items": [{ "text": "Find the reading", "state": "doing" }] }),
            ),
            _ => Answer::tool(
                ASK,
                json!({
                    "question": "Is `bytes=500-` open to the last byte, @mara, or to the one before?",
                    "options": ["To the last byte", "To the one before"],
                    "default": 1,
                    "wait_hours": 4,
                }),
            ),
        }
    }
}

fn asked(request: &Request) -> bool {
    let told = request.messages.iter().flat_map(|message| &message.blocks);
    told.into_iter().any(|block| match block {
        Content::ToolResult { text, .. } => text.contains("end your turn now"),
        Content::Text(_) | Content::ToolUse { .. } => false,
    })
}

/// The comment that asks and was not answered.
fn question(github: &GitHub, issue: u64) -> Option<Comment> {
    let open = said(github, issue).into_iter().filter(|comment| comment.minimized.is_none());
    open.into_iter().find(|comment| comment.body.starts_with("<!-- baton:question "))
}

pub fn claude(recipe: &mut Recipe) {
    let program =
        node_modules().unwrap_or_default().join("@anthropic-ai/claude-code-linux-x64/claude");
    assert!(program.is_file(), "the pinned claude program is missing: npm ci installs it");
    recipe.provider = "claude".to_owned();
    recipe.claude = Some(PathBuf::from(&program));
}

pub fn codex(recipe: &mut Recipe) {
    recipe.provider = "codex".to_owned();
    recipe.codex = Some(super::whole::codex_program());
}

/// Until the coder's question stands on the thread and nothing of the coder is left.
async fn until_asked(story: &Story) -> (u64, Comment) {
    let issue = story.assigned();
    story.approve(issue).await;
    story.until("a question", |github| question(github, issue).is_some()).await;
    story.until_state("waiting").await;
    (issue, question(story.github(), issue).unwrap())
}

/// The agent that went on is in the session of the one that asked.
const WENT_ON: &str =
    "SELECT EXISTS (SELECT FROM agents again JOIN agents asked ON asked.id = again.resumes_id
     WHERE asked.state_data::text LIKE '%asked%' AND asked.session_id = again.session_id
       AND again.state_data::text LIKE '%succeeded%')";

/// `list` is of the list that the program shows while it works.
async fn a_question_outlives_a_restart(list: &str, change: impl FnOnce(&mut Recipe)) {
    let mut story = Story::with(Arc::new(Asking(Crew::new())), change).await;
    let (issue, asking) = until_asked(&story).await;
    let github = story.github();
    assert!(asking.body.contains("@mara the agent that writes the change has a question (**Q1**)"));
    assert!(asking.body.contains("- [ ] **1.** To the last byte\n- [ ] **2.** To the one before"));
    let mentions = asking.body.matches("@mara").count();
    assert_eq!(mentions, 1, "the agent's words mention nobody: {}", asking.body);
    let told = progress(github, issue);
    assert!(told.contains("### Baton: code has a question, waiting for @mara"), "{told}");
    assert!(told.contains("waits for an answer to Q1"), "{told}");
    let labels = github.issue(REPOSITORY, issue).unwrap().labels;
    assert!(labels.iter().any(|label| label == "baton:waiting"), "{labels:?}");
    // No process, lane or workspace waits with it.
    let left = processes_of(story.folder());
    assert!(!left.iter().any(|process| process.contains("bridge")), "{left:?}");
    story.until_true("SELECT NOT EXISTS (SELECT FROM agents WHERE ended_at IS NULL)").await;
    let calls = "SELECT tool_calls || ': ' || todo::text FROM agents WHERE tool_calls > 0";
    let calls: Vec<String> = sqlx::query_scalar(calls).fetch_all(story.pool()).await.unwrap();
    assert!(calls.len() == 1 && calls[0].starts_with("2: "), "{calls:?}");
    assert!(calls[0].contains(list), "{calls:?}");

    story.stop_baton().await;
    story.start_baton().await;
    story.mara().tick(REPOSITORY, asking.id, "To the last byte").unwrap();
    story.merge().await;
    story.until_state("done").await;
    story.until_true(WENT_ON).await;
    assert!(question(story.github(), issue).is_none(), "it is folded away");
    story.end().await;
}

#[tokio::test]
async fn an_agents_question_outlives_a_restart_and_a_tick_answers_it() {
    // This program writes a list of its own, by the line protocol.
    a_question_outlives_a_restart("Two readings.", |_| ()).await;
}

#[tokio::test]
async fn the_real_claude_programs_question_outlives_a_restart_and_a_tick_answers_it() {
    a_question_outlives_a_restart("Find the reading", claude).await;
}

#[tokio::test]
async fn the_real_codex_programs_question_outlives_a_restart_and_a_tick_answers_it() {
    a_question_outlives_a_restart("Find the reading", codex).await;
}

/// A coder that asks and then does not end its turn.
struct Restless(Asking);

impl Brain for Restless {
    fn answer(&self, request: &Request) -> Answer {
        let answered = request.user_texts().concat().contains("You asked:");
        match asked(request) && !answered {
            true => Answer::new().with_pace(Pace::Never),
            false => self.0.answer(request),
        }
    }
}

#[tokio::test]
async fn an_agent_that_asked_and_does_not_end_is_ended_with_its_question() {
    let story = Story::with(Arc::new(Restless(Asking(Crew::new()))), |_| ()).await;
    let (issue, _) = until_asked(&story).await;
    story.mara().comment(REPOSITORY, issue, "/baton answer 1: 1").unwrap();
    story.merge().await;
    story.until_state("done").await;
    story.until_true(WENT_ON).await;
    story.end().await;
}

#[tokio::test]
async fn words_answer_a_question_of_whoever_may_and_help_says_how() {
    let story = Story::with(Arc::new(Asking(Crew::new())), |_| ()).await;
    let (issue, _) = until_asked(&story).await;
    let github = story.github();
    let last = |issue| said(github, issue).pop().unwrap().body;
    story.mara().comment(REPOSITORY, issue, "/baton help").unwrap();
    story.until_quiet().await;
    assert!(last(issue).contains("`/baton answer 1: <your answer>`"), "{}", last(issue));
    story.mara().comment(REPOSITORY, issue, "/baton answer 2: yes").unwrap();
    story.until_quiet().await;
    assert!(last(issue).contains("question Q1 waits"), "{}", last(issue));
    story.mara().comment(REPOSITORY, issue, "/baton answer 1: 7").unwrap();
    story.until_quiet().await;
    assert!(last(issue).contains("2 options"), "{}", last(issue));
    assert_eq!(story.state().await.as_deref(), Some("waiting"));

    story.mara().comment(REPOSITORY, issue, "/baton answer 1: to the very end").unwrap();
    story.merge().await;
    story.until_state("done").await;
    // The answer is data to the agent, told with who gave it.
    let prompts = story.world.models.requests();
    let prompt = prompts.iter().map(|request| request.body.to_string()).collect::<String>();
    assert!(prompt.contains("mara, who may decide here, answered"), "no word of the answer");
    assert!(prompt.contains("to the very end"));
    story.end().await;
}

#[tokio::test]
async fn the_default_counts_after_the_deadline_and_the_thread_says_so() {
    let story = Story::with(Arc::new(Asking(Crew::new())), |_| ()).await;
    let (issue, _) = until_asked(&story).await;
    story.world.clock.advance(TimeDelta::hours(3));
    story.sweep().await;
    story.until_quiet().await;
    assert_eq!(story.state().await.as_deref(), Some("waiting"), "there is an hour left");
    story.world.clock.advance(TimeDelta::hours(2));
    story.sweep().await;
    story.merge().await;
    story.until_state("done").await;
    let told: Vec<String> = said(story.github(), issue).into_iter().map(|it| it.body).collect();
    let told = told.join("\n");
    assert!(
        told.contains("→ nobody answered in time, the default counts: **1.** To the last byte")
    );
    story.end().await;
}

#[tokio::test]
async fn a_question_is_let_go_when_the_task_ends() {
    let story = Story::with(Arc::new(Asking(Crew::new())), |_| ()).await;
    let (issue, _) = until_asked(&story).await;
    story.mara().unlabel(REPOSITORY, issue, "baton").unwrap();
    story.until_state("cancelled").await;
    assert!(question(story.github(), issue).is_none(), "it is folded away");
    story.end().await;
}

/// Every agent is to meet a tool server that cannot tell what it may call.
const BREAK: &str = "
    CREATE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN NEW.tools = '[\"gone\"]'; RETURN NEW; END $$;
    CREATE TRIGGER broken BEFORE UPDATE ON agents FOR EACH ROW EXECUTE FUNCTION broken()";

async fn a_broken_tool_server_is_told(change: impl FnOnce(&mut Recipe)) {
    let once = |recipe: &mut Recipe| {
        say_in_policy(recipe, "restarts: {times: 0}");
        change(recipe);
    };
    let story = Story::with(Arc::new(Crew::new()), once).await;
    sqlx::raw_sql(AssertSqlSafe(BREAK)).execute(story.pool()).await.unwrap();
    let issue = story.assigned();
    story.until_state("parked").await;
    let told = progress(story.github(), issue);
    assert!(told.contains("could not reach Baton's tools"), "{told}");
    assert!(told.contains("/baton retry"), "{told}");
    assert_eq!(story.world.models.requests().len(), 0, "it cost something");
    assert_eq!(story.world.openai.requests().len(), 0, "it cost something");
    story.end().await;
}

#[tokio::test]
async fn a_broken_tool_server_ends_the_agent_early_with_the_reason() {
    a_broken_tool_server_is_told(|_| ()).await;
}

#[tokio::test]
async fn a_broken_tool_server_ends_the_real_claude_program_early_with_the_reason() {
    a_broken_tool_server_is_told(claude).await;
}

#[tokio::test]
async fn a_broken_tool_server_ends_the_real_codex_program_early_with_the_reason() {
    a_broken_tool_server_is_told(codex).await;
}
