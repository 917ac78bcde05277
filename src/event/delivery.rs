//! A delivery on its way to a verdict, and what each event reads of it.

use super::{
    payload::{Payload, Repository},
    verdict::{DeliveryHeaders, Identity, IgnoreReason, ParseError, Verdict},
};
use crate::model::{
    Actor, Cause, NewEvent, RepositoryId, RepositoryName, Subject, Timestamp, What,
};

/// A delivery on its way to a verdict.
pub(super) struct Delivery<'a> {
    pub identity: &'a Identity,
    pub headers: &'a DeliveryHeaders,
    pub payload: &'a Payload,
    pub actor: Actor,
}

impl Delivery<'_> {
    /// The payload's action; empty where there is none.
    pub fn action(&self) -> &str {
        self.payload.action.as_deref().unwrap_or_default()
    }

    /// The verdict on an action that means nothing here.
    pub fn other_action(&self, event: &'static str) -> Verdict {
        let action = self.payload.action.clone();
        Verdict::Ignored(IgnoreReason::Action { event, action })
    }

    /// The id of the repository that the delivery is about.
    pub fn repository(&self) -> Result<RepositoryId, ParseError> {
        let repository = self.payload.repository.as_ref();
        Ok(repository.ok_or(ParseError::Missing("repository"))?.id)
    }

    /// That moment, or that of the arrival where the payload has none.
    pub fn at(&self, moment: Option<Timestamp>) -> Timestamp {
        moment.unwrap_or(self.headers.received_at)
    }

    /// An event of the delivery's own repository, by its sender.
    pub fn event(
        &self,
        at: Timestamp,
        subject: Subject,
        dedup_key: String,
        what: What,
    ) -> Result<NewEvent, ParseError> {
        Ok(self.event_in(self.repository()?, at, subject, dedup_key, what))
    }

    /// An event of some repository, by the delivery's sender.
    pub fn event_in(
        &self,
        repository: RepositoryId,
        at: Timestamp,
        subject: Subject,
        dedup_key: String,
        what: What,
    ) -> NewEvent {
        let cause = Cause::Delivery { guid: self.headers.guid };
        NewEvent { at, repository, subject, actor: self.actor.clone(), cause, dedup_key, what }
    }
}

/// Reads a repository's `full_name`.
pub(super) fn name(repository: &Repository) -> Result<RepositoryName, ParseError> {
    const FIELD: &str = "repository.full_name";
    let name = repository.full_name.clone().ok_or(ParseError::Missing(FIELD))?;
    RepositoryName::try_from(name).map_err(ParseError::invalid(FIELD))
}
