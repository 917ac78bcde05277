//! A story whose branches go to a fork: how it begins, and what must hold at its end.

use baton::cli::demo::world::{REPOSITORY, Recipe};
use emulators::github::GitHub;

/// Whose fork it is.
pub const FRIENDS: &str = "friends";
/// The fork.
pub const FORK: &str = "friends/files-work";

/// Lets the sample's policy send branches to the fork.
pub fn to_fork(recipe: &mut Recipe) {
    to(recipe, FORK);
}

/// The same with another fork.
pub fn to(recipe: &mut Recipe, fork: &str) {
    let policy = recipe.files.iter_mut().find(|(path, ..)| path == ".github/baton.yml").unwrap();
    policy.1.push_str(&format!("push: fork\nfork: {fork}\n"));
}

/// Makes the fork and installs the App on it; gives the installation.
pub fn make_fork(github: &GitHub) -> u64 {
    github.add_organization(FRIENDS);
    github.add_fork(FRIENDS, "files-work", REPOSITORY).unwrap();
    github.install(FRIENDS, &["files-work"]).unwrap()
}

/// Baton's branches in a repository.
pub fn branches(github: &GitHub, repository: &str) -> Vec<String> {
    let branches = github.branches(repository).into_iter();
    branches.filter(|branch| branch.starts_with("baton/")).collect()
}

/// A branch of Baton's outside of the fork, and tokens that were used where they are not meant to be: that of
/// the fork's installation in the fork alone, no other there, and only a narrow one for pushing.
pub fn wrong(github: &GitHub, fork: u64) -> Vec<String> {
    let mut wrong = branches(github, REPOSITORY);
    for used in github.token_uses() {
        let in_fork = is_of(&used.path, FORK);
        let pushes = used.path.ends_with("/git-receive-pack");
        let is_narrow = used.repositories.as_ref().is_some_and(|only| only.len() == 1);
        if in_fork != (used.installation == fork) || pushes && !(in_fork && is_narrow) {
            wrong.push(format!("{used:?}"));
        }
    }
    wrong
}

/// Whether a path of the API or of git is a repository's.
fn is_of(path: &str, repository: &str) -> bool {
    let path = path.strip_prefix("/repos/").unwrap_or(&path[1..]);
    path.strip_prefix(repository)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '.']))
}
