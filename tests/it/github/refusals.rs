//! Everything that GitHub can refuse or spoil, met by the right variant.

use baton::github::{Access, GitHubError};
use chrono::TimeDelta;

use super::emulated::{REPO, World, app, branch};

#[tokio::test]
async fn a_write_that_was_done_but_not_told_is_found_by_its_marker() {
    let world = World::start().await;
    let number = world.issue();
    let path = "/repos/octo/tools/issues";
    world.github.faults().fail_next("POST", path, 502, true, None);
    let marker = "<!-- baton:reply:1 -->";
    let lost = world.repo.create_comment(number, marker).await.unwrap_err();
    assert!(matches!(lost, GitHubError::Retry { .. }), "{lost}");
    assert!(world.repo.find_comment_by_marker(number, marker).await.unwrap().is_some());
    assert_eq!(world.github.comments(REPO, number).len(), 1);

    world.github.faults().fail_next("POST", path, 502, false, None);
    let marker = "<!-- baton:reply:2 -->";
    world.repo.create_comment(number, marker).await.unwrap_err();
    assert_eq!(world.repo.find_comment_by_marker(number, marker).await, Ok(None));
}

#[tokio::test]
async fn a_change_that_fails_at_random_is_made_all_the_same() {
    let world = World::start().await;
    let number = world.issue();
    let comment = world.repo.create_comment(number, "one").await.unwrap();
    for applied in [false, true] {
        let path = "/repos/octo/tools/issues/comments";
        world.github.faults().fail_next("PATCH", path, 502, applied, None);
        let text = format!("two {applied}");
        world.repo.update_comment(comment.id, &text).await.unwrap();
        assert_eq!(world.github.comments(REPO, number)[0].body, text);
    }
}

#[tokio::test]
async fn a_secondary_limit_pauses_the_installation_for_as_long_as_github_says() {
    let world = World::start().await;
    let number = world.issue();
    world.repo.issue(number).await.unwrap();
    world.github.faults().secondary_rate_limit(1);
    let before = world.clock.now();
    let limited = world.repo.create_comment(number, "one").await.unwrap_err();
    let GitHubError::Paused { until } = limited else { panic!("{limited}") };
    let wait = TimeDelta::seconds(1);
    assert!((before + wait..=world.clock.now() + wait).contains(&until), "{until}");
    world.clock.advance(TimeDelta::seconds(2));
    world.repo.create_comment(number, "one").await.unwrap();
    assert_eq!(world.github.comments(REPO, number).len(), 1);
}

#[tokio::test]
async fn a_spent_primary_limit_pauses_until_it_starts_anew() {
    let world = World::start().await;
    let number = world.issue();
    world.repo.issue(number).await.unwrap();
    world.github.faults().primary_rate_limit(1);
    let before = world.clock.now();
    let limited = world.repo.issue(number).await.unwrap_err();
    let GitHubError::Paused { until } = limited else { panic!("{limited}") };
    // The stand-in's limits start anew after a minute; the header counts in whole seconds.
    let earliest = before + TimeDelta::seconds(59);
    assert!((earliest..=world.clock.now() + TimeDelta::seconds(60)).contains(&until), "{until}");
}

#[tokio::test]
async fn a_missing_permission_is_forbidden_and_no_pause() {
    let world = World::start().await;
    let number = world.issue();
    let installation = u64::try_from(world.installation.0).unwrap();
    world.github.set_permissions(installation, &[("issues", "read"), ("contents", "read")]);
    let refused = world.repo.create_comment(number, "one").await.unwrap_err();
    assert!(matches!(refused, GitHubError::Forbidden { .. }), "{refused}");
    world.repo.issue(number).await.unwrap();
    world.repo.git_token(Access::Read).await.unwrap();
    let write = world.repo.git_token(Access::Write).await.unwrap_err();
    assert!(matches!(write, GitHubError::Refused { status: 422, .. }), "{write}");
}

#[tokio::test]
async fn an_installation_that_ends_takes_its_tokens_with_it() {
    let world = World::start().await;
    let number = world.issue();
    world.repo.issue(number).await.unwrap();
    let installation = u64::try_from(world.installation.0).unwrap();
    world.github.suspend(installation, true);
    let suspended = world.repo.issue(number).await.unwrap_err();
    assert!(matches!(suspended, GitHubError::Forbidden { .. }), "{suspended}");
    assert!(world.app.installations().await.unwrap()[0].suspended);
    world.github.suspend(installation, false);
    world.repo.issue(number).await.unwrap();
    world.github.uninstall(installation);
    let gone = world.repo.issue(number).await.unwrap_err();
    assert!(matches!(gone, GitHubError::NotFound { .. }), "{gone}");
}

#[tokio::test]
async fn a_token_outlived_by_its_user_is_replaced_unseen() {
    let world = World::start().await;
    let number = world.issue();
    for _ in 0..3 {
        world.repo.issue(number).await.unwrap();
        world.clock.advance(TimeDelta::minutes(59));
    }
    assert_eq!(world.app.counters().counts().refused, 0, "a token was used too long");
    assert_eq!(world.app.counters().counts().minted, 3);
}

#[tokio::test]
async fn an_archived_repository_and_another_ones_token_are_refused() {
    let world = World::start().await;
    let number = world.issue();
    world.github.archive(REPO, true).unwrap();
    let archived = world.repo.create_comment(number, "one").await.unwrap_err();
    assert!(matches!(archived, GitHubError::Forbidden { .. }), "{archived}");
    world.github.archive(REPO, false).unwrap();
    let installation = u64::try_from(world.installation.0).unwrap();
    world.github.uninstall_repositories(installation, &[REPO]);
    let removed = world.repo.issue(number).await.unwrap_err();
    assert!(matches!(removed, GitHubError::NotFound { .. }), "{removed}");
}

#[tokio::test]
async fn a_pushed_branch_may_show_late() {
    let world = World::start().await;
    world.github.faults().ref_lag(std::time::Duration::from_secs(60));
    world.push("late", "other\n");
    assert_eq!(world.repo.branch_head(&branch("late")).await, Ok(None));
    world.github.faults().clear();
}

#[tokio::test]
async fn a_clock_that_runs_wrong_is_told_as_the_apps_not_the_repositorys_mistake() {
    let world = World::start().await;
    let ahead = baton::clock::Clock::system();
    ahead.advance(TimeDelta::minutes(30));
    let app = app(&world.github.api_url(), ahead);
    let refused = app.identity().await.unwrap_err();
    let GitHubError::Unauthorized { message } = refused else { panic!("{refused}") };
    assert!(message.contains("clock"), "{message}");
}
