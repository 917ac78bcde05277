//! Money and quota: what stops a task, what the thread says then, and what lets it go on.

use std::sync::Arc;

use baton::cli::demo::world::{REPOSITORY, Recipe};
use baton::db::budgets;
use baton::model::Micros;
use chrono::TimeDelta;
use emulators::models::{Brain, Crew, Fault};

use super::whole::codex_program;
use crate::support::baton::{Story, asking, progress, said};

const POLICY: &str = ".github/baton.yml";

/// A story in a repository whose policy says this too.
async fn with_policy(line: &str) -> Story {
    with_policy_and(Arc::new(Crew::new()), line).await
}

/// The same with another model.
pub async fn with_policy_and(brain: Arc<dyn Brain>, line: &str) -> Story {
    let add = |recipe: &mut Recipe| {
        let policy = recipe.files.iter_mut().find(|(path, ..)| path == POLICY).unwrap();
        policy.1.push_str(&format!("{line}\n"));
    };
    Story::with(brain, add).await
}

fn last_word(story: &Story, issue: u64) -> String {
    said(story.github(), issue).pop().unwrap().body
}

/// What the budget of the only task says.
async fn budget(story: &Story) -> budgets::Budget {
    budgets::find(story.pool(), "task:1", "").await.unwrap().unwrap()
}

#[tokio::test]
async fn a_task_that_runs_out_of_money_is_parked_and_goes_on_with_more() {
    let story = with_policy("budget: 0.09").await;
    let issue = story.assigned();
    story.approve(issue).await;
    story.until_state("parked").await;
    let github = story.github();
    let told = progress(github, issue);
    assert!(told.contains("of $0.09 is spent. Waiting for @mara"), "{told}");
    assert!(told.contains("Nothing is lost"), "{told}");
    assert!(told.contains("the next request to the model may cost up to"), "{told}");
    assert!(told.contains("`/baton budget +2` (this server allows $5.00)"), "{told}");
    assert!(told.contains("code $") && told.contains("plan $"), "{told}");
    assert!(last_word(&story, issue).contains("@mara: **Parked:"), "{}", last_word(&story, issue));
    let row = budget(&story).await;
    assert!(row.spent.0 <= 90_000 && row.reserved == Micros::ZERO, "{row:?}");
    assert_eq!(row.beyond, Micros::ZERO);
    // Answers were shortened before the money ran out.
    let lengths = || -> Vec<u64> {
        let requests = story.world.models.requests();
        requests.iter().filter_map(|request| request.body["max_tokens"].as_u64()).collect()
    };
    assert!(!lengths().is_empty());
    assert!(lengths().iter().all(|length| (1_024..8_192).contains(length)), "{:?}", lengths());

    story.mara().comment(REPOSITORY, issue, "/baton budget +6").unwrap();
    story.until_quiet().await;
    assert!(last_word(&story, issue).contains("no task cost more than $5.00"));
    assert_eq!(story.state().await.as_deref(), Some("parked"), "nothing was raised");
    story.mara().comment(REPOSITORY, issue, "/baton budget +2").unwrap();
    story.merge().await;
    story.until_state("done").await;
    assert!(lengths().contains(&8_192), "with money enough no answer is shortened");
    let told = progress(github, issue);
    assert!(told.contains("of $2.09 spent"), "{told}");
    let row = budget(&story).await;
    assert!(row.limit == Micros(2_090_000) && row.reserved == Micros::ZERO, "{row:?}");
    story.end().await;
}

#[tokio::test]
async fn a_task_without_quota_says_until_when_and_goes_on_by_itself_then() {
    let story = Story::begin().await;
    let issue = story.assigned();
    story.until("a plan", |github| asking(github, issue).is_some()).await;
    story.until_state("waiting").await;
    story.world.models.faults().next(1, Fault::rate_limited(3 * 3_600));
    let before = story.world.clock.now();
    story.approve(issue).await;
    story.until_state("parked").await;
    let after = story.world.clock.now();
    let github = story.github();
    let told = progress(github, issue);
    let says = |at: baton::model::Timestamp| {
        let until = at + TimeDelta::hours(3);
        told.contains(&format!("{} UTC", until.format("%H:%M")))
    };
    assert!(says(before) || says(after), "{told}");
    assert!(told.contains("### Baton: parked, the model's quota is used up until"), "{told}");
    assert!(told.contains("it resumes by itself at"), "{told}");
    assert_eq!(story.world.models.faults().left(), 0);
    // Too early, nothing goes on; at its time it does, to the end.
    story.sweep().await;
    story.until_quiet().await;
    assert_eq!(story.state().await.as_deref(), Some("parked"));
    story.world.clock.advance(TimeDelta::hours(3) + TimeDelta::minutes(1));
    story.sweep().await;
    story.merge().await;
    story.until_state("done").await;
    story.end().await;
}

#[tokio::test]
async fn where_policy_says_so_a_person_lets_a_task_go_on_after_its_quota() {
    let story = with_policy("resume_after_quota: person").await;
    story.world.models.faults().next(1, Fault::status(529));
    let issue = story.assigned();
    story.until_state("parked").await;
    let told = progress(story.github(), issue);
    assert!(told.contains("the model's provider is overloaded, the next try is at"), "{told}");
    assert!(told.contains("Waiting for @mara"), "{told}");
    assert!(told.contains("`/baton resume`, from "), "{told}");
    story.world.clock.advance(TimeDelta::hours(1));
    story.sweep().await;
    story.until_quiet().await;
    assert_eq!(story.state().await.as_deref(), Some("parked"), "nobody said so");
    story.mara().comment(REPOSITORY, issue, "/baton resume").unwrap();
    story.until("a plan", |github| asking(github, issue).is_some()).await;
    story.until_state("waiting").await;
    story.mara().close_issue(REPOSITORY, issue).unwrap();
    story.until_state("cancelled").await;
    story.end().await;
}

#[tokio::test]
async fn where_one_provider_gives_no_more_another_goes_on_at_once() {
    let program = codex_program();
    let both = |recipe: &mut Recipe| recipe.codex = Some(program);
    let story = Story::with(Arc::new(Crew::new()), both).await;
    let issue = story.assigned();
    story.until("a plan", |github| asking(github, issue).is_some()).await;
    story.until_state("waiting").await;
    story.world.models.faults().next(1, Fault::rate_limited(3 * 3_600));
    story.approve(issue).await;
    story.until_state("parked").await;
    let github = story.github();
    let told = progress(github, issue);
    assert!(told.contains("**Change provider:** `/baton provider "), "{told}");
    assert!(told.contains("`/baton provider codex` goes on now"), "{told}");
    story.mara().comment(REPOSITORY, issue, "/baton provider gemini").unwrap();
    story.until_quiet().await;
    assert!(last_word(&story, issue).contains("codex"), "{}", last_word(&story, issue));
    assert_eq!(story.state().await.as_deref(), Some("parked"), "nothing was changed");
    let before = story.world.models.requests().len();
    story.mara().comment(REPOSITORY, issue, "/baton provider codex").unwrap();
    story.merge().await;
    story.until_state("done").await;
    assert_eq!(story.world.models.requests().len(), before, "the first provider was left alone");
    story.end().await;
}

#[tokio::test]
async fn codex_without_quota_is_parked_until_openais_time_and_goes_on_then() {
    let program = codex_program();
    let codex = |recipe: &mut Recipe| {
        recipe.provider = "codex".to_owned();
        recipe.codex = Some(program);
    };
    let story = Story::with(Arc::new(Crew::new()), codex).await;
    story.world.openai.faults().next(1, Fault::rate_limited(3 * 3_600));
    let issue = story.assigned();
    story.until_state("parked").await;
    let told = progress(story.github(), issue);
    assert!(told.contains("### Baton: parked, the model's quota is used up until"), "{told}");
    assert_eq!(story.world.openai.faults().left(), 0);
    assert_eq!(story.world.openai.requests().len(), 1, "codex does not ask in vain");
    story.world.clock.advance(TimeDelta::hours(3) + TimeDelta::minutes(1));
    story.sweep().await;
    story.until("a plan", |github| asking(github, issue).is_some()).await;
    story.end().await;
}
