//! Pull requests, reviews and their threads.

use baton::github::GitHubError;
use baton::model::{ReviewComment, Sha};
use emulators::github::RepositoryOptions;

use super::emulated::{OWNER, REPO, World, branch};

fn remark(finding: u32, path: &str, line: u32) -> ReviewComment {
    ReviewComment { finding, path: path.into(), line, body: format!("remark {finding}") }
}

#[tokio::test]
async fn a_pull_request_is_opened_found_changed_made_ready_and_merged() {
    let world = World::start().await;
    let (number, head) = world.own_pull().await;
    let pull = world.repo.find_pull(&world.repo, &branch("baton/1-fix")).await.unwrap().unwrap();
    assert_eq!(pull, world.repo.pull(number).await.unwrap());
    assert_eq!((pull.number, pull.open, pull.draft, &pull.head), (number, true, true, &head));
    assert_eq!((pull.branch, pull.base.as_str()), (Some(branch("baton/1-fix")), "main"));
    assert_eq!((pull.merged, pull.author.0), (None, 99));

    world.repo.update_pull(number, "Fix it", "better").await.unwrap();
    for _ in 0..2 {
        world.repo.mark_ready_for_review(number).await.unwrap();
    }
    let seen = world.github.issue(REPO, number).unwrap();
    assert_eq!((seen.title.as_str(), seen.body.as_str()), ("Fix it", "better"));
    assert!(!seen.pull.unwrap().draft);

    let merged = world.github.as_user(OWNER).merge_pull(REPO, number, None).unwrap();
    let pull = world.repo.pull(number).await.unwrap();
    assert_eq!((pull.open, pull.merged.clone()), (false, Some(Sha::new(merged).unwrap())));
    let found = world.repo.find_pull(&world.repo, &branch("baton/1-fix")).await.unwrap().unwrap();
    assert_eq!(found.merged, pull.merged);
    assert_eq!(world.repo.find_pull(&world.repo, &branch("main")).await, Ok(None));
}

#[tokio::test]
async fn a_draft_mark_that_came_off_unheard_is_not_taken_off_again() {
    let world = World::start().await;
    let (number, _) = world.own_pull().await;
    world.github.faults().fail_next("POST", "/graphql", 502, true, None);
    let lost = world.repo.mark_ready_for_review(number).await.unwrap_err();
    assert!(matches!(lost, GitHubError::Retry { .. }), "{lost}");
    world.repo.mark_ready_for_review(number).await.unwrap();
    let asked = world.github.requests().into_iter().filter(|asked| asked.path == "/graphql");
    assert_eq!(asked.count(), 1);
}

#[tokio::test]
async fn a_second_pull_request_from_a_branch_is_refused_and_the_first_one_found() {
    let world = World::start().await;
    let (number, _) = world.own_pull().await;
    let (from, to) = (branch("baton/1-fix"), branch("main"));
    let second =
        world.repo.create_pull("Again", "text", &world.repo, &from, &to, true).await.unwrap_err();
    assert!(matches!(second, GitHubError::Refused { status: 422, .. }), "{second}");
    assert_eq!(world.repo.find_pull(&world.repo, &from).await.unwrap().unwrap().number, number);
}

#[tokio::test]
async fn where_there_are_no_drafts_the_pull_request_is_ready() {
    let world = World::with(RepositoryOptions { private: true, drafts: false }).await;
    world.push("baton/1-fix", "other\n");
    let (from, to) = (branch("baton/1-fix"), branch("main"));
    let created =
        world.repo.create_pull("Fix", "text", &world.repo, &from, &to, true).await.unwrap();
    assert!(!created.draft);
    assert!(!world.repo.pull(created.number).await.unwrap().draft);
}

#[tokio::test]
async fn a_review_of_its_own_pull_request_comments_and_folds_what_has_no_line() {
    let world = World::start().await;
    let (number, head) = world.own_pull().await;
    let marker = "<!-- baton:review:1 -->";
    let remarks = [remark(1, "src/lib.rs", 2), remark(2, "src/lib.rs", 900), remark(3, "gone", 1)];
    let body = format!("{marker}\nThree remarks.");
    let review = world.repo.create_review(number, &head, &body, &remarks).await.unwrap();
    let placed: Vec<u32> = review.placed.iter().map(|placed| placed.finding).collect();
    assert_eq!(placed, [1]);
    let seen = world.github.reviews(REPO, number);
    assert_eq!((seen.len(), seen[0].state.as_str()), (1, "COMMENTED"));
    assert!(seen[0].body.contains("`src/lib.rs:900`\n\nremark 2"), "{}", seen[0].body);
    assert!(seen[0].body.contains("`gone:1`\n\nremark 3") && !seen[0].body.contains("remark 1"));
    let found = world.repo.find_review_by_marker(number, marker, &remarks).await.unwrap();
    assert_eq!(found, Some(review));
    let none = world.repo.find_review_by_marker(number, "<!-- other -->", &remarks).await;
    assert_eq!(none, Ok(None));
}

#[tokio::test]
async fn a_review_of_a_commit_that_is_not_of_the_pull_request_is_refused() {
    let world = World::start().await;
    let (number, _) = world.own_pull().await;
    let other = world.push("elsewhere", "other\n");
    let remarks = [remark(1, "src/lib.rs", 2)];
    let refused = world.repo.create_review(number, &other, "text", &remarks).await.unwrap_err();
    assert!(matches!(refused, GitHubError::Refused { status: 422, .. }), "{refused}");
    assert!(world.github.reviews(REPO, number).is_empty());
}

#[tokio::test]
async fn the_thread_of_a_remark_is_found_and_resolved() {
    let world = World::start().await;
    let (number, head) = world.own_pull().await;
    let remarks = [remark(1, "src/lib.rs", 2), remark(2, "src/lib.rs", 3)];
    let review = world.repo.create_review(number, &head, "Two.", &remarks).await.unwrap();
    let threads = world.repo.review_threads(number).await.unwrap();
    assert_eq!(threads.len(), 2);
    let second = review.placed.iter().find(|placed| placed.finding == 2).unwrap();
    let thread = threads.iter().find(|thread| thread.first_comment.as_ref() == Some(&second.node));
    let thread = thread.unwrap();
    assert_eq!((thread.resolved, thread.first_comment_body.0.as_str()), (false, "remark 2"));
    for _ in 0..2 {
        world.repo.resolve_thread(&thread.node).await.unwrap();
    }
    let resolved: Vec<bool> = world
        .repo
        .review_threads(number)
        .await
        .unwrap()
        .iter()
        .map(|thread| thread.resolved)
        .collect();
    assert_eq!(resolved, [false, true]);
    let gone = world.repo.resolve_thread("PRRT_kwDOnothing").await;
    assert!(matches!(gone, Err(GitHubError::NotFound { .. })), "{gone:?}");
}

#[tokio::test]
async fn more_threads_than_a_page_holds_are_all_read() {
    let world = World::start().await;
    let (number, head) = world.own_pull().await;
    let remarks: Vec<_> = (1..=105).map(|finding| remark(finding, "src/lib.rs", 2)).collect();
    let review = world.repo.create_review(number, &head, "Many.", &remarks).await.unwrap();
    assert_eq!(review.placed.len(), 105);
    assert_eq!(world.repo.review_threads(number).await.unwrap().len(), 105);
}
