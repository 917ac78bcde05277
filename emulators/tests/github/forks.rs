//! Forks: repositories of their own, and pull requests that come from them.

use serde_json::{Value, json};

use crate::support::{REPO, Scene, scene};

const PULLS: &str = "/repos/octo/widget/pulls";
const FORK: &str = "friends/widget-work";

/// The scene with a fork in another account, where the App is installed too; a token for it.
async fn forked() -> (Scene, String) {
    let scene = scene().await;
    scene.github.add_organization("friends");
    scene.github.add_fork("friends", "widget-work", REPO).unwrap();
    let installation = scene.github.install("friends", &["widget-work"]).unwrap();
    let path = format!("/app/installations/{installation}/access_tokens");
    let minted = scene.call_as(&scene.jwt(), "POST", &path, Some(json!({}))).await;
    let token = minted.body["token"].as_str().unwrap().to_owned();
    (scene, token)
}

/// Mona's branch in the fork.
fn idea(scene: &Scene, content: &str) -> String {
    let files: &[(&str, &[u8], bool)] = &[("src/a.rs", content.as_bytes(), false)];
    scene.github.as_user("mona").push_files(FORK, "idea", files, "idea").unwrap()
}

fn from_fork() -> Value {
    json!({
        "title": "t", "head": "friends:idea", "head_repo": FORK, "base": "main",
        "maintainer_can_modify": false,
    })
}

fn error(answer: &crate::support::Answer) -> String {
    assert_eq!(answer.status, 422, "{answer:?}");
    answer.body["errors"][0].to_string()
}

#[tokio::test]
async fn a_fork_has_its_parents_branches_and_a_life_of_its_own() {
    let scene = scene().await;
    let topic = scene.topic();
    scene.github.add_user("mona");
    scene.github.add_fork("mona", "widget", REPO).unwrap();
    scene.github.add_organization("friends");
    scene.github.add_fork("friends", "again", "mona/widget").unwrap();
    assert_eq!(scene.github.branch("mona/widget", "topic"), Some(topic.clone()));
    scene.github.as_user("mona").delete_branch(REPO, "topic").unwrap();
    assert_eq!(scene.github.branch("friends/again", "topic"), Some(topic));
    let id = scene.github.install("friends", &["again"]).unwrap();
    let path = format!("/app/installations/{id}/access_tokens");
    let minted = scene.call_as(&scene.jwt(), "POST", &path, Some(json!({}))).await;
    let token = minted.body["token"].as_str().unwrap();
    let seen = scene.call_as(token, "GET", "/repos/friends/again", None).await.body;
    assert_eq!(seen["fork"], true);
    assert_eq!(seen["parent"]["full_name"], "mona/widget");
    assert_eq!(seen["source"]["full_name"], REPO);
    let upstream = scene.get("/repos/octo/widget").await.body;
    assert_eq!((&upstream["fork"], &upstream["parent"]), (&json!(false), &Value::Null));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_request_from_a_fork_is_the_upstreams_and_moves_with_the_forks_branch() {
    let (scene, _) = forked().await;
    let first = idea(&scene, "one\nzwei\nthree\n");
    let opened = scene.post(PULLS, from_fork()).await;
    assert_eq!(opened.status, 201, "{}", opened.body);
    let number = opened.body["number"].as_u64().unwrap();
    assert_eq!(opened.body["head"]["label"], "friends:idea");
    assert_eq!(opened.body["head"]["repo"]["full_name"], FORK);
    assert_eq!(opened.body["base"]["repo"]["full_name"], REPO);
    let check = json!({ "name": "baton / code", "head_sha": first });
    let check = scene.post("/repos/octo/widget/check-runs", check).await;
    assert_eq!(check.status, 201, "the commit is in the network");
    assert_eq!(check.body["pull_requests"], json!([]));
    assert_eq!(scene.github.check_suites(REPO)[0].head_branch, None);

    let second = idea(&scene, "one\nzwei\ndrei\n");
    let listed = scene.get(&format!("{PULLS}?head=friends:idea")).await.body;
    assert_eq!(listed[0]["head"]["sha"], second);
    assert_eq!(scene.get(&format!("{PULLS}?head=octo:idea")).await.body, json!([]));
    let folder = tempfile::tempdir().unwrap();
    let url = scene.clone_url(&scene.token);
    let shown = scene.git(folder.path(), &["ls-remote", &url]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains(&format!("{second}\trefs/pull/{number}/head")), "{shown}");
    assert!(!shown.contains("refs/heads/idea"), "{shown}");

    scene.arrived().await;
    let told = scene.github.deliveries();
    let moved = told.iter().find(|one| one.action.as_deref() == Some("synchronize")).unwrap();
    assert_eq!(moved.payload["repository"]["full_name"], REPO);
    assert_eq!(moved.payload["installation"]["id"], scene.installation);
    let pushed = told.iter().find(|one| one.event == "push").unwrap();
    assert_eq!(pushed.payload["repository"]["full_name"], FORK);
    assert_ne!(pushed.payload["installation"]["id"], scene.installation);

    let merged = scene.github.as_user("octo").merge_pull(REPO, number, Some(&second)).unwrap();
    assert_eq!(scene.github.branch(REPO, "main"), Some(merged));
}

#[tokio::test]
async fn a_pull_request_closes_with_the_forks_branch_and_cannot_be_reopened_without_it() {
    let (scene, _) = forked().await;
    idea(&scene, "one\nzwei\nthree\n");
    let number = scene.post(PULLS, from_fork()).await.body["number"].as_u64().unwrap();
    scene.github.as_user("mona").delete_branch(FORK, "idea").unwrap();
    assert!(!scene.github.issue(REPO, number).unwrap().is_open());
    assert!(scene.github.as_user("mona").reopen_pull(REPO, number).is_err());
}

#[tokio::test]
async fn what_is_no_branch_of_the_network_is_422() {
    let (scene, _) = forked().await;
    assert!(error(&scene.post(PULLS, from_fork()).await).contains("\"head\""), "no such branch");
    idea(&scene, "one\nzwei\nthree\n");
    let with = |field: &str, value: &str| {
        let mut body = from_fork();
        body[field] = json!(value);
        body
    };
    for (field, value) in [("head", "nobody:idea"), ("head_repo", "friends/other")] {
        assert!(error(&scene.post(PULLS, with(field, value)).await).contains("\"head\""));
    }
    scene
        .github
        .add_repository("friends", "stranger", &[("a", b"a", false)], Default::default())
        .unwrap();
    let stranger = with("head_repo", "friends/stranger");
    assert!(error(&scene.post(PULLS, stranger).await).contains("\"head\""), "not of the network");
    let none = error(&scene.post(PULLS, with("head", "friends:main")).await);
    assert!(none.contains("No commits between main and main"), "{none}");
    assert_eq!(scene.post(PULLS, from_fork()).await.status, 201);
    let twice = error(&scene.post(PULLS, from_fork()).await);
    assert!(twice.contains("A pull request already exists for friends:idea."), "{twice}");
}

#[tokio::test]
async fn two_repositories_of_one_owner_are_told_apart_by_head_repo() {
    let scene = scene().await;
    scene.github.add_fork("octo", "widget-work", REPO).unwrap();
    let files: &[(&str, &[u8], bool)] = &[("b", b"b", false)];
    scene.github.as_user("octo").push_files("octo/widget-work", "idea", files, "b").unwrap();
    let mut body = json!({
        "title": "t", "head": "octo:idea", "base": "main", "maintainer_can_modify": false,
    });
    assert!(error(&scene.post(PULLS, body.clone()).await).contains("\"head\""));
    body["head_repo"] = json!("octo/widget-work");
    assert_eq!(scene.post(PULLS, body).await.status, 201);
}

#[tokio::test]
async fn who_may_not_push_to_the_fork_cannot_let_maintainers_push_there() {
    let (scene, _) = forked().await;
    idea(&scene, "one\nzwei\nthree\n");
    let mut body = from_fork();
    body.as_object_mut().unwrap().remove("maintainer_can_modify");
    assert!(error(&scene.post(PULLS, body.clone()).await).contains("Fork collab"));
    body["maintainer_can_modify"] = json!(true);
    assert!(error(&scene.post(PULLS, body).await).contains("Fork collab"));
    assert_eq!(scene.post(PULLS, from_fork()).await.status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_another_installation_neither_sees_nor_pushes() {
    let (scene, fork_token) = forked().await;
    assert_eq!(scene.get("/repos/friends/widget-work").await.status, 404);
    let theirs = scene.call_as(&fork_token, "GET", "/repos/octo/widget", None).await;
    assert_eq!(theirs.status, 404);
    let folder = tempfile::tempdir().unwrap();
    let clone = |repo: &str, token: &str| {
        let url = scene.clone_url_of(repo, token);
        scene.git(folder.path(), &["clone", "--quiet", &url, "w"]).status.success()
    };
    assert!(!clone(FORK, &scene.token) && !clone(REPO, &fork_token));
    assert!(clone(FORK, &fork_token));
    let inside = folder.path().join("w");
    let push = || {
        let ran = scene.git(&inside, &["push", "--quiet", "origin", "HEAD:refs/heads/x"]);
        String::from_utf8(ran.stderr).unwrap()
    };
    scene.github.archive(FORK, true).unwrap();
    assert!(push().contains("403"), "archived");
    scene.github.archive(FORK, false).unwrap();
    assert_eq!(push(), "");
    let uses = scene.github.token_uses();
    let of_fork = uses.iter().filter(|one| one.path.starts_with("/friends/widget-work.git/"));
    assert!(of_fork.clone().any(|one| one.installation != scene.installation));
    assert!(of_fork.clone().any(|one| one.installation == scene.installation), "it was tried");
}
