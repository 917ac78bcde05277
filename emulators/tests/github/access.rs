//! Who may call what.

use emulators::github::{RepositoryOptions, Role};
use serde_json::json;

use crate::support::{REPO, scene};

#[tokio::test]
async fn unknown_token_is_401() {
    let scene = scene().await;
    let answer = scene.call_as("ghs_unknown", "GET", "/repos/octo/widget", None).await;
    assert_eq!((answer.status, &answer.body["message"]), (401, &json!("Bad credentials")));
}

#[tokio::test]
async fn expired_token_is_401() {
    let scene = scene().await;
    scene.pass(3_601);
    assert_eq!(scene.get("/repos/octo/widget").await.status, 401);
}

#[tokio::test]
async fn jwt_of_another_issuer_or_too_long_or_past_is_401() {
    let scene = scene().await;
    for jwt in [
        scene.jwt_with(&json!(8), 500),
        scene.jwt_with(&json!(7), 700),
        scene.jwt_with(&json!(7), -1),
        "nonsense".to_owned(),
    ] {
        assert_eq!(scene.call_as(&jwt, "GET", "/app", None).await.status, 401);
    }
    assert_eq!(
        scene.call_as(&scene.jwt_with(&json!("7"), 600), "GET", "/app", None).await.status,
        200
    );
}

#[tokio::test]
async fn installation_token_is_no_app_and_jwt_is_no_installation() {
    let scene = scene().await;
    assert_eq!(scene.get("/app").await.status, 401);
    assert_eq!(scene.call_as(&scene.jwt(), "GET", "/repos/octo/widget", None).await.status, 401);
}

#[tokio::test]
async fn missing_permission_is_403() {
    let scene = scene().await;
    let token = scene.mint(json!({ "permissions": { "contents": "read" } })).await;
    let path = "/repos/octo/widget/issues";
    let answer = scene.call_as(&token, "POST", path, Some(json!({ "title": "x" }))).await;
    let words = json!("Resource not accessible by integration");
    assert_eq!((answer.status, &answer.body["message"]), (403, &words));
    let path = "/repos/octo/widget/contents/README.md";
    assert_eq!(scene.call_as(&token, "GET", path, None).await.status, 200);
}

#[tokio::test]
async fn token_cannot_have_more_than_its_installation() {
    let scene = scene().await;
    let answer = scene.try_mint(json!({ "permissions": { "administration": "write" } })).await;
    assert_eq!(answer.status, 422);
    assert_eq!(scene.try_mint(json!({ "repositories": ["other"] })).await.status, 422);
}

#[tokio::test]
async fn repository_outside_of_the_token_is_404() {
    let scene = scene().await;
    let options = RepositoryOptions::default();
    scene.github.add_repository("octo", "other", &[("a", b"a", false)], options).unwrap();
    assert_eq!(scene.get("/repos/octo/other").await.status, 404);
    scene.github.install("octo", &["other"]).unwrap();
    assert_eq!(scene.get("/repos/octo/other").await.status, 200);
    let token = scene.mint(json!({ "repositories": ["widget"] })).await;
    assert_eq!(scene.call_as(&token, "GET", "/repos/octo/other", None).await.status, 404);
    let listed = scene.call_as(&token, "GET", "/installation/repositories", None).await;
    assert_eq!(listed.body["total_count"], 1);
}

#[tokio::test]
async fn suspended_installation_gets_no_token_and_its_tokens_fail() {
    let scene = scene().await;
    scene.github.suspend(scene.installation, true);
    assert_eq!(scene.try_mint(json!({})).await.status, 403);
    assert_eq!(scene.get("/repos/octo/widget").await.status, 401);
    scene.github.suspend(scene.installation, false);
    assert_eq!(scene.get("/repos/octo/widget").await.status, 200);
}

#[tokio::test]
async fn unknown_route_is_named_and_remembered() {
    let scene = scene().await;
    let answer = scene.get("/repos/octo/widget/hovercrafts").await;
    assert_eq!(answer.status, 404);
    assert!(
        answer.body["message"].as_str().unwrap().contains("GET /repos/octo/widget/hovercrafts")
    );
    assert_eq!(scene.github.unknown_routes(), ["GET /repos/octo/widget/hovercrafts"]);
}

#[tokio::test]
async fn request_without_user_agent_is_403() {
    let scene = scene().await;
    let url = scene.github.api_url() + "/rate_limit";
    let answer = reqwest::Client::new().get(url).send().await.unwrap();
    assert_eq!(answer.status(), 403);
}

#[tokio::test]
async fn broken_json_is_400() {
    let scene = scene().await;
    let url = scene.github.api_url() + "/repos/octo/widget/issues";
    let request = scene.http.post(url).bearer_auth(&scene.token).body("{");
    assert_eq!(request.send().await.unwrap().status(), 400);
}

#[tokio::test]
async fn archived_repository_is_read_only() {
    let scene = scene().await;
    scene.github.archive(REPO, true).unwrap();
    assert_eq!(scene.post("/repos/octo/widget/issues", json!({ "title": "x" })).await.status, 403);
    assert_eq!(scene.get("/repos/octo/widget/issues").await.status, 200);
}

#[tokio::test]
async fn roles_show_by_name_and_outsiders_read_what_is_public() {
    let scene = scene().await;
    scene.github.add_user("tria");
    scene.github.add_user("stranger");
    scene.github.grant(REPO, "tria", Role::Triage).unwrap();
    let expected = [
        ("octo", "admin", "admin"),
        ("mona", "maintain", "write"),
        ("tria", "triage", "read"),
        ("stranger", "read", "read"),
    ];
    for (login, role, permission) in expected {
        let path = format!("/repos/octo/widget/collaborators/{login}/permission");
        let answer = scene.get(&path).await;
        assert_eq!(answer.body["role_name"], role);
        assert_eq!(answer.body["permission"], permission);
    }
    let nobody = scene.get("/repos/octo/widget/collaborators/nobody/permission").await;
    assert_eq!(nobody.status, 404);
}

#[tokio::test]
async fn lists_show_thirty_a_page_with_link() {
    let scene = scene().await;
    let issue = scene.github.as_user("mona").open_issue(REPO, "many", "").unwrap();
    for number in 0..65 {
        scene.github.as_user("mona").comment(REPO, issue, &format!("{number}")).unwrap();
    }
    let path = format!("/repos/octo/widget/issues/{issue}/comments");
    let first = scene.get(&path).await;
    assert_eq!(first.body.as_array().unwrap().len(), 30);
    let link = first.headers["link"].to_str().unwrap();
    assert!(
        link.contains("page=2>; rel=\"next\"") && link.contains("page=3>; rel=\"last\""),
        "{link}"
    );
    let last = scene.get(&format!("{path}?page=3")).await;
    assert_eq!(last.body.as_array().unwrap().len(), 5);
    assert!(!last.headers["link"].to_str().unwrap().contains("next"));
    let all = scene.get(&format!("{path}?per_page=500")).await;
    assert_eq!(all.body.as_array().unwrap().len(), 65);
}
