//! `installation`, `installation_repositories` and `repository`: what Baton is installed on.

use super::{
    dedup,
    delivery::{Delivery, name},
    payload::Repository,
    verdict::{IgnoreReason, InstallationState, ListedRepository, ParseError, Parsed, Verdict},
};
use crate::model::{NewEvent, Subject, What};

/// The App was installed, suspended, taken up again or deleted.
pub(super) fn installation(
    delivery: &Delivery<'_>,
    parsed: &mut Parsed,
) -> Result<Verdict, ParseError> {
    let (state, what) = match delivery.action() {
        "created" | "unsuspend" => (InstallationState::Active, What::RepositoryAdded),
        "suspend" => (InstallationState::Suspended, What::RepositoryRemoved),
        "deleted" => (InstallationState::Deleted, What::RepositoryRemoved),
        _ => return Ok(delivery.other_action("installation")),
    };
    if let Some(installation) = &mut parsed.installation {
        installation.state = Some(state);
    }
    let repositories = delivery.payload.repositories.as_deref().unwrap_or_default();
    let mut events = Vec::new();
    list(delivery, parsed, repositories, &what, &mut events)?;
    Ok(some(events))
}

/// Repositories came into or left the installation.
pub(super) fn repositories(
    delivery: &Delivery<'_>,
    parsed: &mut Parsed,
) -> Result<Verdict, ParseError> {
    if !matches!(delivery.action(), "added" | "removed") {
        return Ok(delivery.other_action("installation_repositories"));
    }
    let added = delivery.payload.repositories_added.as_deref().unwrap_or_default();
    let removed = delivery.payload.repositories_removed.as_deref().unwrap_or_default();
    let mut events = Vec::new();
    list(delivery, parsed, removed, &What::RepositoryRemoved, &mut events)?;
    list(delivery, parsed, added, &What::RepositoryAdded, &mut events)?;
    Ok(some(events))
}

/// A repository was renamed, moved or deleted, or has another default branch.
pub(super) fn repository(delivery: &Delivery<'_>) -> Result<Verdict, ParseError> {
    let new_default = || {
        let changes = delivery.payload.changes.as_ref();
        changes.is_some_and(|changes| changes.default_branch.is_some())
    };
    let what = match delivery.action() {
        "deleted" => What::RepositoryRemoved,
        "transferred" => What::RepositoryAdded,
        // Policy is read from the default branch.
        "edited" if new_default() => What::PolicyChanged,
        "renamed" => return Ok(Verdict::Ignored(IgnoreReason::RepositoryRenamed)),
        _ => return Ok(delivery.other_action("repository")),
    };
    let key = dedup::by_delivery(delivery.headers.guid, 0);
    let event = delivery.event(delivery.at(None), Subject::Repository, key, what)?;
    Ok(Verdict::Events(vec![event]))
}

fn list(
    delivery: &Delivery<'_>,
    parsed: &mut Parsed,
    repositories: &[Repository],
    what: &What,
    events: &mut Vec<NewEvent>,
) -> Result<(), ParseError> {
    let installation = delivery.payload.installation.as_ref();
    let installation = installation.ok_or(ParseError::Missing("installation"))?.id;
    for repository in repositories {
        parsed.listed.push(ListedRepository {
            id: repository.id,
            installation,
            name: name(repository)?,
            private: repository.private.unwrap_or(true),
        });
        let key = dedup::by_delivery(delivery.headers.guid, events.len());
        let at = delivery.at(None);
        let subject = Subject::Repository;
        events.push(delivery.event_in(repository.id, at, subject, key, what.clone()));
    }
    Ok(())
}

fn some(events: Vec<NewEvent>) -> Verdict {
    if events.is_empty() {
        return Verdict::Ignored(IgnoreReason::NoRepositories);
    }
    Verdict::Events(events)
}
