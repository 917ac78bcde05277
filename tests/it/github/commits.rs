//! Branches, files, check runs and deployments.

use baton::github::{Check, File};
use baton::model::{
    Annotation, AnnotationLevel, CheckStatus, Conclusion, DeploymentState, Environment, Sha,
};

use super::emulated::{OWNER, REPO, World, branch};

fn check<'a>(head: &'a Sha, status: CheckStatus, annotations: &'a [Annotation]) -> Check<'a> {
    Check {
        name: "baton / review",
        head,
        status,
        title: "Reading",
        summary: "Two files.",
        text: "log",
        annotations,
        started_at: None,
    }
}

#[tokio::test]
async fn heads_and_files_are_read_and_what_is_not_there_is_none() {
    let world = World::start().await;
    let repo = &world.repo;
    assert_eq!(repo.branch_head(&branch("main")).await, Ok(Some(world.first_commit.clone())));
    assert_eq!(repo.branch_head(&branch("mai")).await, Ok(None));
    let head = world.push("feature/a-b", "other\n");
    assert_eq!(repo.branch_head(&branch("feature/a-b")).await, Ok(Some(head)));
    let File { bytes, .. } = repo.file("src/lib.rs", &branch("main")).await.unwrap().unwrap();
    assert_eq!(bytes, b"one\ntwo\nthree\n");
    let File { bytes, .. } =
        repo.file("src/lib.rs", &branch("feature/a-b")).await.unwrap().unwrap();
    assert_eq!(bytes, b"other\n");
    for missing in [".github/baton.yml", "src"] {
        assert_eq!(repo.file(missing, &branch("main")).await, Ok(None), "{missing}");
    }
    assert_eq!(repo.file("src/lib.rs", &branch("none")).await, Ok(None));
}

#[tokio::test]
async fn a_check_run_goes_from_queued_to_completed_and_is_found_by_name() {
    let world = World::start().await;
    let (repo, head) = (&world.repo, &world.first_commit);
    assert_eq!(repo.find_check(head, "baton / review").await, Ok(None));
    let forged = world.github.as_user(OWNER);
    forged.report_check(REPO, "other-app", head.as_str(), "baton / review", None).unwrap();
    assert_eq!(repo.find_check(head, "baton / review").await, Ok(None), "another App's");
    let id = repo.create_check(&check(head, CheckStatus::Queued, &[])).await.unwrap();
    assert_eq!(repo.find_check(head, "baton / review").await, Ok(Some(id)));
    assert_eq!(repo.find_check(&Sha::new("e".repeat(40)).unwrap(), "x").await, Ok(None));
    repo.update_check(id, &check(head, CheckStatus::InProgress, &[])).await.unwrap();
    let done =
        CheckStatus::Completed { conclusion: Conclusion::ActionRequired, at: world.clock.now() };
    repo.update_check(id, &check(head, done, &[])).await.unwrap();
    let seen = world.github.checks(REPO, head.as_str()).pop().unwrap();
    assert_eq!(
        (seen.status.as_str(), seen.conclusion.as_deref()),
        ("completed", Some("action_required"))
    );
    assert_eq!((seen.title.as_deref(), seen.text.as_deref()), (Some("Reading"), Some("log")));
}

#[tokio::test]
async fn annotations_lost_half_way_are_added_once_each() {
    let world = World::start().await;
    let (repo, head) = (&world.repo, &world.first_commit);
    let annotations: Vec<_> = (1..=130)
        .map(|line| Annotation {
            path: "src/lib.rs".into(),
            line,
            level: AnnotationLevel::Notice,
            title: "t".repeat(300),
            message: "look".into(),
        })
        .collect();
    let check = check(head, CheckStatus::InProgress, &annotations);
    // The first batch comes with the creation, the second is applied but its answer is lost.
    world.github.faults().fail_next("PATCH", "/repos/octo/tools/check-runs", 502, true, None);
    repo.create_check(&check).await.unwrap_err();
    let count = || world.github.checks(REPO, head.as_str())[0].annotations.len();
    assert_eq!(count(), 100);
    let id = repo.find_check(head, check.name).await.unwrap().unwrap();
    repo.update_check(id, &check).await.unwrap();
    assert_eq!(count(), 130);
    repo.update_check(id, &check).await.unwrap();
    assert_eq!(count(), 130);
}

#[tokio::test]
async fn each_try_of_a_deployment_is_its_own_and_found_by_marker() {
    let world = World::start().await;
    let (repo, sha) = (&world.repo, &world.first_commit);
    let production = Environment::new("production").unwrap();
    let first = repo.create_deployment(&production, sha, "first", "try 1").await.unwrap();
    let second = repo.create_deployment(&production, sha, &"x".repeat(200), "try 2").await.unwrap();
    assert_eq!(repo.find_deployment(&production, sha, "try 1").await, Ok(Some(first)));
    assert_eq!(repo.find_deployment(&production, sha, "try 2").await, Ok(Some(second)));
    assert_eq!(repo.find_deployment(&production, sha, "try 3").await, Ok(None));
    let staging = Environment::new("staging").unwrap();
    assert_eq!(repo.find_deployment(&staging, sha, "try 1").await, Ok(None));
    for state in [DeploymentState::InProgress, DeploymentState::Success] {
        let url = Some("https://baton.test/log");
        repo.create_deployment_status(second, state, "going", url).await.unwrap();
    }
    let seen = world.github.deployments(REPO).pop().unwrap();
    assert_eq!(seen.statuses.last().unwrap().state, "success");
    assert_eq!(seen.statuses.last().unwrap().log_url, "https://baton.test/log");
}
