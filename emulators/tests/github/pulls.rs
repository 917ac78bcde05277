//! Pull requests: opening, merging, and what GitHub refuses of both.

use emulators::github::RepositoryOptions;
use serde_json::{Value, json};

use crate::support::{REPO, scene};

const PULLS: &str = "/repos/octo/widget/pulls";

fn new(head: &str) -> Value {
    json!({ "title": "t", "head": head, "base": "main" })
}

#[tokio::test]
async fn pull_without_commits_or_branch_is_422() {
    let scene = scene().await;
    assert_eq!(scene.post(PULLS, new("nowhere")).await.status, 422);
    let answer = scene.post(PULLS, new("main")).await;
    assert_eq!(answer.status, 422);
    assert!(answer.body.to_string().contains("No commits between main and main"));
}

#[tokio::test]
async fn second_pull_of_the_same_branches_is_422() {
    let scene = scene().await;
    scene.own_pull(false).await;
    let answer = scene.post(PULLS, new("topic")).await;
    assert_eq!(answer.status, 422);
    assert!(answer.body.to_string().contains("A pull request already exists for octo:topic."));
    let found = scene.get(&format!("{PULLS}?head=octo:topic&state=open")).await;
    assert_eq!(found.body.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn draft_where_drafts_are_not_supported_is_422() {
    let scene = scene().await;
    let options = RepositoryOptions { private: true, drafts: false };
    scene.github.add_repository("octo", "paid", &[("a", b"a", false)], options).unwrap();
    scene.github.install("octo", &["paid"]).unwrap();
    scene
        .github
        .as_user("octo")
        .push_files("octo/paid", "topic", &[("a", b"b", false)], "b")
        .unwrap();
    let mut body = new("topic");
    body["draft"] = json!(true);
    let answer = scene.post("/repos/octo/paid/pulls", body.clone()).await;
    assert_eq!(answer.status, 422);
    body["draft"] = json!(false);
    assert_eq!(scene.post("/repos/octo/paid/pulls", body).await.status, 201);
}

#[tokio::test]
async fn mergeable_is_null_at_first() {
    let scene = scene().await;
    let number = scene.github.as_user("mona");
    scene.topic();
    let number = number.open_pull(REPO, "topic", "main", "t").unwrap();
    let path = format!("{PULLS}/{number}");
    assert_eq!(scene.get(&path).await.body["mergeable"], Value::Null);
    let known = scene.get(&path).await;
    assert_eq!(
        (&known.body["mergeable"], &known.body["mergeable_state"]),
        (&json!(true), &json!("clean"))
    );
    assert_eq!(known.body["additions"], 1);
}

#[tokio::test]
async fn merge_of_a_draft_is_405() {
    let scene = scene().await;
    let number = scene.own_pull(true).await;
    assert_eq!(scene.put(&format!("{PULLS}/{number}/merge"), json!({})).await.status, 405);
}

#[tokio::test]
async fn merge_of_a_moved_head_is_409() {
    let scene = scene().await;
    let number = scene.own_pull(false).await;
    let sha = scene.github.pull(REPO, number).unwrap().head_sha;
    scene.github.as_user("mona").push_files(REPO, "topic", &[("b", b"b", false)], "b").unwrap();
    let path = format!("{PULLS}/{number}/merge");
    assert_eq!(scene.put(&path, json!({ "sha": sha })).await.status, 409);
    let sha = scene.github.pull(REPO, number).unwrap().head_sha;
    assert_eq!(scene.put(&path, json!({ "sha": sha })).await.status, 200);
}

#[tokio::test]
async fn merge_with_a_conflict_is_405() {
    let scene = scene().await;
    let number = scene.own_pull(false).await;
    let files: &[(&str, &[u8], bool)] = &[("src/a.rs", b"one\ndos\nthree\n", false)];
    scene.github.as_user("mona").push_files(REPO, "main", files, "other").unwrap();
    assert_eq!(scene.put(&format!("{PULLS}/{number}/merge"), json!({})).await.status, 405);
    scene.get(&format!("{PULLS}/{number}")).await;
    let known = scene.get(&format!("{PULLS}/{number}")).await;
    assert_eq!(
        (&known.body["mergeable"], &known.body["mergeable_state"]),
        (&json!(false), &json!("dirty"))
    );
}

#[tokio::test]
async fn merge_twice_is_405_and_a_merged_pull_stays_closed() {
    let scene = scene().await;
    let number = scene.own_pull(false).await;
    let path = format!("{PULLS}/{number}/merge");
    assert_eq!(scene.put(&path, json!({})).await.status, 200);
    assert_eq!(scene.put(&path, json!({})).await.status, 405);
    assert_eq!(
        scene.patch(&format!("{PULLS}/{number}"), json!({ "state": "open" })).await.status,
        422
    );
}

#[tokio::test]
async fn each_way_of_merging_changes_the_base() {
    for method in ["merge", "squash", "rebase"] {
        let scene = scene().await;
        let number = scene.own_pull(false).await;
        let path = format!("{PULLS}/{number}/merge");
        let answer = scene.put(&path, json!({ "merge_method": method })).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let main = scene.github.branch(REPO, "main").unwrap();
        assert_eq!(answer.body["sha"], json!(main));
        assert_eq!(scene.github.file(REPO, "main", "src/a.rs").unwrap(), b"one\nzwei\nthree\n");
        let parents = scene.get(&format!("/repos/octo/widget/commits/{main}")).await;
        let parents = parents.body["parents"].as_array().unwrap().len();
        assert_eq!(parents, if method == "merge" { 2 } else { 1 });
    }
}

#[tokio::test]
async fn merging_closes_the_issues_its_body_names() {
    let scene = scene().await;
    let mona = scene.github.as_user("mona");
    mona.open_issue(REPO, "bug", "").unwrap();
    scene.topic();
    let number = mona.open_pull_with(REPO, "topic", "main", "t", "Fixes #1", false).unwrap();
    mona.merge_pull(REPO, number, None).unwrap();
    assert!(!scene.github.issue(REPO, 1).unwrap().is_open());
    let names = scene.arrived().await;
    assert!(
        names.contains(&"issues.closed".to_owned())
            && names.contains(&"pull_request.closed".to_owned())
    );
    assert_eq!(names.iter().filter(|name| *name == "push").count(), 2);
}

#[tokio::test]
async fn deleting_the_head_closes_the_pull_and_it_cannot_reopen() {
    let scene = scene().await;
    let number = scene.own_pull(false).await;
    assert_eq!(scene.delete("/repos/octo/widget/git/refs/heads/topic").await.status, 204);
    assert!(!scene.github.issue(REPO, number).unwrap().is_open());
    let answer = scene.patch(&format!("{PULLS}/{number}"), json!({ "state": "open" })).await;
    assert_eq!(answer.status, 422);
    assert_eq!(scene.delete("/repos/octo/widget/git/refs/heads/topic").await.status, 422);
}

#[tokio::test]
async fn push_to_the_head_synchronizes_with_before_and_after() {
    let scene = scene().await;
    let number = scene.own_pull(false).await;
    let before = scene.github.pull(REPO, number).unwrap().head_sha;
    let after =
        scene.github.as_user("mona").push_files(REPO, "topic", &[("b", b"b", false)], "b").unwrap();
    let told = scene.github.deliveries();
    let told = told.iter().find(|known| known.action.as_deref() == Some("synchronize")).unwrap();
    assert_eq!((&told.payload["before"], &told.payload["after"]), (&json!(before), &json!(after)));
    assert_eq!(told.payload["pull_request"]["head"]["sha"], json!(after));
}
