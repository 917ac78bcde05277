//! Set-ups that end before they are done.

use std::sync::Arc;

use baton::cli::demo::world::REPOSITORY;
use emulators::{models::Crew, registry::Registry};
use serde_json::json;

use super::{ended, samples::node, story};
use crate::support::{baton::progress, place::Place};

#[tokio::test]
async fn a_set_up_is_seen_on_the_thread_and_ends_with_its_task() {
    a_set_up_is_stopped(Place::Bubblewrap).await;
}

#[tokio::test]
async fn a_set_up_is_seen_on_the_thread_and_ends_with_its_task_in_a_container() {
    let Some(place) = Place::containers() else { return };
    a_set_up_is_stopped(place).await;
}

async fn a_set_up_is_stopped(place: Place) {
    let registry = Registry::start().await.unwrap();
    let Some(mut sample) = node(&registry) else { return };
    sample.policy["setup"] = json!("sleep 70999");
    let story = story(&place, &registry, &sample, Arc::new(Crew::new())).await;
    let issue = story.assigned();
    story.approve(issue).await;
    let doing = "➜ **Code** is being set up first: `sleep 70999` will be run, or is being run";
    story.until("a set-up", |github| progress(github, issue).contains(doing)).await;
    story.mara().comment(REPOSITORY, issue, "/baton stop").unwrap();
    story.until_state("parked").await;
    story.until_true("SELECT NOT EXISTS (SELECT FROM command_runs WHERE state <> 'broken')").await;
    ended(story, &place, registry).await;
}

#[tokio::test]
async fn a_set_up_that_baton_is_ended_over_is_begun_again_after_the_restart() {
    baton_is_ended_over_a_set_up(Place::Bubblewrap).await;
}

#[tokio::test]
async fn a_set_up_that_baton_is_ended_over_is_begun_again_after_the_restart_in_a_container() {
    let Some(place) = Place::containers() else { return };
    baton_is_ended_over_a_set_up(place).await;
}

async fn baton_is_ended_over_a_set_up(place: Place) {
    let registry = Registry::start().await.unwrap();
    let Some(mut sample) = node(&registry) else { return };
    sample.policy["setup"] = json!("sleep 70998");
    let mut story = story(&place, &registry, &sample, Arc::new(Crew::new())).await;
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
    ended(story, &place, registry).await;
}
