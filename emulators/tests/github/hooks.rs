//! Webhooks: signed, with real headers, told once.

use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::support::{REPO, SECRET, scene};

#[tokio::test]
async fn webhook_is_signed_and_has_githubs_headers() {
    let scene = scene().await;
    scene.github.as_user("mona").open_issue(REPO, "t", "").unwrap();
    scene.arrived().await;
    let arrival = scene.receiver.arrivals.lock().unwrap()[1].clone();
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(&arrival.body);
    let digest = mac.finalize().into_bytes();
    let expected: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(arrival.header("x-hub-signature-256"), format!("sha256={expected}"));
    assert_eq!(arrival.header("x-github-event"), "issues");
    assert!(uuid::Uuid::parse_str(arrival.header("x-github-delivery")).is_ok());
    assert_eq!(arrival.header("x-github-hook-installation-target-id"), "7");
    assert_eq!(arrival.header("x-github-hook-installation-target-type"), "integration");
    assert!(arrival.header("user-agent").starts_with("GitHub-Hookshot/"));
    let payload = arrival.json();
    assert_eq!(payload["installation"]["id"], scene.installation);
    assert_eq!(payload["sender"]["login"], "mona");
}

#[tokio::test]
async fn what_the_app_does_comes_back_as_done_by_its_bot() {
    let scene = scene().await;
    let issue =
        scene.post("/repos/octo/widget/issues", json!({ "title": "t", "labels": ["a"] })).await;
    assert_eq!(issue.body["performed_via_github_app"]["id"], 7);
    let names = scene.arrived().await;
    assert_eq!(names, ["installation.created", "issues.opened", "issues.labeled"]);
    assert_eq!(scene.github.deliveries()[1].payload["sender"]["id"], 77);
}

#[tokio::test]
async fn nothing_is_redelivered_by_itself_but_on_request() {
    let scene = scene().await;
    scene.arrived().await;
    *scene.receiver.refuse.lock().unwrap() = true;
    scene.github.as_user("mona").open_issue(REPO, "t", "").unwrap();
    assert_eq!(scene.arrived().await.len(), 2);
    let jwt = scene.jwt();
    let listed = scene.call_as(&jwt, "GET", "/app/hook/deliveries?per_page=1", None).await;
    let failed = &listed.body[0];
    assert_eq!((&failed["status_code"], &failed["event"]), (&json!(500), &json!("issues")));
    let path = format!("/app/hook/deliveries/{}", failed["id"]);
    let whole = scene.call_as(&jwt, "GET", &path, None).await;
    assert_eq!(whole.body["request"]["payload"]["action"], "opened");
    *scene.receiver.refuse.lock().unwrap() = false;
    let again = scene.call_as(&jwt, "POST", &format!("{path}/attempts"), None).await;
    assert_eq!(again.status, 202);
    assert_eq!(scene.arrived().await.len(), 3);
    let told = scene.github.deliveries();
    assert_eq!(told[1].guid, told[2].guid);
    assert!(told[2].redelivery && told[2].id != told[1].id);
    let unknown = scene.call_as(&jwt, "POST", "/app/hook/deliveries/1/attempts", None).await;
    assert_eq!(unknown.status, 404);
}

#[tokio::test]
async fn deliveries_are_paged_by_cursor() {
    let scene = scene().await;
    for _ in 0..4 {
        scene.github.as_user("mona").open_issue(REPO, "t", "").unwrap();
    }
    scene.delivered(5).await;
    let mut next = Some("/app/hook/deliveries?per_page=2".to_owned());
    let mut seen = Vec::new();
    while let Some(path) = next {
        let page = scene.call_as(&scene.jwt(), "GET", &path, None).await;
        seen.extend(
            page.body.as_array().unwrap().iter().map(|known| known["id"].as_u64().unwrap()),
        );
        next = page.headers.get("link").map(|link| {
            let link = link.to_str().unwrap();
            link[1..link.find('>').unwrap()].to_owned()
        });
    }
    assert_eq!(seen.len(), 5);
    assert!(seen.is_sorted_by(|one, other| one > other));
}

#[tokio::test]
async fn events_without_the_permission_are_not_told() {
    let scene = scene().await;
    scene.github.set_permissions(scene.installation, &[("contents", "read")]);
    scene.github.as_user("mona").open_issue(REPO, "t", "").unwrap();
    scene.topic();
    assert_eq!(scene.arrived().await, ["installation.created", "create", "push"]);
}

#[tokio::test]
async fn edited_comment_says_what_it_was() {
    let scene = scene().await;
    let mona = scene.github.as_user("mona");
    mona.open_issue(REPO, "t", "").unwrap();
    let comment = mona.comment(REPO, 1, "before").unwrap();
    scene.github.as_user("octo").edit_comment(REPO, comment, "after").unwrap();
    let told = scene.github.deliveries();
    let payload: &Value = &told.last().unwrap().payload;
    assert_eq!(payload["changes"]["body"]["from"], "before");
    assert_eq!(payload["sender"]["login"], "octo");
    assert_eq!(payload["comment"]["user"]["login"], "mona");
}

#[tokio::test]
async fn page_shows_and_escapes() {
    let scene = scene().await;
    scene.github.as_user("mona").open_issue(REPO, "<script>", "a & b").unwrap();
    let url = scene.github.page_url();
    let (_, query) = url.split_once('?').unwrap();
    let page = scene.get(&format!("/ui/octo/widget/issues/1?{query}")).await.body;
    let page = page.as_str().unwrap();
    assert!(
        page.contains("&lt;script&gt;") && page.contains("a &amp; b") && !page.contains("<script>")
    );
    let front = scene.get(&format!("/ui?{query}")).await.body;
    assert!(front.as_str().unwrap().contains("octo/widget"));
    for closed in ["/ui", "/ui/octo/widget/issues/1", "/ui?token=guessed"] {
        let refused = scene.get(closed).await;
        assert_eq!(refused.status, 401, "{closed}");
        assert!(!refused.body.as_str().unwrap().contains("script"), "{closed}");
    }
}
