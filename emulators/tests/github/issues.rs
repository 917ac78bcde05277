//! Issues, comments, labels, reactions.

use serde_json::json;

use crate::support::{REPO, scene};

const ISSUES: &str = "/repos/octo/widget/issues";

#[tokio::test]
async fn bodies_beyond_65536_characters_are_422() {
    let scene = scene().await;
    let (most, beyond) = ("ü".repeat(65_536), "ü".repeat(65_537));
    let answer = scene.post(ISSUES, json!({ "title": "t", "body": beyond })).await;
    assert_eq!(answer.status, 422);
    assert_eq!(scene.post(ISSUES, json!({ "title": "t", "body": most })).await.status, 201);
    let comments = format!("{ISSUES}/1/comments");
    assert_eq!(scene.post(&comments, json!({ "body": beyond })).await.status, 422);
    let comment = scene.post(&comments, json!({ "body": most })).await;
    assert_eq!(comment.status, 201);
    let path = format!("{ISSUES}/comments/{}", comment.body["id"]);
    assert_eq!(scene.patch(&path, json!({ "body": beyond })).await.status, 422);
}

#[tokio::test]
async fn blank_comment_and_missing_or_long_title_are_422() {
    let scene = scene().await;
    assert_eq!(scene.post(ISSUES, json!({ "body": "x" })).await.status, 422);
    assert_eq!(scene.post(ISSUES, json!({ "title": "x".repeat(257) })).await.status, 422);
    scene.github.as_user("mona").open_issue(REPO, "t", "").unwrap();
    let comments = format!("{ISSUES}/1/comments");
    assert_eq!(scene.post(&comments, json!({ "body": "  " })).await.status, 422);
    assert_eq!(scene.post(&comments, json!({})).await.status, 422);
    assert_eq!(scene.patch(&format!("{ISSUES}/1"), json!({ "state": "done" })).await.status, 422);
}

#[tokio::test]
async fn unknown_issue_and_comment_are_404() {
    let scene = scene().await;
    assert_eq!(scene.get(&format!("{ISSUES}/9")).await.status, 404);
    assert_eq!(
        scene.post(&format!("{ISSUES}/9/comments"), json!({ "body": "x" })).await.status,
        404
    );
    assert_eq!(
        scene.patch(&format!("{ISSUES}/comments/9"), json!({ "body": "x" })).await.status,
        404
    );
}

#[tokio::test]
async fn update_overwrites_a_tick_made_meanwhile() {
    let scene = scene().await;
    scene.github.as_user("mona").open_issue(REPO, "t", "").unwrap();
    let path = format!("{ISSUES}/1/comments");
    let comment = scene.post(&path, json!({ "body": "- [ ] plan\n- [ ] go" })).await;
    let id = comment.body["id"].as_u64().unwrap();
    scene.github.as_user("mona").tick(REPO, id, "go").unwrap();
    assert_eq!(scene.github.comments(REPO, 1)[0].body, "- [ ] plan\n- [x] go");
    let path = format!("{ISSUES}/comments/{id}");
    scene.patch(&path, json!({ "body": "- [ ] plan\n- [ ] go\nmore" })).await;
    assert_eq!(scene.github.comments(REPO, 1)[0].body, "- [ ] plan\n- [ ] go\nmore");
}

#[tokio::test]
async fn label_that_is_not_on_is_404_and_limits_are_422() {
    let scene = scene().await;
    scene.github.as_user("mona").open_issue(REPO, "t", "").unwrap();
    let labels = format!("{ISSUES}/1/labels");
    assert_eq!(scene.delete(&format!("{labels}/baton%3Awaiting")).await.status, 404);
    assert_eq!(scene.post(&labels, json!({ "labels": ["baton:waiting"] })).await.status, 200);
    assert_eq!(scene.delete(&format!("{labels}/baton%3Awaiting")).await.status, 200);
    let long = json!({ "labels": ["x".repeat(51)] });
    assert_eq!(scene.post(&labels, long).await.status, 422);
    let all = "/repos/octo/widget/labels";
    assert_eq!(scene.post(all, json!({ "name": "BATON:waiting" })).await.status, 422);
    assert_eq!(scene.post(all, json!({ "name": "n", "color": "red" })).await.status, 422);
    let long = json!({ "name": "n", "color": "ff0000", "description": "x".repeat(101) });
    assert_eq!(scene.post(all, long).await.status, 422);
    assert_eq!(scene.post(all, json!({ "name": "n", "color": "ff0000" })).await.status, 201);
}

#[tokio::test]
async fn reaction_is_201_once_then_200_and_unknown_ones_422() {
    let scene = scene().await;
    scene.github.as_user("mona").open_issue(REPO, "t", "").unwrap();
    let comment = scene.github.as_user("mona").comment(REPO, 1, "/baton plan").unwrap();
    let path = format!("{ISSUES}/comments/{comment}/reactions");
    assert_eq!(scene.post(&path, json!({ "content": "eyes" })).await.status, 201);
    let again = scene.post(&path, json!({ "content": "eyes" })).await;
    assert_eq!(again.status, 200);
    assert_eq!(scene.post(&path, json!({ "content": "thumbs" })).await.status, 422);
    let one = format!("{path}/{}", again.body["id"]);
    assert_eq!(scene.delete(&one).await.status, 204);
    assert_eq!(
        scene.post(&format!("{ISSUES}/1/reactions"), json!({ "content": "rocket" })).await.status,
        201
    );
}

#[tokio::test]
async fn closed_issue_reopens_and_tells_who_did_it() {
    let scene = scene().await;
    scene.github.as_user("mona").open_issue(REPO, "t", "").unwrap();
    let path = format!("{ISSUES}/1");
    let closing = json!({ "state": "closed", "state_reason": "not_planned" });
    let closed = scene.patch(&path, closing).await;
    assert_eq!(
        (&closed.body["state"], &closed.body["state_reason"]),
        (&json!("closed"), &json!("not_planned"))
    );
    scene.github.as_user("octo").reopen_issue(REPO, 1).unwrap();
    assert!(scene.github.issue(REPO, 1).unwrap().is_open());
    assert_eq!(
        scene.arrived().await,
        ["installation.created", "issues.opened", "issues.closed", "issues.reopened"]
    );
    let senders: Vec<_> = scene
        .github
        .deliveries()
        .iter()
        .map(|known| known.payload["sender"]["login"].clone())
        .collect();
    assert_eq!(senders, ["octo", "mona", "baton[bot]", "octo"]);
}
