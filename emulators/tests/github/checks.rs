//! Check runs: limits, what completes them, and what people press.

use serde_json::{Value, json};

use crate::support::{REPO, Scene, scene};

const RUNS: &str = "/repos/octo/widget/check-runs";

fn main_sha(scene: &Scene) -> String {
    scene.github.branch(REPO, "main").unwrap()
}

async fn refused(scene: &Scene, change: Value) {
    let mut body = json!({ "name": "baton / plan", "head_sha": main_sha(scene) });
    body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    let answer = scene.post(RUNS, body).await;
    assert_eq!(answer.status, 422, "{change} {}", answer.body);
}

#[tokio::test]
async fn check_beyond_a_limit_is_422() {
    let scene = scene().await;
    let long = "x".repeat(65_536);
    let annotation = json!({ "path": "a", "start_line": 1, "end_line": 1, "annotation_level": "notice", "message": "m" });
    refused(&scene, json!({ "output": { "title": "t", "summary": long } })).await;
    refused(&scene, json!({ "output": { "title": "t", "summary": "s", "text": long } })).await;
    refused(&scene, json!({ "output": { "summary": "s" } })).await;
    let many = vec![annotation; 51];
    refused(&scene, json!({ "output": { "title": "t", "summary": "s", "annotations": many } }))
        .await;
    let action = json!({ "label": "l", "description": "d", "identifier": "i" });
    refused(&scene, json!({ "actions": vec![action; 4] })).await;
    refused(
        &scene,
        json!({ "actions": [{ "label": "x".repeat(21), "description": "d", "identifier": "i" }] }),
    )
    .await;
    refused(
        &scene,
        json!({ "actions": [{ "label": "l", "description": "x".repeat(41), "identifier": "i" }] }),
    )
    .await;
    refused(
        &scene,
        json!({ "actions": [{ "label": "l", "description": "d", "identifier": "x".repeat(21) }] }),
    )
    .await;
    refused(&scene, json!({ "status": "completed" })).await;
    refused(&scene, json!({ "conclusion": "great" })).await;
    refused(&scene, json!({ "head_sha": "0".repeat(40) })).await;
}

#[tokio::test]
async fn annotations_append_with_each_update() {
    let scene = scene().await;
    let annotation = json!({ "path": "a", "start_line": 1, "end_line": 1, "annotation_level": "notice", "message": "m" });
    let output = json!({ "title": "t", "summary": "s", "annotations": vec![annotation; 50] });
    let body = json!({ "name": "n", "head_sha": main_sha(&scene), "output": output });
    let run = scene.post(RUNS, body).await;
    let path = format!("{RUNS}/{}", run.body["id"]);
    let again = scene.patch(&path, json!({ "output": output })).await;
    assert_eq!(again.body["output"]["annotations_count"], 100);
}

#[tokio::test]
async fn own_checks_come_back_and_conclusion_completes() {
    let scene = scene().await;
    let run = scene.post(RUNS, json!({ "name": "n", "head_sha": main_sha(&scene) })).await;
    assert_eq!((run.status, &run.body["status"]), (201, &json!("queued")));
    let path = format!("{RUNS}/{}", run.body["id"]);
    let done = scene.patch(&path, json!({ "conclusion": "success" })).await;
    assert_eq!(done.body["status"], "completed");
    let names = scene.arrived().await;
    let tail = &names[names.len() - 3..];
    assert_eq!(tail, ["check_run.created", "check_run.completed", "check_suite.completed"]);
}

#[tokio::test]
async fn buttons_show_only_once_completed() {
    let scene = scene().await;
    let action = json!({ "label": "Fix", "description": "d", "identifier": "fix" });
    let body = json!({ "name": "n", "head_sha": main_sha(&scene), "actions": [action] });
    let run = scene.post(RUNS, body).await.body["id"].as_u64().unwrap();
    let mona = scene.github.as_user("mona");
    assert!(mona.press(REPO, run, "fix").is_err());
    scene.patch(&format!("{RUNS}/{run}"), json!({ "conclusion": "failure" })).await;
    mona.press(REPO, run, "fix").unwrap();
    mona.rerun_check(REPO, run).unwrap();
    let told = scene.github.deliveries();
    assert_eq!(told[told.len() - 2].payload["requested_action"]["identifier"], "fix");
    assert_eq!(told[told.len() - 1].action.as_deref(), Some("rerequested"));
}

#[tokio::test]
async fn rerequested_is_told_only_with_checks_write() {
    let scene = scene().await;
    let body = json!({ "name": "n", "head_sha": main_sha(&scene), "conclusion": "failure" });
    let run = scene.post(RUNS, body).await.body["id"].as_u64().unwrap();
    scene.github.set_permissions(scene.installation, &[("checks", "read")]);
    let before = scene.github.deliveries().len();
    scene.github.as_user("mona").rerun_check(REPO, run).unwrap();
    assert_eq!(scene.github.deliveries().len(), before);
}

#[tokio::test]
async fn check_of_another_app_cannot_be_changed() {
    let scene = scene().await;
    let sha = main_sha(&scene);
    let run = scene.github.as_user("mona").report_check(REPO, "ci", &sha, "build", None).unwrap();
    let answer = scene.patch(&format!("{RUNS}/{run}"), json!({ "conclusion": "success" })).await;
    assert_eq!(answer.status, 403);
    let listed = scene.get(&format!("/repos/octo/widget/commits/{sha}/check-runs")).await;
    assert_eq!(listed.body["check_runs"][0]["app"]["slug"], "ci");
}
