//! Keys by which the same fact, told twice, is one event.
//!
//! A fact is told twice when GitHub sends two deliveries for it, or when a sweep reads it from the
//! API after all. A real repetition (labelled, unlabelled, labelled again) must have another key,
//! so most keys hold the time at which the object last changed. GitHub's times have whole seconds:
//! a repetition within the second in which the first happened counts as the same fact.
//!
//! A sweep knows the same times (`updated_at`, `closed_at`) from the REST answer. Where the object
//! has changed again since the fact, the sweep's `updated_at` is later and its key another: so a
//! sweep must only report what differs from what Baton has stored, and deciding must bear being
//! told a fact that it already knows.

use crate::model::{BranchName, CommentId, DeliveryGuid, RepositoryId, Sha, Timestamp};

/// A label was put on an issue or pull request; `updated_at` is that of the issue.
#[must_use]
pub fn labelled(
    repository: RepositoryId,
    number: u64,
    label: &str,
    updated_at: Timestamp,
) -> String {
    format!("issues:{repository}:{number}:labeled:{}:{}", lower(label), seconds(updated_at))
}

/// A label came off.
#[must_use]
pub fn unlabelled(
    repository: RepositoryId,
    number: u64,
    label: &str,
    updated_at: Timestamp,
) -> String {
    format!("issues:{repository}:{number}:unlabeled:{}:{}", lower(label), seconds(updated_at))
}

/// Title or text of an issue changed.
#[must_use]
pub fn issue_edited(repository: RepositoryId, number: u64, updated_at: Timestamp) -> String {
    format!("issues:{repository}:{number}:edited:{}", seconds(updated_at))
}

/// An issue was closed; `closed_at` is that of the issue.
#[must_use]
pub fn issue_closed(repository: RepositoryId, number: u64, closed_at: Timestamp) -> String {
    format!("issues:{repository}:{number}:closed:{}", seconds(closed_at))
}

/// An issue was opened again.
#[must_use]
pub fn issue_reopened(repository: RepositoryId, number: u64, updated_at: Timestamp) -> String {
    format!("issues:{repository}:{number}:reopened:{}", seconds(updated_at))
}

/// An issue is gone: deleted, or moved to another repository. That happens once.
#[must_use]
pub fn issue_gone(repository: RepositoryId, number: u64) -> String {
    format!("issues:{repository}:{number}:gone")
}

/// The command at `index` (from 0) among those of an issue comment.
#[must_use]
pub fn comment_command(comment: CommentId, updated_at: Timestamp, index: usize) -> String {
    format!("comment:{comment}:{}:{index}", seconds(updated_at))
}

/// The command at `index` of a remark on a line of a diff.
#[must_use]
pub fn review_comment_command(comment: CommentId, updated_at: Timestamp, index: usize) -> String {
    format!("review-comment:{comment}:{}:{index}", seconds(updated_at))
}

/// The command at `index` of a review's text.
#[must_use]
pub fn review_command(review: i64, at: Timestamp, index: usize) -> String {
    format!("review:{review}:{}:{index}", seconds(at))
}

/// A pull request was opened. That happens once.
#[must_use]
pub fn pull_opened(repository: RepositoryId, number: u64) -> String {
    format!("pull:{repository}:{number}:opened")
}

/// The head of a pull request moved; it can come back to a commit that it had before.
#[must_use]
pub fn pull_updated(
    repository: RepositoryId,
    number: u64,
    head: &Sha,
    updated_at: Timestamp,
) -> String {
    format!("pull:{repository}:{number}:synchronize:{head}:{}", seconds(updated_at))
}

/// A pull request was merged; `commit` is what the base branch got. That happens once.
#[must_use]
pub fn pull_merged(repository: RepositoryId, number: u64, commit: &Sha) -> String {
    format!("pull:{repository}:{number}:merged:{commit}")
}

/// A pull request was closed unmerged.
#[must_use]
pub fn pull_closed(repository: RepositoryId, number: u64, closed_at: Timestamp) -> String {
    format!("pull:{repository}:{number}:closed:{}", seconds(closed_at))
}

/// A pull request was opened again.
#[must_use]
pub fn pull_reopened(repository: RepositoryId, number: u64, updated_at: Timestamp) -> String {
    format!("pull:{repository}:{number}:reopened:{}", seconds(updated_at))
}

/// A branch was deleted; `pushed_at` is that of the repository.
#[must_use]
pub fn branch_deleted(
    repository: RepositoryId,
    branch: &BranchName,
    pushed_at: Timestamp,
) -> String {
    format!("branch:{repository}:{branch}:deleted:{}", seconds(pushed_at))
}

/// A push changed the policy; `after` is the branch's new commit, `pushed_at` the repository's.
#[must_use]
pub fn policy_pushed(repository: RepositoryId, after: &str, pushed_at: Timestamp) -> String {
    format!("push:{repository}:{after}:policy:{}", seconds(pushed_at))
}

/// The fact at `index` of a delivery whose payload has no time to tell repetitions apart.
///
/// Only for facts that may be told twice without harm: that a repository came or went.
#[must_use]
pub fn by_delivery(guid: DeliveryGuid, index: usize) -> String {
    format!("delivery:{guid}:{index}")
}

/// Labels are the same whatever their case.
fn lower(label: &str) -> String {
    label.to_lowercase()
}

fn seconds(at: Timestamp) -> i64 {
    at.timestamp()
}
