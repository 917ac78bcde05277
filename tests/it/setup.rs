//! A real repository is built inside: what its registry holds is fetched once, by a set-up, and agents
//! and tests then build without any network. Real npm, pip and cargo before a registry on 127.0.0.1, in
//! each kind of sandbox.
//!
//! - `samples` – the repositories
//! - `asking`  – hosts that are asked in vain, and what agents fetch and see
//! - `lacking` – what the server has not
//! - `ending`  – set-ups that are stopped, or that Baton is ended over

mod asking;
mod ending;
mod lacking;
mod samples;

use std::sync::Arc;

use baton::{
    cli::demo::world::Recipe,
    model::{EgressRule, HostRule},
};
use emulators::{
    contract::node_modules,
    models::{Brain, Crew},
    registry::Registry,
};

use crate::support::{baton::Story, place::Place};
use samples::{Sample, node, python, rust};

/// A story in a repository that is built from a sample. The registry has a name, which the server's
/// list leads to this machine.
async fn story(
    place: &Place,
    registry: &Registry,
    sample: &Sample,
    brain: Arc<dyn Brain>,
) -> Story {
    story_with(place, registry, sample, brain, |_| ()).await
}

async fn story_with(
    place: &Place,
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
            recipe.sandbox = place.choice();
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

/// Ends a story, where it was played and what it fetched from.
async fn ended(story: Story, place: &Place, registry: Registry) {
    story.end().await;
    place.is_left_empty();
    registry.shutdown().await;
}

/// Makes a sample; none, loudly, where its toolchain is not on this machine.
type Make = fn(&Registry) -> Option<Sample>;

/// Plays a sample to a pull request that may be merged: its coder has run the tests in a sandbox, and so
/// has Baton, once before the review and once after the fix.
async fn is_built(place: Place, make: Make) {
    is_built_by(place, make, |_| ()).await;
}

async fn is_built_by(place: Place, make: Make, change: impl FnOnce(&mut Recipe)) {
    let registry = Registry::start().await.unwrap();
    let Some(sample) = make(&registry) else { return };
    let story = story_with(&place, &registry, &sample, Arc::new(Crew::new()), change).await;
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
    ended(story, &place, registry).await;
}

#[tokio::test]
async fn a_node_repository_is_set_up_once_and_built_without_network() {
    is_built(Place::Bubblewrap, node).await;
}

#[tokio::test]
async fn a_node_repository_is_set_up_once_and_built_without_network_in_a_container() {
    let Some(place) = Place::containers() else { return };
    is_built(place, node).await;
}

#[tokio::test]
async fn a_node_repository_is_built_by_the_real_claude_program_past_the_proxy() {
    is_built_by_claude(Place::Bubblewrap).await;
}

#[tokio::test]
async fn a_node_repository_is_built_by_the_real_claude_program_past_the_proxy_in_a_container() {
    let Some(place) = Place::containers() else { return };
    is_built_by_claude(place).await;
}

async fn is_built_by_claude(place: Place) {
    let claude =
        node_modules().unwrap_or_default().join("@anthropic-ai/claude-code-linux-x64/claude");
    assert!(claude.is_file(), "the pinned claude program is not there: npm ci installs it");
    is_built_by(place, node, |recipe| {
        recipe.provider = "claude".to_owned();
        recipe.claude = Some(claude);
    })
    .await;
}

#[tokio::test]
async fn a_python_repository_is_set_up_once_and_built_without_network() {
    is_built(Place::Bubblewrap, python).await;
}

#[tokio::test]
async fn a_python_repository_is_set_up_once_and_built_without_network_in_a_container() {
    let Some(place) = Place::containers() else { return };
    is_built(place, python).await;
}

#[tokio::test]
async fn a_rust_repository_is_set_up_once_and_built_without_network() {
    is_built(Place::Bubblewrap, rust).await;
}

#[tokio::test]
async fn a_rust_repository_is_set_up_once_and_built_without_network_in_a_container() {
    let Some(place) = Place::containers() else { return };
    is_built(place, rust).await;
}
