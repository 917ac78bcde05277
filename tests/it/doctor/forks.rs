//! Forks that policies name: each thing that keeps pushes from one is told, with what to do.

use baton::{
    db::{installations, repositories},
    model::*,
};
use emulators::github::{RepoHandle, RepositoryOptions};
use sqlx::PgPool;

use super::bench::Bench;

const FORK: &str = "friends/work";

/// Enters a repository whose policy sends branches to the fork.
async fn enter(pool: &PgPool, made: &RepoHandle) {
    let repository = Repository {
        id: RepositoryId(i64::try_from(made.id).unwrap()),
        name: RepositoryName::new(&made.owner, &made.name).unwrap(),
        ..crate::support::play::situation().repository
    };
    let account = Login::new(&made.owner).unwrap();
    installations::upsert(pool, repository.installation, ActorId(3), &account).await.unwrap();
    repositories::upsert(pool, &repository).await.unwrap();
    let fork = RepositoryName::try_from(FORK.to_owned()).unwrap();
    let policy = Policy { push: Some(PushPolicy::Fork(fork)), ..Policy::default() };
    let sha = Sha::new("a".repeat(40)).unwrap();
    repositories::set_policy(pool, repository.id, &sha, &policy).await.unwrap();
}

#[tokio::test]
async fn a_fork_that_cannot_be_pushed_to_is_told_before_any_task_needs_it() {
    let mut bench = Bench::new().await;
    let database = bench.use_database().await;
    let looked = bench.look().await;
    assert!(!looked.failing().contains(&"forks".to_owned()), "no policy names one");
    let github = &bench.world.github;
    let files: [(&str, &[u8], bool); 1] = [("README.md", b"words\n", false)];
    let options = RepositoryOptions::default();
    let made = github.add_repository("acme", "second", &files, options).unwrap();
    enter(&database.pool, &made).await;
    github.add_organization("friends");
    github.add_repository("friends", "work", &files, options).unwrap();
    let told = bench.look().await.fails("forks");
    assert!(
        told.contains("install the App on it") && told.contains("/installations/new"),
        "{told}"
    );
    let installation = github.install("friends", &["work"]).unwrap();
    assert!(bench.look().await.fails("forks").contains("it is no fork of acme/second"));
    github.delete_repository(FORK).unwrap();
    github.add_fork("friends", "work", "acme/second").unwrap();
    github.install("friends", &["work"]).unwrap();
    github.archive(FORK, true).unwrap();
    assert!(bench.look().await.fails("forks").contains("unarchive it"));
    github.archive(FORK, false).unwrap();
    github.suspend(installation, true);
    assert!(bench.look().await.fails("forks").contains("unsuspend the App"));
    github.suspend(installation, false);
    let looked = bench.look().await;
    looked.holds("forks");
    assert!(looked.row("forks").contains("acme/second pushes to friends/work"), "{looked:?}");
    bench.end().await;
}
