//! Shapes of pull requests and reviews.

use serde_json::{Value, json};

use super::diff::FileDiff;
use super::json::{node_id, time};
use super::json_issues::{body_json, reactions_json};
use super::model::{Issue, Mergeable, Pull, Repository, Review, ReviewComment};
use super::state::State;

impl State {
    /// A pull request; `issue` must have its pull side.
    pub(crate) fn pull_json(&self, repository: &Repository, issue: &Issue) -> Value {
        let Some(pull) = &issue.pull else { return Value::Null };
        let full_name = self.full_name(repository);
        let number = issue.number;
        let url = format!("{}/repos/{full_name}/pulls/{number}", self.api_url);
        let issue_url = format!("{}/repos/{full_name}/issues/{number}", self.api_url);
        let html_url = format!("{}/ui/{full_name}/pull/{number}", self.api_url);
        let head_sha = self.shown_head(pull);
        let mut shape = json!({
            "id": pull.id,
            "node_id": node_id("PR", pull.id),
            "url": url,
            "html_url": html_url,
            "diff_url": format!("{html_url}.diff"),
            "patch_url": format!("{html_url}.patch"),
            "issue_url": issue_url,
            "commits_url": format!("{url}/commits"),
            "review_comments_url": format!("{url}/comments"),
            "review_comment_url":
                format!("{}/repos/{full_name}/pulls/comments{{/number}}", self.api_url),
            "comments_url": format!("{issue_url}/comments"),
            "statuses_url": format!("{}/repos/{full_name}/statuses/{head_sha}", self.api_url),
            "head": self.branch_json(pull.head_repository, &pull.head_branch, &head_sha),
            "base": self.branch_json(repository.id, &pull.base_branch, &pull.base_sha),
        });
        let facts = json!({
            "number": number,
            "state": issue.state(),
            "locked": false,
            "active_lock_reason": null,
            "title": issue.title,
            "body": body_json(&issue.body),
            "user": self.user_json(issue.author),
            "labels": self.labels_json(repository, issue),
            "milestone": null,
            "assignee": null,
            "assignees": [],
            "requested_reviewers":
                pull.requested_reviewers.iter().map(|id| self.user_json(*id)).collect::<Vec<_>>(),
            "requested_teams": [],
            "created_at": time(issue.created_at),
            "updated_at": time(issue.updated_at),
            "closed_at": issue.closed.as_ref().map(|closed| time(closed.at)),
            "merged_at": pull.merged.as_ref().map(|merged| time(merged.at)),
            "merge_commit_sha": pull.merged.as_ref().map(|merged| merged.sha.clone()),
            "author_association": self.association(repository, issue.author),
            "auto_merge": null,
            "draft": pull.draft,
        });
        super::json::merge(&mut shape, facts);
        shape["_links"] = pull_links(&shape);
        shape
    }

    /// The pull request's head as the API shows it while a push is still on its way.
    pub(crate) fn shown_head(&self, pull: &Pull) -> String {
        let reference = format!("refs/heads/{}", pull.head_branch);
        let from = self.repositories.get(&pull.head_repository);
        let lagging = from.filter(|from| from.lags.iter().any(|lag| lag.reference == reference));
        let shown = lagging.and_then(|from| self.visible_ref(from, &reference));
        shown.unwrap_or_else(|| pull.head_sha.clone())
    }

    /// What only a pull request asked for by number has: merge state and counts.
    pub(crate) fn pull_details(
        &self,
        issue: &Issue,
        mergeable: Option<bool>,
        commits: usize,
        files: &[FileDiff],
    ) -> Value {
        let Some(pull) = &issue.pull else { return Value::Null };
        let state = match (mergeable, pull.draft) {
            (None, _) => "unknown",
            (Some(false), _) => "dirty",
            (Some(true), true) => "draft",
            (Some(true), false) => "clean",
        };
        json!({
            "merged": pull.merged.is_some(),
            "mergeable": mergeable,
            "rebaseable": mergeable,
            "mergeable_state": state,
            "merged_by": pull.merged.as_ref().map(|merged| self.user_json(merged.by)),
            "comments": issue.comments.len(),
            "review_comments": pull.review_comments.len(),
            "maintainer_can_modify": false,
            "commits": commits,
            "additions": files.iter().map(|file| file.additions).sum::<u64>(),
            "deletions": files.iter().map(|file| file.deletions).sum::<u64>(),
            "changed_files": files.len(),
        })
    }

    /// A pull request in a webhook: the details are known without asking.
    pub(crate) fn pull_event_json(&self, repository: &Repository, issue: &Issue) -> Value {
        let mut shape = self.pull_json(repository, issue);
        let mergeable = match issue.pull.as_ref().map(|pull| pull.mergeable) {
            Some(Mergeable::Known(clean)) => Some(clean),
            Some(Mergeable::Unasked) | None => None,
        };
        super::json::merge(&mut shape, self.pull_details(issue, mergeable, 1, &[]));
        shape
    }

    fn branch_json(&self, repository: u64, branch: &str, sha: &str) -> Value {
        let repository = self.repositories.get(&repository);
        let owner = repository.map_or(0, |repository| repository.owner);
        json!({
            "label": format!("{}:{branch}", self.login(owner)),
            "ref": branch,
            "sha": sha,
            "user": self.user_json(owner),
            "repo": repository.map(|repository| self.repository_json(repository)),
        })
    }

    /// A review.
    pub(crate) fn review_json(
        &self,
        repository: &Repository,
        number: u64,
        review: &Review,
    ) -> Value {
        let full_name = self.full_name(repository);
        let html_url =
            format!("{}/ui/{full_name}/pull/{number}#review-{}", self.api_url, review.id);
        let pull_url = format!("{}/repos/{full_name}/pulls/{number}", self.api_url);
        json!({
            "id": review.id,
            "node_id": node_id("PRR", review.id),
            "user": self.user_json(review.author),
            "body": review.body,
            "state": review.state,
            "html_url": html_url,
            "pull_request_url": pull_url,
            "_links": { "html": { "href": html_url }, "pull_request": { "href": pull_url } },
            "submitted_at": time(review.submitted_at),
            "commit_id": review.commit_id,
            "author_association": self.association(repository, review.author),
        })
    }

    /// A comment on a line.
    pub(crate) fn review_comment_json(
        &self,
        repository: &Repository,
        number: u64,
        comment: &ReviewComment,
    ) -> Value {
        let full_name = self.full_name(repository);
        let id = comment.id;
        let url = format!("{}/repos/{full_name}/pulls/comments/{id}", self.api_url);
        let html_url = format!("{}/ui/{full_name}/pull/{number}#discussion_r{id}", self.api_url);
        let pull_url = format!("{}/repos/{full_name}/pulls/{number}", self.api_url);
        let mut shape = json!({
            "id": id,
            "node_id": node_id("PRRC", id),
            "url": url,
            "html_url": html_url,
            "pull_request_url": pull_url,
            "_links": {
                "self": { "href": url },
                "html": { "href": html_url },
                "pull_request": { "href": pull_url },
            },
            "pull_request_review_id": comment.review,
            "diff_hunk": comment.diff_hunk,
            "path": comment.path,
            "position": comment.line.map(|_| 1),
            "original_position": 1,
            "commit_id": comment.commit_id,
            "original_commit_id": comment.commit_id,
            "user": self.user_json(comment.author),
            "body": comment.body,
            "created_at": time(comment.created_at),
            "updated_at": time(comment.updated_at),
            "author_association": self.association(repository, comment.author),
            "line": comment.line,
            "original_line": comment.line,
            "start_line": comment.start_line,
            "original_start_line": comment.start_line,
            "side": comment.side,
            "start_side": comment.start_line.map(|_| comment.side.clone()),
            "subject_type": if comment.line.is_some() { "line" } else { "file" },
            "reactions": reactions_json(&format!("{url}/reactions"), &comment.reactions),
        });
        if let Some(first) = comment.in_reply_to {
            shape["in_reply_to_id"] = json!(first);
        }
        shape
    }
}

/// The links of a pull request, from the addresses it has.
fn pull_links(shape: &Value) -> Value {
    let link = |name: &str| json!({ "href": shape[name] });
    json!({
        "self": link("url"),
        "html": link("html_url"),
        "issue": link("issue_url"),
        "comments": link("comments_url"),
        "review_comments": link("review_comments_url"),
        "review_comment": link("review_comment_url"),
        "commits": link("commits_url"),
        "statuses": link("statuses_url"),
    })
}
