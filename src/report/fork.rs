//! Why a fork cannot be pushed to, and who mends it how.

use crate::model::{ForkProblem, RepositoryName, Situation};

use super::commands::typed;
use super::quote::code;

/// What is wrong with the fork, and what continues: two sentences in Markdown. The commit is kept, so that
/// no agent runs again.
pub(super) fn fork_refused(
    situation: &Situation,
    name: &RepositoryName,
    problem: ForkProblem,
) -> (String, String) {
    let fork = code(&name.to_string());
    let upstream = &situation.repository.name;
    let app = code(&situation.slug);
    let retry = format!("then {} pushes the same commit", typed(situation, "retry"));
    match problem {
        ForkProblem::NotInstalled => (
            format!(
                "`.github/baton.yml` says `push: fork`, and the App {app} is not installed on {fork}, or there \
                 is no such repository."
            ),
            format!(
                "make the fork if it is not there (*Fork* on the page of `{upstream}`), install {app} on it, \
                 {retry}. {}",
                otherwise()
            ),
        ),
        ForkProblem::Suspended => (
            format!("The App {app} is suspended on the account of {fork}."),
            format!(
                "end that in the account's settings under installed Apps, {retry}. {}",
                otherwise()
            ),
        ),
        ForkProblem::ReadOnly => (
            format!("The App {app} may not write the contents of {fork}."),
            format!(
                "accept the App's permissions in the settings of `{}` under installed Apps, {retry}.",
                name.owner()
            ),
        ),
        ForkProblem::NoFork => (
            format!("{fork} is no fork of `{upstream}`, so nothing was pushed there."),
            format!(
                "put a fork of `{upstream}` in its place, {retry}; or name another under `fork` in \
                 `.github/baton.yml` and begin a new task."
            ),
        ),
        ForkProblem::Archived => (
            format!("{fork} is archived: nothing can be pushed there."),
            format!("unarchive it in its settings, {retry}. {}", otherwise()),
        ),
        ForkProblem::Hidden => (
            format!(
                "{fork} is private and in another account than `{upstream}`, so GitHub opens no pull request \
                 from it."
            ),
            format!(
                "name a fork in the account of `{upstream}` under `fork` in `.github/baton.yml`, then take the label \
                 off and put it on again."
            ),
        ),
        ForkProblem::Behind => (
            format!(
                "{fork} lacks workflows that `{upstream}` has, and GitHub lets no App without the permission for \
                 workflows bring them there."
            ),
            format!("press *Sync fork* on the page of {fork}, {retry}."),
        ),
    }
}

/// The way without the fork. A task keeps the policy that it began with.
fn otherwise() -> &'static str {
    "Or change `push` in `.github/baton.yml` and begin a new task."
}
