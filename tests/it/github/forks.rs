//! Forks: when one can be pushed to, and pull requests that come from it.

use baton::github::Access;
use baton::model::{ForkProblem, Repository, RepositoryId, RepositoryName};
use emulators::github::{GitHub, RepositoryOptions};

use super::emulated::{OWNER, REPO, World, branch};

const FORK: &str = "friends/work";

fn name() -> RepositoryName {
    RepositoryName::try_from(FORK.to_owned()).unwrap()
}

/// The world with a fork in another account, where the App is not installed.
async fn forked() -> World {
    let world = World::start().await;
    world.github.add_organization("friends");
    world.github.add_fork("friends", "work", REPO).unwrap();
    world
}

fn install(github: &GitHub) -> u64 {
    github.install("friends", &["work"]).unwrap()
}

async fn problem(world: &World) -> Option<ForkProblem> {
    world.app.fork(&name(), &world.repository).await.unwrap().err()
}

#[tokio::test]
async fn a_fork_is_looked_at_anew_and_what_is_wrong_with_it_is_named() {
    let world = forked().await;
    assert_eq!(problem(&world).await, Some(ForkProblem::NotInstalled));
    let installation = install(&world.github);
    assert_eq!(problem(&world).await, None);
    world.github.archive(FORK, true).unwrap();
    assert_eq!(problem(&world).await, Some(ForkProblem::Archived));
    world.github.archive(FORK, false).unwrap();
    world.github.suspend(installation, true);
    assert_eq!(problem(&world).await, Some(ForkProblem::Suspended));
    world.github.suspend(installation, false);
    world.github.set_permissions(installation, &[("contents", "read"), ("metadata", "read")]);
    assert_eq!(problem(&world).await, Some(ForkProblem::ReadOnly));
    world.github.set_permissions(installation, &[("contents", "write"), ("metadata", "read")]);
    assert_eq!(problem(&world).await, None);
    let other = Repository { id: RepositoryId(1), ..world.repository.clone() };
    let other = world.app.fork(&name(), &other).await.unwrap().err();
    assert_eq!(other, Some(ForkProblem::NoFork), "a fork, and of another repository");
    let itself = RepositoryName::try_from(REPO.to_owned()).unwrap();
    let itself = world.app.fork(&itself, &world.repository).await.unwrap().err();
    assert_eq!(itself, Some(ForkProblem::NoFork));
}

#[tokio::test]
async fn a_fork_of_a_fork_is_one_and_its_token_reaches_it_alone() {
    let world = forked().await;
    world.github.add_user("tom");
    let again = world.github.add_fork("tom", "again", FORK).unwrap();
    let installation = world.github.install("tom", &["again"]).unwrap();
    let again_name = RepositoryName::new("tom", "again").unwrap();
    let fork = world.app.fork(&again_name, &world.repository).await.unwrap().unwrap();
    assert_eq!(fork.git_url(), format!("{}/tom/again.git", world.github.api_url()));
    fork.git_token(Access::Write).await.unwrap();
    let path = format!("/app/installations/{installation}/access_tokens");
    let minted = world.github.requests().into_iter().rfind(|asked| asked.path == path).unwrap();
    let asked = minted.body.unwrap();
    assert_eq!(asked["repository_ids"], serde_json::json!([again.id]));
    assert_eq!(asked["permissions"], serde_json::json!({ "contents": "write" }));
}

#[tokio::test]
async fn a_pull_request_from_a_fork_is_opened_and_found_by_its_repository() {
    let world = forked().await;
    install(&world.github);
    let fork = world.app.fork(&name(), &world.repository).await.unwrap().unwrap();
    let (from, to) = (branch("baton/1-fix"), branch("main"));
    let files: [(&str, &[u8], bool); 1] = [("src/lib.rs", b"one\nTWO\nthree\n", false)];
    let owner = world.github.as_user(OWNER);
    let head = owner.push_files(FORK, from.as_str(), &files, "change").unwrap();
    assert_eq!(world.repo.find_pull(&fork, &from).await, Ok(None));
    let created = world.repo.create_pull("Fix", "text", &fork, &from, &to, true).await.unwrap();
    let found = world.repo.find_pull(&fork, &from).await.unwrap().unwrap();
    assert_eq!((found.number, found.head.as_str()), (created.number, head.as_str()));
    assert_eq!(found.branch, None, "it is in another repository");
    // A branch of that name in the repository itself is another.
    world.push("baton/1-fix", "other\n");
    assert_eq!(world.repo.find_pull(&world.repo, &from).await, Ok(None));
}

#[tokio::test]
async fn a_private_fork_is_seen_by_the_token_that_opens_the_pull_request_and_by_no_other() {
    let world = World::with(RepositoryOptions { private: true, drafts: true }).await;
    world.github.add_organization("friends");
    world.github.add_fork("friends", "work", REPO).unwrap();
    install(&world.github);
    assert_eq!(problem(&world).await, Some(ForkProblem::Hidden), "another account's");
    let made = world.github.add_fork(OWNER, "work", REPO).unwrap();
    world.github.install(OWNER, &["work"]).unwrap();
    let own = RepositoryName::new(OWNER, "work").unwrap();
    let fork = world.app.fork(&own, &world.repository).await.unwrap().unwrap();
    let (from, to) = (branch("baton/1-fix"), branch("main"));
    let files: [(&str, &[u8], bool); 1] = [("src/lib.rs", b"one\nTWO\nthree\n", false)];
    world.github.as_user(OWNER).push_files("octo/work", from.as_str(), &files, "change").unwrap();
    world.repo.create_pull("Fix", "text", &fork, &from, &to, true).await.unwrap();
    let both = Some(vec![u64::try_from(world.repository.id.0).unwrap(), made.id]);
    let uses = world.github.token_uses();
    let wide: Vec<_> = uses.iter().filter(|used| used.repositories == both).collect();
    assert_eq!(wide.len(), 1, "{uses:#?}");
    assert_eq!(wide[0].path, format!("/repos/{REPO}/pulls"));
}
