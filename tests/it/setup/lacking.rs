//! What a repository needs and the server has not.

use std::sync::Arc;

use emulators::{models::Crew, registry::Registry};
use serde_json::json;

use super::{ended, samples::Sample, story};
use crate::support::{
    absent::{Lack, skip},
    baton::progress,
    containers::IMAGE,
    place::Place,
};

#[tokio::test]
async fn a_toolchain_that_the_server_has_not_is_named_with_what_its_operator_can_do() {
    if ["/usr/bin/go", "/usr/local/bin/go"].iter().any(|go| std::path::Path::new(go).exists()) {
        skip(Lack::Machine, "there is a go on this machine");
        return;
    }
    let registry = Registry::start().await.unwrap();
    let policy = json!({"version": 1, "setup": "go mod download", "test": "go test ./..."});
    let files = [("go.mod", "module sample\n"), (".tool-versions", "golang 1.22.3\n")];
    let sample = Sample::new(policy, &files, "", "");
    let story = story(&Place::Bubblewrap, &registry, &sample, Arc::new(Crew::new())).await;
    let issue = story.assigned();
    story.approve(issue).await;
    story.until_state("parked").await;
    story.until_quiet().await;
    let told = progress(story.github(), issue);
    assert!(told.contains("shows its sandboxes no go, which the preset go needs"), "{told}");
    assert!(told.contains(".tool-versions names 1.22.3"), "{told}");
    assert!(told.contains("`tools` under `[sandbox]`"), "{told}");
    ended(story, &Place::Bubblewrap, registry).await;
}

#[tokio::test]
async fn an_image_that_the_server_cannot_give_is_named_with_what_its_operator_can_do() {
    let registry = Registry::start().await.unwrap();
    let policy = json!({"version": 1, "environment": {"image": "node:22"}, "test": "true"});
    let sample = Sample::new(policy, &[], "", "");
    let story = story(&Place::Bubblewrap, &registry, &sample, Arc::new(Crew::new())).await;
    let issue = story.assigned();
    // Who only reads plans all the same.
    story.approve(issue).await;
    story.until_state("parked").await;
    story.until_quiet().await;
    let told = progress(story.github(), issue);
    assert!(told.contains("node:22, and this server runs agents in bubblewrap"), "{told}");
    ended(story, &Place::Bubblewrap, registry).await;
}

#[tokio::test]
async fn a_toolchain_that_an_image_has_not_is_named_with_what_its_operator_can_do() {
    let Some(place) = Place::containers() else { return };
    let registry = Registry::start().await.unwrap();
    let policy = json!({"version": 1, "setup": "go mod download", "test": "go test ./..."});
    let features =
        json!({"features": {"ghcr.io/devcontainers/features/go:1": {"version": "1.22"}}});
    let features = features.to_string();
    let sample = Sample::new(policy, &[(".devcontainer.json", &features)], "", "");
    let story = story(&place, &registry, &sample, Arc::new(Crew::new())).await;
    let issue = story.assigned();
    story.approve(issue).await;
    story.until_state("parked").await;
    story.until_quiet().await;
    let told = progress(story.github(), issue);
    assert!(
        told.contains(&format!("the image {IMAGE} has no go, which the preset go needs")),
        "{told}"
    );
    ended(story, &place, registry).await;
}
