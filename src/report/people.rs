//! Whom and what a text names, and whom it mentions.

use crate::model::{ActorId, BranchName, CancelledBy, Person, Situation};

use super::quote::code;

/// Who has to act: a mention of whoever asked for the task, else words.
#[must_use]
pub fn who_acts(situation: &Situation) -> String {
    let person = situation.task.as_ref().and_then(|task| task.requested_by.as_ref());
    match person {
        Some(person) if !person.login.as_str().ends_with("[bot]") => format!("@{}", person.login),
        Some(_) | None => "a person with write access".to_owned(),
    }
}

/// Who ended something, without a mention.
#[must_use]
pub fn ended_by(situation: &Situation, by: &CancelledBy) -> String {
    match by {
        CancelledBy::Person(id) => login_of(situation, *id),
        CancelledBy::Operator => "whoever runs this server".to_owned(),
        CancelledBy::Shutdown => "a restart of Baton".to_owned(),
        CancelledBy::Superseded => "something newer".to_owned(),
    }
}

/// The login of an account that the task knows; `a person` where it does not.
#[must_use]
pub fn login_of(situation: &Situation, id: ActorId) -> String {
    let asked = situation.task.iter().filter_map(|task| task.requested_by.as_ref());
    let approved = situation.approvals.iter().map(|approval| &approval.actor);
    let known: Option<&Person> = asked.chain(approved).find(|person| person.id == id);
    known.map_or_else(|| "a person".to_owned(), |person| person.login.to_string())
}

/// The task's branch, and the fork that it is in where it is in one.
#[must_use]
pub fn branch_name(situation: &Situation, branch: &BranchName) -> String {
    let branch = code(branch.as_str());
    match situation.policy.fork() {
        Some(fork) => format!("{branch} of {}", code(&fork.to_string())),
        None => branch,
    }
}

/// The pull request as GitHub links it: `#482`.
#[must_use]
pub fn pull_name(situation: &Situation) -> String {
    let pull = situation.task.as_ref().and_then(|task| task.pull);
    pull.map_or_else(|| "the pull request".to_owned(), |pull| format!("#{pull}"))
}
