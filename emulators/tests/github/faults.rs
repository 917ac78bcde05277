//! Each fault does what it says.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use emulators::github::{Doubling, Phase};
use serde_json::json;

use crate::support::{REPO, scene};

const ISSUES: &str = "/repos/octo/widget/issues";

#[tokio::test]
async fn dropped_delivery_is_listed_as_failed_and_lost_one_is_not() {
    let scene = scene().await;
    scene.arrived().await;
    scene.github.faults().drop_next_deliveries(1);
    scene.github.as_user("mona").open_issue(REPO, "dropped", "").unwrap();
    scene.github.faults().lose_matching(1, |event, _| event == "issues");
    scene.github.as_user("mona").open_issue(REPO, "lost", "").unwrap();
    scene.github.as_user("mona").open_issue(REPO, "told", "").unwrap();
    assert_eq!(scene.arrived().await.len(), 2);
    let listed = scene.call_as(&scene.jwt(), "GET", "/app/hook/deliveries", None).await;
    let codes: Vec<_> =
        listed.body.as_array().unwrap().iter().map(|d| d["status_code"].clone()).collect();
    assert_eq!(codes, [json!(202), json!(502), json!(202)]);
}

#[tokio::test]
async fn doubled_delivery_has_the_same_guid_or_another() {
    let scene = scene().await;
    scene.github.faults().duplicate_deliveries(Some(Doubling::SameGuid));
    scene.github.as_user("mona").open_issue(REPO, "t", "").unwrap();
    scene.github.faults().duplicate_deliveries(Some(Doubling::OtherGuid));
    scene.github.as_user("mona").open_issue(REPO, "t", "").unwrap();
    assert_eq!(scene.arrived().await.len(), 5);
    let told = scene.github.deliveries();
    assert_eq!(told[1].guid, told[2].guid);
    assert_ne!(told[3].guid, told[4].guid);
}

#[tokio::test]
async fn late_delivery_is_overtaken_and_reordered_ones_come_last_first() {
    let scene = scene().await;
    scene.github.faults().delay_matching("issues", Duration::from_millis(50));
    scene.github.as_user("mona").open_issue(REPO, "t", "").unwrap();
    scene.github.as_user("mona").comment(REPO, 1, "c").unwrap();
    let names = scene.arrived().await;
    assert_eq!(names[1..], ["issue_comment.created", "issues.opened"]);
    scene.github.faults().clear();
    scene.github.faults().reorder_next(2);
    scene.github.as_user("mona").comment(REPO, 1, "d").unwrap();
    scene.github.as_user("mona").close_issue(REPO, 1).unwrap();
    let names = scene.arrived().await;
    assert_eq!(names[3..], ["issues.closed", "issue_comment.created"]);
}

#[tokio::test]
async fn early_delivery_arrives_before_the_answer() {
    let scene = scene().await;
    scene.github.faults().early(true);
    scene.post(ISSUES, json!({ "title": "t" })).await;
    assert_eq!(scene.receiver.names(), ["installation.created", "issues.opened"]);
}

#[tokio::test]
async fn failure_comes_before_or_after_the_request_is_applied() {
    let scene = scene().await;
    scene.github.faults().fail_next("POST", ISSUES, 502, false, None);
    assert_eq!(scene.post(ISSUES, json!({ "title": "t" })).await.status, 502);
    assert!(scene.github.issue(REPO, 1).is_none());
    scene.github.faults().fail_next("POST", ISSUES, 502, true, Some(3));
    let answer = scene.post(ISSUES, json!({ "title": "t" })).await;
    assert_eq!((answer.status, answer.headers["retry-after"].to_str().unwrap()), (502, "3"));
    assert!(scene.github.issue(REPO, 1).is_some());
    assert_eq!(scene.post(ISSUES, json!({ "title": "t" })).await.status, 201);
}

#[tokio::test]
async fn secondary_limit_meets_writes_only() {
    let scene = scene().await;
    scene.github.faults().secondary_rate_limit(1);
    assert_eq!(scene.get(ISSUES).await.status, 200);
    let answer = scene.post(ISSUES, json!({ "title": "t" })).await;
    assert_eq!((answer.status, answer.headers["retry-after"].to_str().unwrap()), (403, "1"));
    assert_eq!(scene.post(ISSUES, json!({ "title": "t" })).await.status, 201);
    scene.github.faults().primary_rate_limit(1);
    let answer = scene.get(ISSUES).await;
    assert_eq!(
        (answer.status, answer.headers["x-ratelimit-remaining"].to_str().unwrap()),
        (403, "0")
    );
}

#[tokio::test]
async fn pushed_ref_shows_only_later() {
    let scene = scene().await;
    scene.github.faults().ref_lag(Duration::from_millis(80));
    let start = Instant::now();
    scene.topic();
    let path = "/repos/octo/widget/branches/topic";
    let body = json!({ "title": "t", "head": "topic", "base": "main" });
    assert_eq!(scene.get(path).await.status, 404);
    assert_eq!(scene.post("/repos/octo/widget/pulls", body).await.status, 422);
    assert!(scene.github.branch(REPO, "topic").is_some());
    while scene.get(path).await.status == 404 {
        assert!(start.elapsed() < Duration::from_secs(5));
    }
    assert!(start.elapsed() >= Duration::from_millis(80));
}

#[tokio::test]
async fn probe_is_called_before_and_after_each_request() {
    let scene = scene().await;
    let points = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&points);
    scene.github.set_probe(Some(Arc::new(move |point| kept.lock().unwrap().push(point))));
    scene.post(ISSUES, json!({ "title": "t" })).await;
    let points = points.lock().unwrap();
    let phases: Vec<_> = points.iter().map(|point| (point.index, point.phase)).collect();
    assert_eq!(phases, [(1, Phase::Before), (1, Phase::After)]);
}
