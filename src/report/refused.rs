//! Why a change is not let out, in words.

use crate::model::{Refusal, Situation, Untrusted};

use super::commands::typed;
use super::fork::fork_refused;
use super::quote::{code, line};

/// What was refused, and what continues: two sentences in Markdown.
#[must_use]
pub fn refused(situation: &Situation, refusal: &Refusal) -> (String, String) {
    let retry = typed(situation, "retry");
    let again =
        format!("{retry} lets the coder try again; or make that part of the change yourself.");
    let says = |text: &str| line(&Untrusted::from(text), 600);
    match refusal {
        Refusal::ProtectedPath(path) => (
            format!("The change touches {}, which `protected` keeps from agents.", code(path)),
            format!("{again} What is protected stands in `.github/baton.yml`."),
        ),
        Refusal::Workflows(path) => (
            format!(
                "The change touches {}; Baton asks GitHub for no permission to change workflows.",
                code(path)
            ),
            again,
        ),
        Refusal::TooLarge { what } => (
            format!("The change is too large: {}.", says(what)),
            format!("{retry} lets the coder try again; or part the issue into smaller ones."),
        ),
        Refusal::Secret { path } => (
            format!("Something in {} looks like a secret.", code(path)),
            format!("{retry} lets the coder make the change again without it."),
        ),
        Refusal::Submodule(path) => {
            (format!("The change adds or moves the submodule {}.", code(path)), again)
        }
        Refusal::Symlink(path) => {
            (format!("The change adds or changes the symbolic link {}.", code(path)), again)
        }
        Refusal::ForeignAuthor { commit } => (
            format!("Commit `{commit}` is not by Baton's own account, as author and committer."),
            format!("{retry} lets the coder make the change again."),
        ),
        Refusal::NoTrailer { commit } => (
            format!("Commit `{commit}` does not say which task and agent it is of."),
            format!("{retry} lets the coder make the change again, with the trailers that say so."),
        ),
        Refusal::Nothing => (
            "The coder committed nothing; its reasons are in the log of its agent.".to_owned(),
            format!("say on the issue what is missing, then {retry} tries again."),
        ),
        Refusal::BranchMoved => (
            "The branch holds commits that are not Baton's, so it was left as it is.".to_owned(),
            format!(
                "finish it yourself from there; or take those commits off the branch, then {retry}."
            ),
        ),
        Refusal::Fork { name, problem } => fork_refused(situation, name, *problem),
        Refusal::GitHub(words) => (
            format!("GitHub refused the push: {}", says(words)),
            format!("{retry} tries again once the cause is gone."),
        ),
    }
}
