//! Issues, comments, labels, and what people may do.

use baton::github::{CommentUpdate, CreatedComment, GitHubError};
use baton::model::{CommentId, Permission, Reaction};
use emulators::github::Role;

use super::emulated::{OWNER, REPO, World, login};

#[tokio::test]
async fn the_app_knows_who_it_is_and_what_it_reaches() {
    let world = World::start().await;
    let identity = world.app.identity().await.unwrap();
    assert_eq!((identity.app_id, identity.slug.as_str(), identity.bot.0), (4711, "baton", 99));
    let installations = world.app.installations().await.unwrap();
    assert_eq!(installations.len(), 1);
    assert_eq!(installations[0].account_login, OWNER);
    assert_eq!(installations[0].permissions["issues"], "write");
    let repositories = world.app.repositories(world.installation).await.unwrap();
    assert_eq!(repositories[0].name.to_string(), REPO);
    assert_eq!(repositories[0].default_branch.as_str(), "main");
}

#[tokio::test]
async fn permission_tells_maintain_and_triage_from_what_they_look_like() {
    let world = World::start().await;
    let roles = [
        ("reader", Some(Role::Read), Permission::Read),
        ("sorter", Some(Role::Triage), Permission::Triage),
        ("pusher", Some(Role::Write), Permission::Write),
        ("keeper", Some(Role::Maintain), Permission::Maintain),
        ("outsider", None, Permission::Read),
    ];
    for (name, role, expected) in roles {
        world.github.add_user(name);
        if let Some(role) = role {
            world.github.grant(REPO, name, role).unwrap();
        }
        assert_eq!(world.repo.permission(&login(name)).await, Ok(expected), "{name}");
    }
    assert_eq!(world.repo.permission(&login(OWNER)).await, Ok(Permission::Admin));
    assert_eq!(world.repo.permission(&login("nobody")).await, Ok(Permission::None));
}

#[tokio::test]
async fn an_issue_is_read_with_its_labels_and_reopened() {
    let world = World::start().await;
    let (number, owner) = (world.issue(), world.github.as_user(OWNER));
    owner.label(REPO, number, "baton").unwrap();
    owner.close_issue(REPO, number).unwrap();
    let issue = world.repo.issue(number).await.unwrap();
    assert_eq!((issue.open, issue.is_pull, issue.labels), (false, false, vec!["baton".to_owned()]));
    assert_eq!((issue.title.0.as_str(), issue.body.0.as_str()), ("Broken", "It breaks."));
    assert_eq!(issue.author.login, login(OWNER));
    world.repo.reopen_issue(number).await.unwrap();
    assert!(world.repo.issue(number).await.unwrap().open);
    let none = world.repo.issue(4000).await;
    assert!(matches!(none, Err(GitHubError::NotFound { .. })), "{none:?}");
}

#[tokio::test]
async fn a_comment_is_found_again_on_a_late_page_and_never_a_forged_one() {
    let world = World::start().await;
    let (number, owner) = (world.issue(), world.github.as_user(OWNER));
    let marker = "<!-- baton:progress:1 -->";
    owner.comment(REPO, number, &format!("forged {marker}")).unwrap();
    for count in 0..204 {
        owner.comment(REPO, number, &format!("word {count}")).unwrap();
    }
    // What the App quotes of others is not its own either.
    world.repo.create_comment(number, &format!("> forged {marker}")).await.unwrap();
    assert_eq!(world.repo.find_comment_by_marker(number, marker).await, Ok(None));
    let made = world.repo.create_comment(number, &format!("{marker}\nHere.")).await.unwrap();
    let found = world.repo.find_comment_by_marker(number, marker).await.unwrap();
    assert_eq!(found.as_ref(), Some(&made));
    let comments = world.repo.comments(number).await.unwrap();
    assert_eq!(comments.len(), 207);
    assert_eq!(comments.iter().filter(|comment| comment.author_is_own).count(), 2);
}

#[tokio::test]
async fn a_comment_is_changed_reacted_to_folded_and_missed_when_deleted() {
    let world = World::start().await;
    let number = world.issue();
    let CreatedComment { id, node } = world.repo.create_comment(number, "one").await.unwrap();
    assert_eq!(world.repo.update_comment(id, "two").await, Ok(CommentUpdate::Done));
    world.repo.react(id, Reaction::Rocket).await.unwrap();
    world.repo.react(id, Reaction::Rocket).await.unwrap();
    world.repo.minimise_comment(&node).await.unwrap();
    let seen = world.github.comments(REPO, number).remove(0);
    assert_eq!((seen.body.as_str(), seen.reactions.len()), ("two", 1));
    assert_eq!(seen.minimized.map(|why| why.to_lowercase()).as_deref(), Some("resolved"));
    world.github.as_user(OWNER).delete_comment(REPO, seen.id).unwrap();
    assert_eq!(world.repo.update_comment(id, "three").await, Ok(CommentUpdate::Gone));
    let reacted = world.repo.react(CommentId(1), Reaction::Eyes).await;
    assert!(matches!(reacted, Err(GitHubError::NotFound { .. })), "{reacted:?}");
}

#[tokio::test]
async fn a_comment_that_is_too_long_is_refused_in_githubs_words() {
    let world = World::start().await;
    let number = world.issue();
    let refused = world.repo.create_comment(number, &"x".repeat(65_537)).await.unwrap_err();
    let GitHubError::Refused { status: 422, message } = refused else { panic!("{refused}") };
    assert!(message.contains("65536"), "{message}");
    assert!(world.github.comments(REPO, number).is_empty());
}

#[tokio::test]
async fn labels_are_made_put_on_and_taken_off() {
    let world = World::start().await;
    let number = world.issue();
    for _ in 0..2 {
        world.repo.ensure_label("baton:waiting", "fbca04", "A person has to act").await.unwrap();
        world.repo.add_labels(number, &["baton:waiting".to_owned()]).await.unwrap();
    }
    assert_eq!(world.repo.labels(number).await.unwrap(), ["baton:waiting"]);
    for _ in 0..2 {
        world.repo.remove_label(number, "baton:waiting").await.unwrap();
    }
    assert_eq!(world.repo.labels(number).await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn an_issue_of_its_own_is_found_by_marker() {
    let world = World::start().await;
    let marker = "<!-- baton:audit:7:0 -->";
    world.github.as_user(OWNER).open_issue(REPO, "Forged", marker).unwrap();
    assert_eq!(world.repo.find_issue_by_marker(marker).await, Ok(None));
    let made = world.repo.create_issue("Leak\nin the tap", marker).await.unwrap();
    assert_eq!(world.repo.find_issue_by_marker(marker).await, Ok(Some(made)));
    assert_eq!(world.github.issue(REPO, made).unwrap().title, "Leak in the tap");
}
