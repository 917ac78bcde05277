//! Shapes of issues and what hangs on them: labels, comments, reactions.

use serde_json::{Value, json};

use super::json::{node_id, time};
use super::model::{AccountKind, Comment, Issue, Label, Reaction, Repository, Role};
use super::state::State;

impl State {
    /// GitHub's guess at what an author is to the repository (which says nothing about access).
    pub(crate) fn association(&self, repository: &Repository, author: u64) -> &'static str {
        let owner = self.accounts.get(&repository.owner);
        let organization = owner.is_some_and(|owner| owner.kind == AccountKind::Organization);
        match self.role(repository, author) {
            _ if repository.owner == author => "OWNER",
            Some(Role::Write | Role::Maintain | Role::Admin) if organization => "MEMBER",
            Some(_) => "COLLABORATOR",
            None if author == self.bot() => "CONTRIBUTOR",
            None => "NONE",
        }
    }

    /// An issue, or a pull request as issue routes show it.
    pub(crate) fn issue_json(&self, repository: &Repository, issue: &Issue) -> Value {
        let full_name = self.full_name(repository);
        let number = issue.number;
        let url = format!("{}/repos/{full_name}/issues/{number}", self.api_url);
        let kind = if issue.pull.is_some() { "pull" } else { "issues" };
        let mut shape = json!({
            "id": issue.id,
            "node_id": node_id("I", issue.id),
            "url": url,
            "repository_url": format!("{}/repos/{full_name}", self.api_url),
            "labels_url": format!("{url}/labels{{/name}}"),
            "comments_url": format!("{url}/comments"),
            "events_url": format!("{url}/events"),
            "timeline_url": format!("{url}/timeline"),
            "html_url": format!("{}/ui/{full_name}/{kind}/{number}", self.api_url),
            "number": number,
            "state": issue.state(),
            "state_reason": issue.closed.as_ref().map(|closed| closed.reason.clone()),
            "title": issue.title,
            "body": body_json(&issue.body),
            "user": self.user_json(issue.author),
            "labels": self.labels_json(repository, issue),
            "assignee": null,
            "assignees": [],
            "milestone": null,
            "locked": false,
            "active_lock_reason": null,
            "comments": issue.comments.len(),
            "created_at": time(issue.created_at),
            "updated_at": time(issue.updated_at),
            "closed_at": issue.closed.as_ref().map(|closed| time(closed.at)),
            "author_association": self.association(repository, issue.author),
            "performed_via_github_app": self.via_app(issue.author),
            "reactions": reactions_json(&format!("{url}/reactions"), &issue.reactions),
        });
        if let Some(pull) = &issue.pull {
            let api = format!("{}/repos/{full_name}/pulls/{number}", self.api_url);
            let html = format!("{}/ui/{full_name}/pull/{number}", self.api_url);
            shape["draft"] = json!(pull.draft);
            shape["pull_request"] = json!({
                "url": api,
                "html_url": html,
                "diff_url": format!("{html}.diff"),
                "patch_url": format!("{html}.patch"),
                "merged_at": pull.merged.as_ref().map(|merged| time(merged.at)),
            });
        }
        shape
    }

    /// The labels of an issue.
    pub(crate) fn labels_json(&self, repository: &Repository, issue: &Issue) -> Value {
        issue
            .labels
            .iter()
            .filter_map(|name| repository.labels.iter().find(|label| &label.name == name))
            .map(|label| self.label_json(repository, label))
            .collect()
    }

    /// A label.
    pub(crate) fn label_json(&self, repository: &Repository, label: &Label) -> Value {
        let full_name = self.full_name(repository);
        json!({
            "id": label.id,
            "node_id": node_id("LA", label.id),
            "url": format!("{}/repos/{full_name}/labels/{}", self.api_url, label.name),
            "name": label.name,
            "description": label.description,
            "color": label.color,
            "default": false,
        })
    }

    /// A comment of an issue or a pull request's conversation.
    pub(crate) fn comment_json(
        &self,
        repository: &Repository,
        issue: &Issue,
        comment: &Comment,
    ) -> Value {
        let full_name = self.full_name(repository);
        let (id, number) = (comment.id, issue.number);
        let base = format!("{}/repos/{full_name}/issues", self.api_url);
        let url = format!("{base}/comments/{id}");
        let kind = if issue.pull.is_some() { "pull" } else { "issues" };
        json!({
            "id": id,
            "node_id": node_id("IC", id),
            "url": url,
            "html_url":
                format!("{}/ui/{full_name}/{kind}/{number}#issuecomment-{id}", self.api_url),
            "issue_url": format!("{base}/{number}"),
            "body": comment.body,
            "user": self.user_json(comment.author),
            "created_at": time(comment.created_at),
            "updated_at": time(comment.updated_at),
            "author_association": self.association(repository, comment.author),
            "performed_via_github_app": self.via_app(comment.author),
            "reactions": reactions_json(&format!("{url}/reactions"), &comment.reactions),
        })
    }

    /// One reaction.
    pub(crate) fn reaction_json(&self, reaction: &Reaction) -> Value {
        json!({
            "id": reaction.id,
            "node_id": node_id("REA", reaction.id),
            "user": self.user_json(reaction.user),
            "content": reaction.content,
            "created_at": time(reaction.created_at),
        })
    }
}

/// The counts of reactions.
pub(crate) fn reactions_json(url: &str, reactions: &[Reaction]) -> Value {
    let mut shape = json!({ "url": url, "total_count": reactions.len() });
    for content in super::reactions::CONTENTS {
        let count = reactions.iter().filter(|reaction| reaction.content == *content).count();
        shape[*content] = json!(count);
    }
    shape
}

/// A body: GitHub shows an empty one as null.
pub(crate) fn body_json(body: &str) -> Value {
    if body.is_empty() { Value::Null } else { json!(body) }
}
