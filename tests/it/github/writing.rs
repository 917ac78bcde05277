//! What is sent when something is written.

use baton::github::{Check, CommentUpdate};
use baton::model::{
    Annotation, AnnotationLevel, CheckRunId, CheckStatus, CommentId, Conclusion, Sha,
};
use serde_json::json;

use super::stub::{Asked, Stub, said};

fn annotations(count: u32) -> Vec<Annotation> {
    let annotation = |line| Annotation {
        path: "src/lib.rs".into(),
        line,
        level: AnnotationLevel::Warning,
        title: format!("remark {line}"),
        message: "look here".into(),
    };
    (1..=count).map(annotation).collect()
}

fn lines(asked: &Asked) -> Vec<u64> {
    let annotations = asked.body["output"]["annotations"].as_array();
    annotations.into_iter().flatten().filter_map(|one| one["start_line"].as_u64()).collect()
}

#[tokio::test]
async fn a_comment_is_changed_by_patch_and_a_deleted_one_is_told() {
    let stub = Stub::start(|asked| match (asked.method.as_str(), asked.path.as_str()) {
        ("PATCH", "/repos/octo/tools/issues/comments/5") => said(200, json!({ "id": 5 })),
        _ => said(404, json!({ "message": "Not Found" })),
    })
    .await;
    let repo = stub.repo();
    assert_eq!(repo.update_comment(CommentId(5), "now").await, Ok(CommentUpdate::Done));
    assert_eq!(stub.asked()[0].body, json!({ "body": "now" }));
    assert_eq!(repo.update_comment(CommentId(6), "now").await, Ok(CommentUpdate::Gone));
}

#[tokio::test]
async fn annotations_go_out_fifty_at_a_time_and_resume_where_github_counts() {
    let stub = Stub::start(|asked| match asked.method.as_str() {
        "GET" => said(
            200,
            json!({ "id": 8, "name": "baton / review", "output": { "annotations_count": 100 } }),
        ),
        _ => said(201, json!({ "id": 8 })),
    })
    .await;
    let repo = stub.repo();
    let (head, annotations) = (Sha::new("c".repeat(40)).unwrap(), annotations(120));
    let check = Check {
        name: "baton / review",
        head: &head,
        status: CheckStatus::Completed { conclusion: Conclusion::Failure, at: stub.clock.now() },
        title: "120 remarks",
        summary: &"s".repeat(70_000),
        text: "",
        annotations: &annotations,
        started_at: None,
    };
    assert_eq!(repo.create_check(&check).await, Ok(CheckRunId(8)));
    let asked = stub.asked();
    let sent: Vec<Vec<u64>> = asked.iter().map(lines).collect();
    let expected: Vec<Vec<u64>> =
        vec![(1..=50).collect(), (51..=100).collect(), (101..=120).collect()];
    assert_eq!(sent, expected);
    let first = &asked[0].body;
    assert_eq!(
        (first["status"].as_str(), first["conclusion"].as_str()),
        (Some("completed"), Some("failure"))
    );
    assert_eq!(first["output"]["summary"].as_str().unwrap().chars().count(), 65_535);
    assert!(first["output"].get("text").is_none() && first.get("actions").is_none());

    repo.update_check(CheckRunId(8), &check).await.unwrap();
    let resumed: Vec<Vec<u64>> = stub.asked()[3..].iter().map(lines).collect();
    assert_eq!(resumed, [vec![], vec![], (101..=120).collect::<Vec<u64>>()]);
}

#[tokio::test]
async fn drafts_that_a_plan_does_not_have_become_ready_pull_requests() {
    let stub = Stub::start(|asked| match asked.body["draft"].as_bool() {
        Some(true) => said(
            422,
            json!({
                "message": "Draft pull requests are not supported in this repository.",
            }),
        ),
        _ => said(201, json!({ "number": 12 })),
    })
    .await;
    let branch = |name: &str| baton::model::BranchName::new(name).unwrap();
    let (head, base) = (branch("baton/3-fix"), branch("main"));
    let repo = stub.repo();
    let created = repo.create_pull("Fix", "text", &repo, &head, &base, true).await.unwrap();
    assert_eq!((created.number, created.draft), (12, false));
    assert_eq!(stub.asked().len(), 2);
}
