//! What only GraphQL can do.

use emulators::github::LineComment;
use serde_json::json;

use crate::support::{REPO, scene};

const THREADS: &str = "query($owner: String!, $name: String!, $number: Int!, $after: String) {
  repository(owner: $owner, name: $name) { pullRequest(number: $number) { id
    reviewThreads(first: 1, after: $after) {
      nodes { id isResolved comments(first: 1) { nodes { databaseId } } }
      pageInfo { hasNextPage endCursor } } } } }";

const READY: &str = "mutation($id: ID!) { markPullRequestReadyForReview(input: {pullRequestId: $id}) { pullRequest { isDraft } } }";
const RESOLVE: &str =
    "mutation($id: ID!) { resolveReviewThread(input: {threadId: $id}) { thread { isResolved } } }";
const MINIMIZE: &str = "mutation($id: ID!) { minimizeComment(input: {subjectId: $id, classifier: OUTDATED}) { minimizedComment { isMinimized } } }";

#[tokio::test]
async fn threads_are_paged_and_resolved() {
    let scene = scene().await;
    let number = scene.own_pull(false).await;
    let line = |line| LineComment { path: "src/a.rs", line, body: "why" };
    let mona = scene.github.as_user("mona");
    mona.submit_review(REPO, number, "COMMENT", "x", &[line(1), line(2)]).unwrap();
    let mut variables = json!({ "owner": "octo", "name": "widget", "number": number });
    let first = scene.graphql(THREADS, variables.clone()).await;
    let threads = &first.body["data"]["repository"]["pullRequest"]["reviewThreads"];
    assert_eq!(threads["pageInfo"]["hasNextPage"], true, "{}", first.body);
    variables["after"] = threads["pageInfo"]["endCursor"].clone();
    let second = scene.graphql(THREADS, variables).await;
    let threads = &second.body["data"]["repository"]["pullRequest"]["reviewThreads"];
    let comment = scene.github.pull(REPO, number).unwrap().review_comments[1].id;
    assert_eq!(threads["nodes"][0]["comments"]["nodes"][0]["databaseId"], comment);
    let done = scene.graphql(RESOLVE, json!({ "id": threads["nodes"][0]["id"] })).await;
    assert_eq!(done.body["data"]["resolveReviewThread"]["thread"]["isResolved"], true);
    assert!(scene.github.pull(REPO, number).unwrap().review_comments[1].resolved_by.is_some());
}

#[tokio::test]
async fn draft_becomes_ready() {
    let scene = scene().await;
    let number = scene.own_pull(true).await;
    let id = scene.get(&format!("/repos/octo/widget/pulls/{number}")).await.body["node_id"].clone();
    let done = scene.graphql(READY, json!({ "id": id })).await;
    let pull = &done.body["data"]["markPullRequestReadyForReview"]["pullRequest"];
    assert_eq!(pull["isDraft"], false, "{}", done.body);
    assert_eq!(scene.arrived().await.last().unwrap(), "pull_request.ready_for_review");
}

#[tokio::test]
async fn comment_is_minimised() {
    let scene = scene().await;
    scene.github.as_user("mona").open_issue(REPO, "t", "").unwrap();
    let path = "/repos/octo/widget/issues/1/comments";
    let id = scene.post(path, json!({ "body": "asked" })).await.body["node_id"].clone();
    let done = scene.graphql(MINIMIZE, json!({ "id": id })).await;
    let comment = &done.body["data"]["minimizeComment"]["minimizedComment"];
    assert_eq!(comment["isMinimized"], true, "{}", done.body);
    assert_eq!(scene.github.comments(REPO, 1)[0].minimized.as_deref(), Some("OUTDATED"));
}

#[tokio::test]
async fn refusals_are_200_with_errors() {
    let scene = scene().await;
    let unknown = scene.graphql(RESOLVE, json!({ "id": "PRRT_nothing" })).await;
    assert_eq!((unknown.status, &unknown.body["errors"][0]["type"]), (200, &json!("NOT_FOUND")));
    let bare =
        "{ repository(owner: \"octo\", name: \"widget\") { pullRequest(number: 1) { id } hats } }";
    let answer = scene.graphql(bare, json!({})).await;
    assert_eq!(answer.body["errors"].as_array().unwrap().len(), 2, "{}", answer.body);
    let number = scene.own_pull(false).await;
    let bare = format!(
        "{{ repository(owner: \"octo\", name: \"widget\") {{ pullRequest(number: {number}) {{ reviewThreads {{ nodes {{ id }} }} }} }} }}"
    );
    let unbounded = scene.graphql(&bare, json!({})).await;
    assert_eq!(unbounded.body["errors"][0]["type"], "MISSING_PAGINATION_BOUNDARIES");
    assert!(scene.graphql("query {", json!({})).await.body["errors"].is_array());
}

#[tokio::test]
async fn missing_permission_is_forbidden() {
    let scene = scene().await;
    let number = scene.own_pull(true).await;
    let id = scene.get(&format!("/repos/octo/widget/pulls/{number}")).await.body["node_id"].clone();
    let token = scene.mint(json!({ "permissions": { "pull_requests": "read" } })).await;
    let body = json!({ "query": READY, "variables": { "id": id } });
    let answer = scene.call_as(&token, "POST", "/graphql", Some(body)).await;
    assert_eq!(answer.body["errors"][0]["type"], "FORBIDDEN");
}
