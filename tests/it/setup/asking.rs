//! What is asked of hosts: by a set-up in vain, and by agents, which may or may not fetch.

use std::sync::Arc;

use baton::cli::demo::world::{REPOSITORY, Recipe};
use emulators::{
    github::GitHub,
    models::{Answer, Brain, Crew, Request},
    registry::Registry,
};
use serde_json::json;

use super::{
    ended,
    samples::{self, node},
    story, story_with,
};
use crate::support::{
    baton::{Story, progress, said},
    place::Place,
};

/// A crew whose coder does one deed and says that it is done.
struct Deed(String);

impl Brain for Deed {
    fn answer(&self, request: &Request) -> Answer {
        if !plays(request, "code") {
            return Crew::new().answer(request);
        }
        match request.tool_results_since_last_user_text().len() {
            0 => Answer::text("On it.").and_tool("Bash", json!({ "command": self.0 })),
            _ => Answer::text("That is done.").and_tool(
                "StructuredOutput",
                json!({ "summary": "Added.", "tests_run": "none", "notes": "" }),
            ),
        }
    }
}

/// Whether a request is of an agent in this stage.
fn plays(request: &Request, stage: &str) -> bool {
    let texts = [vec![request.system.clone()], request.user_texts()].concat();
    let line = format!("Role: {stage}");
    texts.iter().any(|text| text.lines().any(|found| found.trim() == line))
}

/// Plays a sample to its pull request, whose coder does a deed; gives its text.
async fn opened(story: &Story) -> String {
    let issue = story.assigned();
    story.approve(issue).await;
    let pull =
        |github: &GitHub| github.issues(REPOSITORY).into_iter().find(|issue| issue.pull.is_some());
    story.until("a pull request", |github| pull(github).is_some()).await;
    pull(story.github()).unwrap().body
}

#[tokio::test]
async fn a_dependency_that_an_agent_adds_is_fetched_by_the_proxy_and_the_thread_says_host_and_package()
 {
    a_dependency_is_added(Place::Bubblewrap).await;
}

#[tokio::test]
async fn a_dependency_that_an_agent_adds_is_fetched_by_the_proxy_and_the_thread_says_host_and_package_in_a_container()
 {
    let Some(place) = Place::containers() else { return };
    a_dependency_is_added(place).await;
}

async fn a_dependency_is_added(place: Place) {
    let registry = Registry::start().await.unwrap();
    let Some(mut sample) = samples::node_without_package(&registry) else { return };
    sample.policy["environment"]["agents"] = json!("fetch");
    sample.policy["test"] = json!(["npm ci", "node -e 'require(\"baton-pad\")(\"x\")'"]);
    let deed = "npm install baton-pad && git add package.json package-lock.json && \
                git commit -qm 'Pad with a package' && curl -sS http://evil.test/; node probe.mjs";
    let story = story(&place, &registry, &sample, Arc::new(Deed(deed.to_owned()))).await;
    let body = opened(&story).await;
    let host = format!("registry.test:{}", registry.port());
    let fetched = format!("**Fetched** `baton-pad 1.0.0` from `{host}` (seen by Baton)");
    assert!(body.contains(&fetched), "{body}");
    let blocked = "- `evil.test`: to allow it, add `- evil.test` to `environment.hosts`";
    assert!(body.contains(blocked), "{body}");
    story.until_state("parked").await;
    ended(story, &place, registry).await;
}

#[tokio::test]
async fn an_agent_that_may_not_fetch_is_told_so_by_the_proxy_and_the_thread_names_the_host() {
    an_agent_may_not_fetch(Place::Bubblewrap).await;
}

#[tokio::test]
async fn an_agent_that_may_not_fetch_is_told_so_by_the_proxy_and_the_thread_names_the_host_in_a_container()
 {
    let Some(place) = Place::containers() else { return };
    an_agent_may_not_fetch(place).await;
}

async fn an_agent_may_not_fetch(place: Place) {
    let registry = Registry::start().await.unwrap();
    let Some(sample) = node(&registry) else { return };
    let host = format!("registry.test:{}", registry.port());
    let deed = format!(
        "curl -sS http://{host}/npm/baton-pad > answer.txt; git add -A && \
         git commit -qm 'Keep the answer'"
    );
    let story = story(&place, &registry, &sample, Arc::new(Deed(deed))).await;
    let body = opened(&story).await;
    let why = "agents and tests fetch only where `agents: fetch` stands under `environment`";
    assert!(body.contains(&format!("- `{host}`: {why}")), "{body}");
    assert!(!body.contains("**Fetched**"), "{body}");
    let pull =
        story.github().issues(REPOSITORY).into_iter().find(|one| one.pull.is_some()).unwrap();
    let diff = story.github().pull(REPOSITORY, pull.number).unwrap();
    let modules = "node_modules/baton-pad/index.js";
    assert_eq!(
        story.github().file(REPOSITORY, &diff.head_branch, modules),
        None,
        "kept folders are git's"
    );
    let answer = story.github().file(REPOSITORY, &diff.head_branch, "answer.txt").unwrap();
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.contains(&format!("Baton: {host} is not allowed here; {why}")), "{answer}");
    let asked = registry.asked();
    assert!(!asked.contains(&"/npm/baton-pad".to_owned()), "the agent got out: {asked:?}");
    story.until_state("parked").await;
    ended(story, &place, registry).await;
}

#[tokio::test]
async fn a_set_up_that_asks_for_a_host_that_is_not_named_is_told_with_the_line_that_would_allow_it()
{
    a_host_is_asked_in_vain(Place::Bubblewrap).await;
}

#[tokio::test]
async fn a_set_up_that_asks_for_a_host_that_is_not_named_is_told_with_the_line_that_would_allow_it_in_a_container()
 {
    let Some(place) = Place::containers() else { return };
    a_host_is_asked_in_vain(place).await;
}

async fn a_host_is_asked_in_vain(place: Place) {
    let registry = Registry::start().await.unwrap();
    let Some(mut sample) = node(&registry) else { return };
    sample.policy["environment"]["hosts"] = json!([]);
    let story = story(&place, &registry, &sample, Arc::new(Crew::new())).await;
    let issue = story.assigned();
    story.approve(issue).await;
    story.until_state("parked").await;
    story.until_quiet().await;
    let host = format!("registry.test:{}", registry.port());
    let line = format!("add `- {host}` to `environment.hosts` in .github/baton.yml");
    for text in [progress(story.github(), issue), said(story.github(), issue).pop().unwrap().body] {
        assert!(text.contains("`npm ci` fails with exit code 1 (run by Baton)"), "{text}");
        assert!(text.contains(&format!("- `{host}`: to allow it, {line}")), "{text}");
        assert!(!text.contains("peration not permitted"), "{text}");
        assert!(text.contains("/baton retry"), "{text}");
    }
    assert_eq!(registry.asked(), [""; 0], "the registry was reached");
    ended(story, &place, registry).await;
}

/// A crew whose reviewer tries to change what the set-up brought. Of the programs only Codex gives a shell
/// to who reads.
struct Spoiler;

impl Brain for Spoiler {
    fn answer(&self, request: &Request) -> Answer {
        if !plays(request, "review") || !request.tool_results_since_last_user_text().is_empty() {
            return Crew::new().answer(request);
        }
        let spoil = "cat node_modules/baton-pad/package.json; touch node_modules/own \
                     node_modules/baton-pad/own /baton/cache/own; echo TRI\"ED\"";
        Answer::text("Let me see.").and_tool("Bash", json!({ "command": spoil }))
    }
}

#[tokio::test]
async fn what_a_set_up_brought_is_read_only_for_a_codex_that_reads() {
    a_reader_changes_nothing(Place::Bubblewrap).await;
}

#[tokio::test]
async fn what_a_set_up_brought_is_read_only_for_a_codex_that_reads_in_a_container() {
    let Some(place) = Place::containers() else { return };
    a_reader_changes_nothing(place).await;
}

async fn a_reader_changes_nothing(place: Place) {
    let registry = Registry::start().await.unwrap();
    let Some(sample) = node(&registry) else { return };
    let codex = baton::app::installed_codex().expect("npm ci installs the pinned program");
    let change = |recipe: &mut Recipe| {
        recipe.provider = "codex".to_owned();
        recipe.codex = Some(codex);
    };
    let story = story_with(&place, &registry, &sample, Arc::new(Spoiler), change).await;
    let issue = story.assigned();
    story.approve(issue).await;
    let seen = || {
        let requests = story.world.openai.requests().into_iter();
        let results = requests.map(|request| request.body["input"].to_string());
        results.filter(|text| text.contains("TRIED")).collect::<Vec<_>>().join("\n")
    };
    story.until("a look at what was brought", |_| !seen().is_empty()).await;
    let seen = seen();
    assert!(seen.contains("baton-pad"), "it did not see what was brought: {seen}");
    let refused = seen.matches("Read-only file system").count();
    assert!(refused > 0 && refused.is_multiple_of(3), "it could change some of it: {seen}");
    story.mara().comment(REPOSITORY, issue, "/baton stop").unwrap();
    story.until_state("parked").await;
    ended(story, &place, registry).await;
}
