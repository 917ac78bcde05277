//! Reviews and their threads.

use emulators::github::LineComment;
use serde_json::json;

use crate::support::{REPO, scene};

#[tokio::test]
async fn verdict_on_ones_own_pull_is_422_and_a_comment_works() {
    let scene = scene().await;
    let number = scene.own_pull(false).await;
    let path = format!("/repos/octo/widget/pulls/{number}/reviews");
    for event in ["APPROVE", "REQUEST_CHANGES"] {
        let answer = scene.post(&path, json!({ "event": event, "body": "x" })).await;
        assert_eq!(answer.status, 422, "{event}");
        assert!(answer.body.to_string().contains("your own pull request"));
    }
    let answer = scene.post(&path, json!({ "event": "COMMENT", "body": "x" })).await;
    assert_eq!((answer.status, &answer.body["state"]), (200, &json!("COMMENTED")));
}

#[tokio::test]
async fn app_may_request_changes_on_a_persons_pull() {
    let scene = scene().await;
    scene.topic();
    let number = scene.github.as_user("mona").open_pull(REPO, "topic", "main", "t").unwrap();
    let path = format!("/repos/octo/widget/pulls/{number}/reviews");
    let answer = scene.post(&path, json!({ "event": "REQUEST_CHANGES", "body": "x" })).await;
    assert_eq!(answer.body["state"], "CHANGES_REQUESTED");
}

#[tokio::test]
async fn review_without_body_or_with_an_unknown_event_is_422() {
    let scene = scene().await;
    let number = scene.own_pull(false).await;
    let path = format!("/repos/octo/widget/pulls/{number}/reviews");
    for body in [json!({ "event": "COMMENT" }), json!({ "event": "LGTM", "body": "x" })] {
        assert_eq!(scene.post(&path, body).await.status, 422);
    }
    let stale = json!({ "event": "COMMENT", "body": "x", "commit_id": "0".repeat(40) });
    assert_eq!(scene.post(&path, stale).await.status, 422);
}

#[tokio::test]
async fn comment_outside_of_the_diff_is_422_and_keeps_nothing() {
    let scene = scene().await;
    let number = scene.own_pull(false).await;
    let path = format!("/repos/octo/widget/pulls/{number}/reviews");
    let review = |file: &str, line: u64| {
        let comment = json!({ "path": file, "line": line, "side": "RIGHT", "body": "why" });
        json!({ "event": "COMMENT", "body": "x", "comments": [comment] })
    };
    assert_eq!(scene.post(&path, review("src/a.rs", 99)).await.status, 422);
    assert_eq!(scene.post(&path, review("README.md", 1)).await.status, 422);
    assert!(scene.github.reviews(REPO, number).is_empty());
    let answer = scene.post(&path, review("src/a.rs", 2)).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let comments = format!("{path}/{}/comments", answer.body["id"]);
    let comments = scene.get(&comments).await;
    assert!(comments.body[0]["diff_hunk"].as_str().unwrap().ends_with("+zwei"));
}

#[tokio::test]
async fn reply_joins_the_thread_and_resolving_tells() {
    let scene = scene().await;
    let number = scene.own_pull(false).await;
    let line = LineComment { path: "src/a.rs", line: 2, body: "why" };
    let mona = scene.github.as_user("mona");
    mona.submit_review(REPO, number, "COMMENT", "see", &[line]).unwrap();
    let first = scene.github.pull(REPO, number).unwrap().review_comments[0].id;
    let path = format!("/repos/octo/widget/pulls/{number}/comments/{first}/replies");
    let reply = scene.post(&path, json!({ "body": "because" })).await;
    assert_eq!((reply.status, &reply.body["in_reply_to_id"]), (201, &json!(first)));
    mona.resolve(REPO, number, first, true).unwrap();
    let names = scene.arrived().await;
    assert_eq!(names.last().unwrap(), "pull_request_review_thread.resolved");
    let comments = names.iter().filter(|name| *name == "pull_request_review_comment.created");
    assert_eq!(comments.count(), 2);
}
