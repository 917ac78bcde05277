//! Everything the stand-in answers and delivers, judged by GitHub's published schemas.

use emulators::contract::{Judge, node_modules};
use emulators::github::{LineComment, RecordedRequest};
use serde_json::{Value, json};

use crate::support::{REPO, Scene, scene};

const REPOSITORY: &str = "/repos/octo/widget";

fn judge() -> Judge {
    let folder = node_modules().expect("the schemas of GitHub are there (npm ci)");
    Judge::from_node_modules(&folder).expect("the schemas of GitHub can be read (npm ci)")
}

#[tokio::test]
async fn every_answer_and_delivery_fits_githubs_schemas() {
    let scene = scene().await;
    issues(&scene).await;
    let number = pulls(&scene).await;
    forks(&scene).await;
    reviews(&scene, number).await;
    checks(&scene).await;
    deployments(&scene).await;
    graphql(&scene, number).await;
    merge(&scene, number).await;
    people(&scene);
    app(&scene).await;
    refusals(&scene).await;
    scene.arrived().await;
    assert!(scene.github.unknown_routes().is_empty(), "{:?}", scene.github.unknown_routes());
    let judge = judge();
    let requests = scene.github.requests();
    let deliveries = scene.github.deliveries();
    let violations: Vec<String> = requests
        .iter()
        .flat_map(|request| judge.judge(request))
        .chain(deliveries.iter().flat_map(|delivery| judge.judge_delivery(delivery)))
        .map(|violation| violation.to_string())
        .collect();
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

#[tokio::test]
async fn judge_finds_what_does_not_fit() {
    let scene = scene().await;
    let issues = format!("{REPOSITORY}/issues");
    scene.post(&issues, json!({ "title": "t" })).await;
    let fitting = scene.github.requests().pop().unwrap();
    let judge = judge();
    assert_eq!(judge.judge(&fitting), []);
    let unfit = |change: &dyn Fn(&mut RecordedRequest)| {
        let mut request = fitting.clone();
        change(&mut request);
        let found = judge.judge(&request);
        assert!(!found.is_empty(), "{request:?}");
    };
    unfit(&|request| request.body = Some(json!({ "title": "t", "colour": "red" })));
    unfit(&|request| request.body = Some(json!({ "title": "t", "labels": "baton" })));
    unfit(&|request| request.body = Some(json!({ "body": "no title" })));
    unfit(&|request| request.query.push(("shade".to_owned(), "red".to_owned())));
    unfit(&|request| request.status = 206);
    unfit(&|request| request.response_body.as_mut().unwrap()["number"] = json!("one"));
    unfit(&|request| request.method = "PUT".to_owned());
    for document in [
        "{ viewer { hats } }",
        "{ repository(name: \"widget\") { id } }",
        "mutation($id: ID!) { resolveReviewThread(input: {thread: $id}) { thread { id } } }",
    ] {
        unfit(&|request| {
            "/graphql".clone_into(&mut request.path);
            request.body = Some(json!({ "query": document }));
        });
    }
    scene.arrived().await;
    let mut delivery = scene.github.deliveries().pop().unwrap();
    assert_eq!(judge.judge_delivery(&delivery), []);
    delivery.payload["issue"]["number"] = json!("one");
    assert!(!judge.judge_delivery(&delivery).is_empty());
}

async fn get(scene: &Scene, path: &str) -> Value {
    let answer = scene.get(&format!("{REPOSITORY}{path}")).await;
    assert!(answer.status < 300, "{path} {answer:?}");
    answer.body
}

async fn post(scene: &Scene, path: &str, body: Value) -> Value {
    let answer = scene.post(&format!("{REPOSITORY}{path}"), body).await;
    assert!(answer.status < 300, "{path} {answer:?}");
    answer.body
}

async fn patch(scene: &Scene, path: &str, body: Value) {
    let answer = scene.patch(&format!("{REPOSITORY}{path}"), body).await;
    assert!(answer.status < 300, "{path} {answer:?}");
}

async fn issues(scene: &Scene) {
    post(scene, "/labels", json!({ "name": "baton", "color": "ededed", "description": "d" })).await;
    post(scene, "/issues", json!({ "title": "t", "body": "b", "labels": ["baton"] })).await;
    patch(scene, "/issues/1", json!({ "title": "u" })).await;
    post(scene, "/issues/1/labels", json!({ "labels": ["baton:waiting"] })).await;
    let put = scene.put(&format!("{REPOSITORY}/issues/1/labels"), json!({ "labels": ["x"] })).await;
    assert_eq!(put.status, 200);
    assert_eq!(scene.delete(&format!("{REPOSITORY}/issues/1/labels/x")).await.status, 200);
    let comment = post(scene, "/issues/1/comments", json!({ "body": "hello" })).await["id"].clone();
    patch(scene, &format!("/issues/comments/{comment}"), json!({ "body": "again" })).await;
    let eyes = json!({ "content": "eyes" });
    let reaction =
        post(scene, &format!("/issues/comments/{comment}/reactions"), eyes.clone()).await;
    post(scene, &format!("/issues/comments/{comment}/reactions"), eyes.clone()).await;
    post(scene, "/issues/1/reactions", eyes).await;
    for path in [
        "",
        "/issues?state=all&per_page=1&labels=",
        "/issues/1",
        "/issues/1/comments?per_page=10",
        "/issues/1/labels",
        "/issues/comments",
        "/labels",
        "/labels/baton",
        "/collaborators/mona/permission",
        "/contents/README.md?ref=main",
        "/contents/src",
        "/contents",
    ] {
        get(scene, path).await;
    }
    get(scene, &format!("/issues/comments/{comment}")).await;
    get(scene, &format!("/issues/comments/{comment}/reactions")).await;
    let path = format!("{REPOSITORY}/issues/comments/{comment}");
    let reaction = format!("{path}/reactions/{}", reaction["id"]);
    assert_eq!(scene.delete(&reaction).await.status, 204);
    assert_eq!(scene.delete(&path).await.status, 204);
    patch(scene, "/issues/1", json!({ "state": "closed", "state_reason": "completed" })).await;
    patch(scene, "/issues/1", json!({ "state": "open" })).await;
}

async fn pulls(scene: &Scene) -> u64 {
    let number = scene.own_pull(true).await;
    get(scene, &format!("/pulls/{number}")).await;
    let sha = get(scene, &format!("/pulls/{number}")).await["head"]["sha"].clone();
    patch(scene, &format!("/pulls/{number}"), json!({ "title": "u", "body": "Fixes #1" })).await;
    patch(scene, &format!("/pulls/{number}"), json!({ "state": "closed" })).await;
    patch(scene, &format!("/pulls/{number}"), json!({ "state": "open" })).await;
    let reviewers = json!({ "reviewers": ["mona"] });
    post(scene, &format!("/pulls/{number}/requested_reviewers"), reviewers).await;
    post(scene, &format!("/issues/{number}/labels"), json!({ "labels": ["baton"] })).await;
    post(scene, &format!("/issues/{number}/comments"), json!({ "body": "hi" })).await;
    post(scene, "/git/refs", json!({ "ref": "refs/heads/made", "sha": sha })).await;
    patch(scene, "/git/refs/heads/made", json!({ "sha": sha, "force": true })).await;
    for path in [
        "/pulls?state=all&head=octo:topic",
        &format!("/pulls/{number}/files"),
        &format!("/pulls/{number}/commits"),
        &format!("/issues/{number}"),
        "/git/ref/heads/topic",
        "/git/matching-refs/heads/to",
        "/branches",
        "/branches/topic",
        "/commits/topic",
        "/compare/main...topic",
    ] {
        get(scene, path).await;
    }
    assert_eq!(scene.delete(&format!("{REPOSITORY}/git/refs/heads/made")).await.status, 204);
    number
}

/// A pull request from a fork, with a check on its head, moved and closed.
async fn forks(scene: &Scene) {
    scene.github.add_organization("friends");
    scene.github.add_fork("friends", "widget-work", REPO).unwrap();
    let installation = scene.github.install("friends", &["widget-work"]).unwrap();
    let jwt = scene.jwt();
    let found = scene.call_as(&jwt, "GET", "/repos/friends/widget-work/installation", None).await;
    assert_eq!(found.body["id"], installation);
    let path = format!("/app/installations/{installation}/access_tokens");
    let token = scene.call_as(&jwt, "POST", &path, Some(json!({}))).await.body["token"].clone();
    let token = token.as_str().unwrap();
    let fork = scene.call_as(token, "GET", "/repos/friends/widget-work", None).await;
    assert_eq!(fork.body["parent"]["full_name"], REPO);
    let mona = scene.github.as_user("mona");
    let sha = mona.push_files("friends/widget-work", "idea", &[("b", b"b", false)], "b").unwrap();
    let body = json!({
        "title": "t", "head": "friends:idea", "head_repo": "friends/widget-work", "base": "main",
        "draft": true, "maintainer_can_modify": false,
    });
    let number = post(scene, "/pulls", body).await["number"].clone();
    post(scene, "/check-runs", json!({ "name": "baton / code", "head_sha": sha })).await;
    mona.push_files("friends/widget-work", "idea", &[("b", b"c", false)], "c").unwrap();
    for path in ["/pulls?state=all&head=friends:idea".to_owned(), format!("/pulls/{number}/files")]
    {
        get(scene, &path).await;
    }
    mona.delete_branch("friends/widget-work", "idea").unwrap();
}

async fn reviews(scene: &Scene, number: u64) {
    let comment = json!({ "path": "src/a.rs", "line": 2, "side": "RIGHT", "body": "why" });
    let body = json!({ "event": "COMMENT", "body": "seen", "comments": [comment] });
    let review = post(scene, &format!("/pulls/{number}/reviews"), body).await["id"].clone();
    let first = scene.github.pull(REPO, number).unwrap().review_comments[0].id;
    let path = format!("/pulls/{number}/comments/{first}/replies");
    post(scene, &path, json!({ "body": "because" })).await;
    patch(scene, &format!("/pulls/comments/{first}"), json!({ "body": "why?" })).await;
    post(scene, &format!("/pulls/comments/{first}/reactions"), json!({ "content": "+1" })).await;
    for path in [
        format!("/pulls/{number}/reviews"),
        format!("/pulls/{number}/reviews/{review}"),
        format!("/pulls/{number}/reviews/{review}/comments"),
        format!("/pulls/{number}/comments"),
        format!("/pulls/comments/{first}"),
    ] {
        get(scene, &path).await;
    }
}

async fn checks(scene: &Scene) {
    let sha = scene.github.branch(REPO, "topic").unwrap();
    let annotation = json!({
        "path": "a", "start_line": 1, "end_line": 1, "annotation_level": "notice", "message": "m"
    });
    let action = json!({ "label": "Fix", "description": "d", "identifier": "fix" });
    let output = json!({ "title": "t", "summary": "s", "text": "x", "annotations": [annotation] });
    let body = json!({ "name": "baton / code", "head_sha": sha, "status": "in_progress" });
    let run = post(scene, "/check-runs", body).await["id"].as_u64().unwrap();
    let done = json!({ "status": "completed", "conclusion": "failure", "output": output, "actions": [action] });
    patch(scene, &format!("/check-runs/{run}"), done).await;
    let mona = scene.github.as_user("mona");
    mona.press(REPO, run, "fix").unwrap();
    mona.rerun_check(REPO, run).unwrap();
    let suite = scene.github.all_checks(REPO)[0].suite;
    mona.rerun_suite(REPO, suite).unwrap();
    mona.report_check(REPO, "ci", &sha, "build", Some("success")).unwrap();
    mona.report_status(REPO, &sha, "ci/old", "pending").unwrap();
    for path in [
        format!("/check-runs/{run}"),
        format!("/check-runs/{run}/annotations"),
        format!("/check-suites/{suite}"),
        format!("/check-suites/{suite}/check-runs"),
        format!("/commits/{sha}/check-runs?check_name=build&filter=latest"),
        format!("/commits/{sha}/check-suites"),
        format!("/commits/{sha}/status"),
        format!("/commits/{sha}/statuses"),
    ] {
        get(scene, &path).await;
    }
}

async fn deployments(scene: &Scene) {
    let body = json!({
        "ref": "main", "environment": "staging", "auto_merge": false, "required_contexts": [],
        "description": "d", "payload": { "task": "1" }
    });
    let id = post(scene, "/deployments", body).await["id"].clone();
    let body = json!({
        "state": "in_progress", "description": "d", "log_url": "https://logs.example/1",
        "auto_inactive": true
    });
    let status = post(scene, &format!("/deployments/{id}/statuses"), body).await["id"].clone();
    for path in [
        "/deployments?environment=staging".to_owned(),
        format!("/deployments/{id}"),
        format!("/deployments/{id}/statuses"),
        format!("/deployments/{id}/statuses/{status}"),
    ] {
        get(scene, &path).await;
    }
}

async fn graphql(scene: &Scene, number: u64) {
    let threads = "query($number: Int!) { repository(owner: \"octo\", name: \"widget\") {
        pullRequest(number: $number) { id isDraft reviewThreads(first: 10) {
          nodes { id isResolved comments(first: 1) { nodes { id databaseId } } }
          pageInfo { hasNextPage endCursor } } } } }";
    let answer = scene.graphql(threads, json!({ "number": number })).await;
    let pull = &answer.body["data"]["repository"]["pullRequest"];
    let thread = &pull["reviewThreads"]["nodes"][0];
    let comment = &thread["comments"]["nodes"][0]["id"];
    for (document, id) in [
        (
            "mutation($id: ID!) { resolveReviewThread(input: {threadId: $id}) { thread { id } } }",
            &thread["id"],
        ),
        (
            "mutation($id: ID!) { minimizeComment(input: {subjectId: $id, classifier: RESOLVED}) { minimizedComment { isMinimized } } }",
            comment,
        ),
        (
            "mutation($id: ID!) { markPullRequestReadyForReview(input: {pullRequestId: $id}) { pullRequest { isDraft } } }",
            &pull["id"],
        ),
        (
            "mutation($id: ID!) { convertPullRequestToDraft(input: {pullRequestId: $id}) { pullRequest { isDraft } } }",
            &pull["id"],
        ),
        (
            "mutation($id: ID!) { markPullRequestReadyForReview(input: {pullRequestId: $id}) { pullRequest { isDraft } } }",
            &pull["id"],
        ),
    ] {
        let answer = scene.graphql(document, json!({ "id": id })).await;
        assert!(answer.body["errors"].is_null(), "{}", answer.body);
    }
}

async fn merge(scene: &Scene, number: u64) {
    let sha = scene.github.pull(REPO, number).unwrap().head_sha;
    let path = format!("{REPOSITORY}/pulls/{number}/merge");
    let body = json!({ "sha": sha, "merge_method": "squash", "commit_title": "t" });
    assert_eq!(scene.put(&path, body).await.status, 200);
    assert_eq!(scene.get(&path).await.status, 204);
    get(scene, &format!("/pulls/{number}")).await;
}

fn people(scene: &Scene) {
    let mona = scene.github.as_user("mona");
    mona.push_files(REPO, "other", &[("src/a.rs", b"1\n", false)], "other").unwrap();
    let number = mona.open_pull_with(REPO, "other", "main", "t", "b", true).unwrap();
    mona.set_draft(REPO, number, false).unwrap();
    let line = LineComment { path: "src/a.rs", line: 1, body: "hm" };
    let octo = scene.github.as_user("octo");
    octo.submit_review(REPO, number, "REQUEST_CHANGES", "no", &[line]).unwrap();
    let first = scene.github.pull(REPO, number).unwrap().review_comments[0].id;
    mona.resolve(REPO, number, first, true).unwrap();
    mona.resolve(REPO, number, first, false).unwrap();
    mona.push_files(REPO, "other", &[("b", b"b", false)], "more").unwrap();
    mona.unlabel(REPO, 1, "baton").ok();
    mona.label(REPO, 1, "baton").unwrap();
    mona.unlabel(REPO, 1, "baton").unwrap();
    mona.delete_branch(REPO, "other").unwrap();
    scene.github.suspend(scene.installation, true);
    scene.github.suspend(scene.installation, false);
}

async fn app(scene: &Scene) {
    let jwt = scene.jwt();
    scene.delivered(10).await;
    let listed = scene.call_as(&jwt, "GET", "/app/hook/deliveries?per_page=5", None).await;
    let delivery = format!("/app/hook/deliveries/{}", listed.body[0]["id"]);
    let mint = json!({ "repositories": ["widget"], "permissions": { "contents": "read" } });
    scene.mint(mint).await;
    for path in [
        "/app",
        "/app/installations",
        &format!("/app/installations/{}", scene.installation),
        &format!("{REPOSITORY}/installation"),
        &delivery,
        "/users/mona",
        "/users/baton%5Bbot%5D",
        "/rate_limit",
    ] {
        let answer = scene.call_as(&jwt, "GET", path, None).await;
        assert_eq!(answer.status, 200, "{path} {}", answer.body);
    }
    scene.call_as(&jwt, "POST", &format!("{delivery}/attempts"), None).await;
    assert_eq!(scene.get("/installation/repositories?per_page=100").await.status, 200);
}

async fn refusals(scene: &Scene) {
    scene.get(&format!("{REPOSITORY}/issues/999")).await;
    scene.post(&format!("{REPOSITORY}/issues"), json!({ "title": "" })).await;
    scene.post(&format!("{REPOSITORY}/check-runs"), json!({ "name": "n" })).await;
    scene.call_as("ghs_no", "GET", REPOSITORY, None).await;
}
