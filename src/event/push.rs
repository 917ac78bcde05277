//! `push` and `delete`: what happens to branches.

use super::{
    dedup,
    delivery::Delivery,
    payload::{Commit, Payload},
    verdict::{IgnoreReason, ParseError, Verdict},
};
use crate::model::{BranchName, Subject, What};

/// Where a repository's policy is.
const POLICY: &str = ".github/baton.yml";

/// GitHub lists no more commits of one push than this (its documentation of `push`).
const MOST_COMMITS: usize = 2048;

/// A push counts where it may have changed the policy on the default branch.
pub(super) fn push(delivery: &Delivery<'_>) -> Result<Verdict, ParseError> {
    let payload = delivery.payload;
    let repository = payload.repository.as_ref().ok_or(ParseError::Missing("repository"))?;
    let reference = payload.reference.as_deref().ok_or(ParseError::Missing("ref"))?;
    let branch = reference.strip_prefix("refs/heads/");
    if branch.is_none() || branch != repository.default_branch.as_deref() {
        return Ok(Verdict::Ignored(IgnoreReason::NotDefaultBranch));
    }
    if !may_touch_policy(payload) {
        return Ok(Verdict::Ignored(IgnoreReason::PolicyUntouched));
    }
    let at = delivery.at(repository.pushed_at);
    let after = payload.after.as_deref().unwrap_or_default();
    let key = dedup::policy_pushed(repository.id, after, at);
    let event = delivery.event(at, Subject::Repository, key, What::PolicyChanged)?;
    Ok(Verdict::Events(vec![event]))
}

/// A forced push can take commits away, and a long one lists not all: then the file is read anew.
fn may_touch_policy(payload: &Payload) -> bool {
    let commits = payload.commits.as_deref().unwrap_or_default();
    payload.forced == Some(true) || commits.len() >= MOST_COMMITS || commits.iter().any(touches)
}

fn touches(commit: &Commit) -> bool {
    [&commit.added, &commit.removed, &commit.modified]
        .into_iter()
        .flatten()
        .flatten()
        .any(|path| path == POLICY)
}

/// A branch was deleted.
pub(super) fn delete(delivery: &Delivery<'_>) -> Result<Verdict, ParseError> {
    let payload = delivery.payload;
    let repository = payload.repository.as_ref().ok_or(ParseError::Missing("repository"))?;
    if payload.ref_type.as_deref() != Some("branch") {
        return Ok(Verdict::Ignored(IgnoreReason::NotABranch));
    }
    let name = payload.reference.as_deref().ok_or(ParseError::Missing("ref"))?;
    let Ok(branch) = BranchName::new(name) else {
        return Ok(Verdict::Ignored(IgnoreReason::UnusableBranchName));
    };
    let at = delivery.at(repository.pushed_at);
    let key = dedup::branch_deleted(repository.id, &branch, at);
    let event = delivery.event(at, Subject::Branch(branch), key, What::BranchDeleted)?;
    Ok(Verdict::Events(vec![event]))
}
