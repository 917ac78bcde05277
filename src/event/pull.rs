//! `pull_request`: opened, moved, merged, closed, reopened, labelled.

use super::{
    dedup,
    delivery::Delivery,
    payload::Pull,
    thread,
    verdict::{ParseError, Verdict},
};
use crate::model::{NewEvent, RepositoryId, Sha, Subject, What};

/// Reads a `pull_request` delivery.
pub(super) fn pull_request(delivery: &Delivery<'_>) -> Result<Verdict, ParseError> {
    let pull = delivery.payload.pull_request.as_ref();
    let pull = pull.ok_or(ParseError::Missing("pull_request"))?;
    let repository = delivery.repository()?;
    let event = match delivery.action() {
        "opened" => {
            let key = dedup::pull_opened(repository, pull.number);
            happened(delivery, pull, key, What::PullOpened { head: head(pull)? })?
        }
        "synchronize" => moved(delivery, pull, repository)?,
        "closed" => closed(delivery, pull, repository)?,
        "reopened" => {
            let key = dedup::pull_reopened(repository, pull.number, delivery.at(pull.updated_at));
            happened(delivery, pull, key, What::PullReopened)?
        }
        "labeled" | "unlabeled" => {
            let subject = Subject::Pull(pull.number);
            return thread::label(delivery, subject, pull.number, pull.updated_at);
        }
        _ => return Ok(delivery.other_action("pull_request")),
    };
    Ok(Verdict::Events(vec![event]))
}

fn happened(
    delivery: &Delivery<'_>,
    pull: &Pull,
    key: String,
    what: What,
) -> Result<NewEvent, ParseError> {
    delivery.event(delivery.at(pull.updated_at), Subject::Pull(pull.number), key, what)
}

fn moved(
    delivery: &Delivery<'_>,
    pull: &Pull,
    repository: RepositoryId,
) -> Result<NewEvent, ParseError> {
    let head = match &delivery.payload.after {
        Some(after) => sha(after, "after")?,
        None => head(pull)?,
    };
    let key = dedup::pull_updated(repository, pull.number, &head, delivery.at(pull.updated_at));
    happened(delivery, pull, key, What::PullUpdated { head })
}

fn closed(
    delivery: &Delivery<'_>,
    pull: &Pull,
    repository: RepositoryId,
) -> Result<NewEvent, ParseError> {
    let (key, what) = if pull.merged == Some(true) || pull.merged_at.is_some() {
        const FIELD: &str = "pull_request.merge_commit_sha";
        let commit = pull.merge_commit_sha.as_deref().ok_or(ParseError::Missing(FIELD))?;
        let commit = sha(commit, FIELD)?;
        (dedup::pull_merged(repository, pull.number, &commit), What::PullMerged { commit })
    } else {
        let closed_at = delivery.at(pull.closed_at.or(pull.updated_at));
        (dedup::pull_closed(repository, pull.number, closed_at), What::PullClosed)
    };
    let at = delivery.at(pull.merged_at.or(pull.closed_at));
    delivery.event(at, Subject::Pull(pull.number), key, what)
}

fn head(pull: &Pull) -> Result<Sha, ParseError> {
    const FIELD: &str = "pull_request.head.sha";
    let head = pull.head.as_ref().and_then(|head| head.sha.as_deref());
    sha(head.ok_or(ParseError::Missing(FIELD))?, FIELD)
}

fn sha(text: &str, field: &'static str) -> Result<Sha, ParseError> {
    Sha::new(text).map_err(ParseError::invalid(field))
}
