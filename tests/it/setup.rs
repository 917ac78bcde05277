//! A real repository is built inside: what its registry holds is fetched once, by a set-up, and agents
//! and tests then build without any network. Real npm, pip and cargo before a registry on 127.0.0.1.

mod samples;

use std::sync::Arc;

use baton::{
    cli::demo::world::REPOSITORY,
    model::{EgressRule, HostRule},
};
use emulators::{
    models::{Answer, Brain, Crew, Request},
    registry::Registry,
};
use serde_json::json;

use crate::support::baton::{Story, progress, said};
use samples::{Sample, node, python, rust};

/// A story in a repository that is built from a sample. The registry has a name, which the server's
/// list leads to this machine.
async fn story(registry: &Registry, sample: &Sample, brain: Arc<dyn Brain>) -> Story {
    let host = HostRule::new(format!("registry.test:{}", registry.port())).unwrap();
    let files = sample.files();
    let tools = sample.tools.clone();
    Story::configured(
        brain,
        |recipe| {
            recipe.files.retain(|(path, _, _)| files.iter().all(|(own, _, _)| own != path));
            recipe.files.extend(files);
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
    let story = story(&registry, &sample, Arc::new(Crew::new())).await;
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
    let packages: Vec<String> =
        sqlx::query_scalar("SELECT package FROM fetches WHERE blocked IS NULL AND package IS NOT NULL")
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
async fn a_set_up_that_asks_for_a_host_that_is_not_named_is_told_with_the_line_that_would_allow_it() {
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

/// A crew whose coder adds a dependency before anything else, and asks for a host that nobody named.
struct Adding;

/// Adds the package, commits that, and looks what else it can get.
const ADD: &str = "npm install baton-pad && git add package.json package-lock.json && \
    git commit -qm 'Pad with a package' && curl -sS http://evil.test/; node probe.mjs";

impl Brain for Adding {
    fn answer(&self, request: &Request) -> Answer {
        let texts = [vec![request.system.clone()], request.user_texts()].concat();
        let codes = texts.iter().any(|text| text.lines().any(|line| line.trim() == "Role: code"));
        if !codes {
            return Crew::new().answer(request);
        }
        match request.tool_results_since_last_user_text().len() {
            0 => Answer::text("On it.").and_tool("Bash", json!({ "command": ADD })),
            _ => Answer::text("That is done.").and_tool(
                "StructuredOutput",
                json!({ "summary": "Added.", "tests_run": "none", "notes": "" }),
            ),
        }
    }
}

#[tokio::test]
async fn a_dependency_that_an_agent_adds_is_fetched_by_the_proxy_and_the_thread_says_host_and_package() {
    let registry = Registry::start().await.unwrap();
    let Some(mut sample) = samples::node_without_package(&registry) else { return };
    sample.policy["environment"]["agents"] = json!("fetch");
    sample.policy["test"] = json!(["npm ci", "node -e 'require(\"baton-pad\")(\"x\")'"]);
    let story = story(&registry, &sample, Arc::new(Adding)).await;
    let issue = story.assigned();
    story.approve(issue).await;
    let opened = |github: &emulators::github::GitHub| {
        github.issues(REPOSITORY).into_iter().find(|issue| issue.pull.is_some())
    };
    story.until("a pull request", |github| opened(github).is_some()).await;
    let pull = opened(story.github()).unwrap();
    let host = format!("registry.test:{}", registry.port());
    let body = pull.body.clone();
    assert!(body.contains(&format!("**Fetched** `baton-pad 1.0.0` from `{host}` (seen by Baton)")), "{body}");
    assert!(body.contains("- `evil.test`: to allow it, add `- evil.test` to `environment.hosts`"), "{body}");
    story.until_state("parked").await;
    story.end().await;
    registry.shutdown().await;
}
