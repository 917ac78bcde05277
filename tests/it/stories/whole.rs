//! The main job from the label to verified production.

use std::{collections::BTreeSet, path::PathBuf, sync::Arc};

use baton::{
    cli::demo::world::REPOSITORY,
    config::{Containers, SandboxChoice},
};
use emulators::{
    contract::{Judge, node_modules},
    github::GitHub,
    models::{Answer, Brain, Crew, Request},
    sample,
};
use serde_json::json;

use crate::support::{
    baton::{Story, checks, progress, said},
    containers::{IMAGE, Podman},
};

#[tokio::test]
async fn a_labelled_issue_ends_verified_in_production() {
    let story = Story::begin().await;
    let (issue, pull) = story.to_merge().await;
    story.until_state("done").await;
    is_whole(story.github(), issue, pull);
    fits_githubs_schemas(story.github());
    story.end().await;
}

#[tokio::test]
async fn a_labelled_issue_ends_verified_in_production_by_the_real_claude_program() {
    let program = pinned("@anthropic-ai/claude-code-linux-x64/claude");
    let claude = |recipe: &mut baton::cli::demo::world::Recipe| {
        recipe.provider = "claude".to_owned();
        recipe.claude = Some(program);
    };
    let story = Story::with(Arc::new(Crew::new()), claude).await;
    let (issue, pull) = story.to_merge().await;
    story.until_state("done").await;
    is_whole(story.github(), issue, pull);
    fits_githubs_schemas(story.github());
    story.end().await;
}

#[tokio::test]
async fn a_labelled_issue_ends_verified_in_production_by_the_real_codex_program() {
    let program = codex_program();
    let codex = |recipe: &mut baton::cli::demo::world::Recipe| {
        recipe.provider = "codex".to_owned();
        recipe.codex = Some(program);
    };
    let story = Story::with(Arc::new(Crew::new()), codex).await;
    let (issue, pull) = story.to_merge().await;
    story.until_state("done").await;
    is_whole(story.github(), issue, pull);
    fits_githubs_schemas(story.github());
    story.end().await;
}

/// The native Codex program.
pub fn codex_program() -> PathBuf {
    pinned("@openai/codex-linux-x64/vendor/x86_64-unknown-linux-musl/bin/codex")
}

/// A program that npm laid down.
pub fn pinned(path: &str) -> PathBuf {
    let program = node_modules().unwrap_or_default().join(path);
    let place = program.display();
    assert!(program.is_file(), "the pinned program is not at {place}: npm ci installs it");
    program
}

#[tokio::test]
async fn a_labelled_issue_ends_verified_in_production_with_agents_in_containers() {
    let Some(podman) = Podman::start() else { return };
    // What the repository wants of its image only another one has.
    podman.call(&["run", "--name", "making", IMAGE, "touch", "/here-it-is"]).unwrap();
    podman.call(&["commit", "--quiet", "making", "with-more"]).unwrap();
    podman.call(&["rm", "making"]).unwrap();
    let containers = Containers {
        socket: podman.socket(),
        image: IMAGE.to_owned(),
        images: vec!["localhost/with-more".to_owned()],
        cpus: None,
        survive_seconds: 120,
    };
    let contained = |recipe: &mut baton::cli::demo::world::Recipe| {
        recipe.sandbox = SandboxChoice::Container(containers);
        let policy =
            recipe.files.iter_mut().find(|(path, ..)| path == ".github/baton.yml").unwrap();
        policy.1 = policy.1.replace("node --test", "test -e /here-it-is && node --test");
        policy.1.push_str("environment: {image: localhost/with-more}\n");
    };
    let story = Story::with(Arc::new(Crew::new()), contained).await;
    let (issue, pull) = story.to_merge().await;
    story.until_state("done").await;
    is_whole(story.github(), issue, pull);
    let kinds: serde_json::Value =
        sqlx::query_scalar("SELECT sandboxes FROM nodes").fetch_one(story.pool()).await.unwrap();
    assert_eq!(kinds, json!(["container"]));
    story.end().await;
    assert_eq!(podman.containers(), [""; 0], "left behind");
}

#[tokio::test]
async fn a_fix_that_was_undone_by_hand_is_not_deployed() {
    let story = Story::begin().await;
    let issue = merge_without_the_fix(&story).await;
    story.until_state("parked").await;
    let github = story.github();
    assert!(github.deployments(REPOSITORY).is_empty());
    let closing = said(github, issue).pop().unwrap().body;
    assert!(closing.contains("the deployment is held back"), "{closing}");
    assert!(closing.contains("/baton retry"), "{closing}");
    story.end().await;
}

#[tokio::test]
async fn a_fix_that_was_undone_by_hand_fails_verification_and_reopens_the_issue() {
    let story = Story::with(Arc::new(HastyDeployer(Crew::new())), |_| ()).await;
    let issue = merge_without_the_fix(&story).await;
    story.until_state("parked").await;
    let github = story.github();
    assert_eq!(github.issue(REPOSITORY, issue).unwrap().state(), "open", "{}", story.told().await);
    let deployments = github.deployments(REPOSITORY);
    assert_eq!(deployments.len(), 1);
    assert_eq!(deployments[0].statuses.last().unwrap().state, "failure");
    let mut checks = checks(github).into_iter();
    let verify = checks.rfind(|check| check.name == "baton / verify").unwrap();
    assert_eq!(verify.conclusion.as_deref(), Some("failure"));
    let told = progress(github, issue);
    assert!(told.contains("### Baton: parked"), "{told}");
    let closing = said(github, issue).pop().unwrap().body;
    assert!(closing.contains("does not pass verification"), "{closing}");
    story.end().await;
}

/// A crew whose deployer finds everything ready.
struct HastyDeployer(Crew);

impl Brain for HastyDeployer {
    fn answer(&self, request: &Request) -> Answer {
        let texts = request.user_texts();
        let mut texts = texts.iter().chain([&request.system]);
        let deploys = texts.any(|text| text.lines().any(|line| line.trim() == "Role: deploy"));
        if !deploys {
            return self.0.answer(request);
        }
        if !request.tool_results_since_last_user_text().is_empty() {
            return Answer::text("It is ready.");
        }
        let ready =
            json!({"ready": true, "summary": "Fine.", "watch": [], "rollback": "Revert it."});
        Answer::tool("StructuredOutput", ready)
    }
}

/// Up to a merge of a change whose fix somebody undid; gives the issue.
async fn merge_without_the_fix(story: &Story) -> u64 {
    let issue = story.assigned();
    story.approve(issue).await;
    let pull = story.ready().await;
    undo_the_fix(story, pull);
    story.mara().merge_pull(REPOSITORY, pull, None).unwrap();
    issue
}

/// Puts the sample's own source back on the branch of the pull request.
fn undo_the_fix(story: &Story, pull: u64) {
    let branch = story.github().pull(REPOSITORY, pull).unwrap().head_branch;
    let files = sample::files();
    let sources = files.iter().filter(|file| file.path.starts_with("src/"));
    let files: Vec<(&str, &[u8], bool)> =
        sources.map(|file| (file.path, file.contents.as_bytes(), file.executable)).collect();
    story.mara().push_files(REPOSITORY, &branch, &files, "Undo the fix").unwrap();
}

/// What GitHub shows of a job that went well, whatever the review found.
pub fn is_said_once(github: &GitHub, issue: u64) {
    let pulls = github.issues(REPOSITORY).into_iter().filter(|issue| issue.pull.is_some());
    assert_eq!(pulls.count(), 1);
    assert_eq!(github.issue(REPOSITORY, issue).unwrap().state(), "closed");
    let told = progress(github, issue);
    assert!(told.contains("done"), "{told}");
    let asked = said(github, issue);
    let mut asked = asked.iter().filter(|comment| comment.body.contains("**Approve this plan**"));
    let asked_once = asked.next().unwrap();
    assert_eq!(asked.next(), None);
    assert!(asked_once.minimized.is_some(), "the question was answered");
    assert!(said(github, issue).last().unwrap().body.contains("verified"), "the closing word");
    one_check_each(github);
    let deployments = github.deployments(REPOSITORY);
    assert_eq!(deployments.len(), 1);
    assert_eq!(deployments[0].statuses.last().unwrap().state, "success");
}

/// The same, of a review with two findings that were settled.
pub fn is_whole(github: &GitHub, issue: u64, pull: u64) {
    is_said_once(github, issue);
    let findings = github.pull(REPOSITORY, pull).unwrap().review_comments;
    let threads: Vec<_> = findings.iter().filter(|comment| comment.in_reply_to.is_none()).collect();
    assert_eq!(threads.len(), 2, "{threads:#?}");
    assert!(threads.iter().all(|thread| thread.resolved_by.is_some()), "{threads:#?}");
    let reviews = github.reviews(REPOSITORY, pull);
    assert_eq!(reviews.len(), 2, "one with findings, one that passes: {reviews:#?}");
}

/// One check for each stage and head, all of them over.
fn one_check_each(github: &GitHub) {
    let mut seen = BTreeSet::new();
    for check in checks(github) {
        assert_eq!(check.status, "completed", "{check:#?}");
        assert!(seen.insert((check.name.clone(), check.head_sha.clone())), "twice: {check:#?}");
    }
    for stage in ["code", "review", "deploy", "verify"] {
        let name = format!("baton / {stage}");
        assert!(seen.iter().any(|(seen, _)| *seen == name), "no {name} in {seen:#?}");
    }
}

/// Every request, answer and delivery, judged by what GitHub publishes.
pub fn fits_githubs_schemas(github: &GitHub) {
    let folder = node_modules().expect("the schemas of GitHub are there (npm ci)");
    let judge = Judge::from_node_modules(&folder).expect("the schemas can be read (npm ci)");
    let requests = github.requests();
    let deliveries = github.deliveries();
    let violations = requests.iter().flat_map(|request| judge.judge(request));
    let violations =
        violations.chain(deliveries.iter().flat_map(|delivery| judge.judge_delivery(delivery)));
    let violations: Vec<String> = violations.map(|violation| violation.to_string()).collect();
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}
