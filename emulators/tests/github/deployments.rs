//! Deployments.

use serde_json::json;

use crate::support::{REPO, scene};

const DEPLOYMENTS: &str = "/repos/octo/widget/deployments";

#[tokio::test]
async fn unknown_ref_long_text_and_unknown_state_are_422() {
    let scene = scene().await;
    assert_eq!(scene.post(DEPLOYMENTS, json!({ "ref": "nowhere" })).await.status, 422);
    assert_eq!(scene.post(DEPLOYMENTS, json!({})).await.status, 422);
    let long = json!({ "ref": "main", "description": "x".repeat(141) });
    assert_eq!(scene.post(DEPLOYMENTS, long).await.status, 422);
    let made = scene.post(DEPLOYMENTS, json!({ "ref": "main" })).await;
    assert_eq!(made.status, 201);
    let path = format!("{DEPLOYMENTS}/{}/statuses", made.body["id"]);
    assert_eq!(scene.post(&path, json!({ "state": "fine" })).await.status, 422);
    let long = json!({ "state": "success", "description": "x".repeat(141) });
    assert_eq!(scene.post(&path, long).await.status, 422);
    assert_eq!(scene.post(&path, json!({ "state": "success" })).await.status, 201);
}

#[tokio::test]
async fn failing_checks_refuse_a_deployment_unless_waived() {
    let scene = scene().await;
    let sha = scene.github.branch(REPO, "main").unwrap();
    scene.github.as_user("mona").report_check(REPO, "ci", &sha, "build", Some("failure")).unwrap();
    assert_eq!(scene.post(DEPLOYMENTS, json!({ "ref": "main" })).await.status, 409);
    let waived = json!({ "ref": "main", "required_contexts": [] });
    assert_eq!(scene.post(DEPLOYMENTS, waived).await.status, 201);
}

#[tokio::test]
async fn success_makes_the_one_before_inactive() {
    let scene = scene().await;
    let mona = scene.github.as_user("mona");
    let first = mona.deploy(REPO, "main", "staging").unwrap();
    mona.report_deployment(REPO, first, "success").unwrap();
    let second = mona.deploy(REPO, "main", "staging").unwrap();
    mona.report_deployment(REPO, second, "success").unwrap();
    let states: Vec<String> =
        scene.github.deployments(REPO)[0].statuses.iter().map(|s| s.state.clone()).collect();
    assert_eq!(states, ["success", "inactive"]);
}
