//! A real repository is built inside: what its registry holds is fetched once, by a set-up, and agents
//! and tests then build without any network. Real npm, pip and cargo before a registry on 127.0.0.1.

mod samples;

use std::sync::Arc;

use baton::{
    cli::demo::world::{REPOSITORY, Recipe},
    model::{EgressRule, HostRule},
};
use emulators::{
    contract::node_modules,
    github::GitHub,
    models::{Answer, Brain, Crew, Request},
    registry::Registry,
};
use serde_json::json;

use crate::support::baton::{Story, progress, said};
use samples::{Sample, node, python, rust};

/// A story in a repository that is built from a sample. The registry has a name, which the server's
/// list leads to this machine.
async fn story(registry: &Registry, sample: &Sample, brain: Arc<dyn Brain>) -> Story {
    story_with(registry, sample, brain, |_| ()).await
}

async fn story_with(
    registry: &Registry,
    sample: &Sample,
    brain: Arc<dyn Brain>,
    change: impl FnOnce(&mut Recipe),
) -> Story {
    let host = HostRule::new(format!("registry.test:{}", registry.port())).unwrap();
    let files = sample.files();
    let tools = sample.tools.clone();
    Story::configured(
        brain,
        |recipe| {
            recipe.files.retain(|(path, _, _)| files.iter().all(|(own, _, _)| own != path));
            recipe.files.extend(files);
            change(recipe);
        },
        |config| {
            let address = Some([127, 0, 0, 1].into());
            config.limits.egress.push(EgressRule { host, address });
            config.sandbox.tools = tools;
        },
    )
    .await
}

/// Plays a sample to a pull request that may be merged: its coder has run the tests in a sandbox, and so
/// has Baton, once before the review and once after the fix.
async fn is_built(registry: Registry, sample: Sample) {
    is_built_by(registry, sample, |_| ()).await;
}

async fn is_built_by(registry: Registry, sample: Sample, change: impl FnOnce(&mut Recipe)) {
    let story = story_with(&registry, &sample, Arc::new(Crew::new()), change).await;
    let issue = story.assigned();
    story.approve(issue).await;
    story.ready().await;
    let runs: Vec<(String, String)> =
        sqlx::query_as("SELECT kind, state_data->>'passed' FROM command_runs ORDER BY id")
            .fetch_all(story.pool())
            .await
            .unwrap();
    let runs: Vec<(&str, &str)> = runs.iter().map(|(kind, passed)| (&**kind, &**passed)).collect();
    let told = story.told().await;
    assert_eq!(runs, [("setup", "true"), ("test", "true"), ("test", "true")], "{told}");
    let asked = registry.asked();
    let fetched = asked.iter().filter(|path| **path == sample.package);
    assert_eq!(fetched.count(), 1, "the package was fetched: {asked:?}");
    let packages: Vec<String> = sqlx::query_scalar(
        "SELECT package FROM fetches WHERE blocked IS NULL AND package IS NOT NULL",
    )
    .fetch_all(story.pool())
    .await
    .unwrap();
    assert_eq!(packages, [sample.named]);
    story.end().await;
    registry.shutdown().await;
}

#[tokio::test]
async fn a_node_repository_is_set_up_once_and_built_without_network() {
    let registry = Registry::start().await.unwrap();
    if let Some(sample) = node(&registry) {
        is_built(registry, sample).await;
    }
}

#[tokio::test]
async fn a_node_repository_is_built_by_the_real_claude_program_past_the_proxy() {
    let claude =
        node_modules().unwrap_or_default().join("@anthropic-ai/claude-code-linux-x64/claude");
    assert!(claude.is_file(), "the pinned claude program is not there: npm ci installs it");
    let registry = Registry::start().await.unwrap();
    let Some(sample) = node(&registry) else { return };
    is_built_by(registry, sample, |recipe| {
        recipe.provider = "claude".to_owned();
        recipe.claude = Some(claude);
    })
    .await;
}

#[tokio::test]
async fn a_python_repository_is_set_up_once_and_built_without_network() {
    let registry = Registry::start().await.unwrap();
    if let Some(sample) = python(&registry) {
        is_built(registry, sample).await;
    }
}

#[tokio::test]
async fn a_rust_repository_is_set_up_once_and_built_without_network() {
    let registry = Registry::start().await.unwrap();
    if let Some(sample) = rust(&registry) {
        is_built(registry, sample).await;
    }
}

#[tokio::test]
async fn a_set_up_that_asks_for_a_host_that_is_not_named_is_told_with_the_line_that_would_allow_it()
{
    let registry = Registry::start().await.unwrap();
    let Some(mut sample) = node(&registry) else { return };
    sample.policy["environment"]["hosts"] = json!([]);
    let story = story(&registry, &sample, Arc::new(Crew::new())).await;
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
    story.end().await;
    registry.shutdown().await;
}

#[tokio::test]
async fn a_toolchain_that_the_server_has_not_is_named_with_what_its_operator_can_do() {
    if ["/usr/bin/go", "/usr/local/bin/go"].iter().any(|go| std::path::Path::new(go).exists()) {
        eprintln!("SKIPPED: there is a go on this machine, this test showed nothing");
        return;
    }
    let registry = Registry::start().await.unwrap();
    let policy = json!({"version": 1, "setup": "go mod download", "test": "go test ./..."});
    let files = [("go.mod", "module sample\n"), (".tool-versions", "golang 1.22.3\n")];
    let sample = Sample::new(policy, &files, "", "");
    let story = story(&registry, &sample, Arc::new(Crew::new())).await;
    let issue = story.assigned();
    story.approve(issue).await;
    story.until_state("parked").await;
    story.until_quiet().await;
    let told = progress(story.github(), issue);
    assert!(told.contains("shows its sandboxes no go, which the preset go needs"), "{told}");
    assert!(told.contains(".tool-versions names 1.22.3"), "{told}");
    assert!(told.contains("`tools` under `[sandbox]`"), "{told}");
    story.end().await;
    registry.shutdown().await;
}

#[tokio::test]
async fn an_image_that_the_server_cannot_give_is_named_with_what_its_operator_can_do() {
    let registry = Registry::start().await.unwrap();
    let policy = json!({"version": 1, "environment": {"image": "node:22"}, "test": "true"});
    let sample = Sample::new(policy, &[], "", "");
    let story = story(&registry, &sample, Arc::new(Crew::new())).await;
    let issue = story.assigned();
    // Who only reads plans all the same.
    story.approve(issue).await;
    story.until_state("parked").await;
    story.until_quiet().await;
    let told = progress(story.github(), issue);
    assert!(told.contains("node:22, and this server runs agents in bubblewrap"), "{told}");
    story.end().await;
    registry.shutdown().await;
}

/// A crew whose coder does one deed and says that it is done.
struct Deed(String);

impl Brain for Deed {
    fn answer(&self, request: &Request) -> Answer {
        let texts = [vec![request.system.clone()], request.user_texts()].concat();
        let codes = texts.iter().any(|text| text.lines().any(|line| line.trim() == "Role: code"));
        if !codes {
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
    let registry = Registry::start().await.unwrap();
    let Some(mut sample) = samples::node_without_package(&registry) else { return };
    sample.policy["environment"]["agents"] = json!("fetch");
    sample.policy["test"] = json!(["npm ci", "node -e 'require(\"baton-pad\")(\"x\")'"]);
    let deed = "npm install baton-pad && git add package.json package-lock.json && \
                git commit -qm 'Pad with a package' && curl -sS http://evil.test/; node probe.mjs";
    let story = story(&registry, &sample, Arc::new(Deed(deed.to_owned()))).await;
    let body = opened(&story).await;
    let host = format!("registry.test:{}", registry.port());
    let fetched = format!("**Fetched** `baton-pad 1.0.0` from `{host}` (seen by Baton)");
    assert!(body.contains(&fetched), "{body}");
    let blocked = "- `evil.test`: to allow it, add `- evil.test` to `environment.hosts`";
    assert!(body.contains(blocked), "{body}");
    story.until_state("parked").await;
    story.end().await;
    registry.shutdown().await;
}

#[tokio::test]
async fn an_agent_that_may_not_fetch_is_told_so_by_the_proxy_and_the_thread_names_the_host() {
    let registry = Registry::start().await.unwrap();
    let Some(sample) = node(&registry) else { return };
    let host = format!("registry.test:{}", registry.port());
    let deed = format!(
        "curl -sS http://{host}/npm/baton-pad > answer.txt; git add -A && \
         git commit -qm 'Keep the answer'"
    );
    let story = story(&registry, &sample, Arc::new(Deed(deed))).await;
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
    story.end().await;
    registry.shutdown().await;
}

#[tokio::test]
async fn a_set_up_is_seen_on_the_thread_and_ends_with_its_task() {
    let registry = Registry::start().await.unwrap();
    let Some(mut sample) = node(&registry) else { return };
    sample.policy["setup"] = json!("sleep 70999");
    let story = story(&registry, &sample, Arc::new(Crew::new())).await;
    let issue = story.assigned();
    story.approve(issue).await;
    let doing = "➜ **Code** is being set up first: `sleep 70999` will be run, or is being run";
    story.until("a set-up", |github| progress(github, issue).contains(doing)).await;
    story.mara().comment(REPOSITORY, issue, "/baton stop").unwrap();
    story.until_state("parked").await;
    story.until_true("SELECT NOT EXISTS (SELECT FROM command_runs WHERE state <> 'broken')").await;
    story.end().await;
    registry.shutdown().await;
}

#[tokio::test]
async fn a_set_up_that_baton_is_ended_over_is_begun_again_after_the_restart() {
    let registry = Registry::start().await.unwrap();
    let Some(mut sample) = node(&registry) else { return };
    sample.policy["setup"] = json!("sleep 70998");
    let mut story = story(&registry, &sample, Arc::new(Crew::new())).await;
    let issue = story.assigned();
    story.approve(issue).await;
    story.until_true("SELECT EXISTS (SELECT FROM command_runs WHERE state = 'pending')").await;
    story.kill_baton();
    story.start_baton().await;
    story
        .until_true(
            "SELECT array_agg(state || coalesce(state_data->>'reason', '') ORDER BY id)
                    = '{brokenBaton was ended under it, pending}' FROM command_runs",
        )
        .await;
    story.stop_baton().await;
    story.start_baton().await;
    story
        .until_true(
            "SELECT array_agg(state ORDER BY id) = '{broken, broken, pending}' FROM command_runs",
        )
        .await;
    story.mara().comment(REPOSITORY, issue, "/baton stop").unwrap();
    story.until_state("parked").await;
    story.end().await;
    registry.shutdown().await;
}
