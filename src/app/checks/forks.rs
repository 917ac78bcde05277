//! The forks that policies name: whether each can be pushed to.

use sqlx::PgPool;

use super::Check;
use crate::{
    db::repositories,
    github::{App, GitHubError},
    model::{ForkProblem, Repository, RepositoryName},
};

/// A repository whose branches go to a fork, and that fork.
pub(super) type Forked = (Repository, RepositoryName);

/// The forks by the policies that hold now.
pub(super) async fn named(pool: &PgPool) -> anyhow::Result<Vec<Forked>> {
    let mut named = Vec::new();
    for repository in repositories::list_active(pool).await? {
        let policy = repositories::policy(pool, repository.id).await?;
        if let Some(fork) = policy.as_ref().and_then(|(_, policy)| policy.fork()) {
            named.push((repository, fork.clone()));
        }
    }
    Ok(named)
}

/// Looks at each fork, as a push does.
pub(super) async fn all(
    app: &App,
    install_url: &str,
    named: &[Forked],
) -> Result<Check, GitHubError> {
    const NAME: &str = "forks";
    let mut todo = Vec::new();
    for (repository, fork) in named {
        if let Err(problem) = app.fork(fork, repository).await? {
            todo.push(format!("{fork}: {}", remedy(problem, &repository.name, install_url)));
        }
    }
    let pairs =
        named.iter().map(|(repository, fork)| format!("{} pushes to {fork}", repository.name));
    let seen = pairs.collect::<Vec<_>>().join("\n");
    if todo.is_empty() {
        return Ok(Check::holds(NAME, seen));
    }
    Ok(Check::fails(NAME, seen, todo.join("\n")))
}

fn remedy(problem: ForkProblem, of: &RepositoryName, install_url: &str) -> String {
    match problem {
        ForkProblem::NotInstalled => {
            format!(
                "make it a fork of {of} if it is not there, and install the App on it: {install_url}"
            )
        }
        ForkProblem::Suspended => {
            "unsuspend the App in that account's settings, under installed Apps".to_owned()
        }
        ForkProblem::ReadOnly => {
            "accept the App's permissions in that account's settings, under installed Apps"
                .to_owned()
        }
        ForkProblem::NoFork => format!("it is no fork of {of}: name one under fork in its policy"),
        ForkProblem::Archived => "unarchive it in its settings".to_owned(),
        ForkProblem::Hidden => {
            format!("it is private and in another account: use a fork in the account of {of}")
        }
        ForkProblem::Behind => "press Sync fork on its page".to_owned(),
    }
}
