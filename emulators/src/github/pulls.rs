//! What happens to pull requests: opened, made ready or draft, their diffs and whether they merge.

use serde_json::json;

use super::answer::Refusal;
use super::diff::{self, FileDiff};
use super::forks::Head;
use super::git;
use super::issues::{check_body, check_title};
use super::model::{Mergeable, Pull};
use super::state::State;

/// What a pull request is opened with.
pub(crate) struct NewPull<'a> {
    pub head: &'a Head,
    pub base: &'a str,
    pub title: &'a str,
    pub body: &'a str,
    pub draft: bool,
}

impl State {
    /// Opens a pull request and gives its number.
    pub(crate) fn open_pull(
        &mut self,
        repository: u64,
        actor: u64,
        new: &NewPull<'_>,
    ) -> Result<u64, Refusal> {
        check_title("PullRequest", new.title)?;
        check_body("PullRequest", new.body)?;
        let (head_sha, base_sha) = self.check_new_pull(repository, new)?;
        let number = self.next_number(repository)?;
        let mut issue = self.new_issue(number, actor, new.title, new.body);
        issue.pull = Some(Pull {
            id: self.fresh_id(),
            head_repository: new.head.repository,
            head_branch: new.head.branch.clone(),
            head_sha: head_sha.clone(),
            base_branch: new.base.to_owned(),
            base_sha,
            draft: new.draft,
            merged: None,
            mergeable: Mergeable::Unasked,
            reviews: Vec::new(),
            review_comments: Vec::new(),
            requested_reviewers: Vec::new(),
        });
        let kept = self.repository_mut(repository)?;
        git::set_ref(&kept.path, &format!("refs/pull/{number}/head"), Some(&head_sha))?;
        kept.refs.insert(format!("refs/pull/{number}/head"), head_sha);
        kept.issues.insert(number, issue);
        self.emit_thread(repository, number, "opened", json!({}), actor)?;
        Ok(number)
    }

    /// The head's and base's commits, or why there can be no such pull request.
    fn check_new_pull(&self, id: u64, new: &NewPull<'_>) -> Result<(String, String), Refusal> {
        let repository = self.repository(id)?;
        let Head { repository: from, branch: head } = new.head;
        let invalid = |field| Refusal::field("PullRequest", field, "invalid");
        let head_sha = self.branch(self.repository(*from)?, head).ok_or_else(|| invalid("head"))?;
        let base_sha = self.branch(repository, new.base).ok_or_else(|| invalid("base"))?;
        if new.draft && !repository.drafts {
            let message = "Draft pull requests are not supported in this repository.";
            return Err(Refusal::custom("PullRequest", "draft", message));
        }
        self.share_commit(*from, id, &head_sha)?;
        if git::commits_between(&repository.path, &base_sha, &head_sha)?.is_empty() {
            let message = format!("No commits between {} and {head}", new.base);
            return Err(Refusal::custom("PullRequest", "base", &message));
        }
        let same = |pull: &Pull| {
            pull.head_repository == *from
                && pull.head_branch == *head
                && pull.base_branch == new.base
        };
        let mut issues = repository.issues.values();
        if issues.any(|issue| issue.is_open() && issue.pull.as_ref().is_some_and(same)) {
            let owner = self.login(self.repository(*from)?.owner);
            let message = format!("A pull request already exists for {owner}:{head}.");
            return Err(Refusal::custom("PullRequest", "head", &message));
        }
        Ok((head_sha, base_sha))
    }

    /// Makes a draft ready, or a ready pull request a draft; nothing happens when it is so.
    pub(crate) fn set_draft(
        &mut self,
        repository: u64,
        number: u64,
        actor: u64,
        draft: bool,
    ) -> Result<(), Refusal> {
        if !self.issue(repository, number)?.is_open() {
            return Err(Refusal::new(422, "Pull request is closed"));
        }
        let pull = self.pull_mut(repository, number)?;
        if pull.draft == draft {
            return Ok(());
        }
        pull.draft = draft;
        let action = if draft { "converted_to_draft" } else { "ready_for_review" };
        self.emit_thread(repository, number, action, json!({}), actor)
    }

    /// Asks accounts for a review.
    pub(crate) fn request_review(
        &mut self,
        repository: u64,
        number: u64,
        actor: u64,
        reviewer: u64,
    ) -> Result<(), Refusal> {
        if self.issue(repository, number)?.author == reviewer {
            return Err(Refusal::new(422, "Review cannot be requested from pull request author."));
        }
        let pull = self.pull_mut(repository, number)?;
        if !pull.requested_reviewers.contains(&reviewer) {
            pull.requested_reviewers.push(reviewer);
        }
        let extra = json!({ "requested_reviewer": self.user_json(reviewer) });
        self.emit_thread(repository, number, "review_requested", extra, actor)
    }

    /// Points the pull request at another base branch.
    pub(crate) fn set_base(
        &mut self,
        repository: u64,
        number: u64,
        actor: u64,
        base: &str,
    ) -> Result<(), Refusal> {
        let owner = self.repository(repository)?;
        let invalid = || Refusal::field("PullRequest", "base", "invalid");
        let sha = self.branch(owner, base).ok_or_else(invalid)?;
        let pull = self.pull_mut(repository, number)?;
        let from = std::mem::replace(&mut pull.base_branch, base.to_owned());
        let from_sha = std::mem::replace(&mut pull.base_sha, sha);
        pull.mergeable = Mergeable::Unasked;
        if from == base {
            return Ok(());
        }
        let changes = json!({ "base": { "ref": { "from": from }, "sha": { "from": from_sha } } });
        self.emit_thread(repository, number, "edited", json!({ "changes": changes }), actor)
    }

    /// Whether it merges: the first question after a change gets `None` and starts the work.
    pub(crate) fn ask_mergeable(
        &mut self,
        repository: u64,
        number: u64,
    ) -> Result<Option<bool>, Refusal> {
        let clean = self.merge_result(repository, number)?.is_some();
        let open = self.issue(repository, number)?.is_open();
        let pull = self.pull_mut(repository, number)?;
        if pull.merged.is_some() || !open {
            return Ok(None);
        }
        match pull.mergeable {
            Mergeable::Known(known) => Ok(Some(known)),
            Mergeable::Unasked => {
                pull.mergeable = Mergeable::Known(clean);
                Ok(None)
            }
        }
    }

    /// The tree the merge would have, or `None` on conflict or when a branch is gone.
    pub(crate) fn merge_result(
        &self,
        repository: u64,
        number: u64,
    ) -> Result<Option<String>, Refusal> {
        let repository_id = repository;
        let repository = self.repository(repository_id)?;
        let pull = self.pull(repository_id, number)?;
        let base = repository.refs.get(&format!("refs/heads/{}", pull.base_branch));
        let Some(base) = base else { return Ok(None) };
        Ok(git::merge_tree(&repository.path, None, base, &pull.head_sha)?)
    }

    /// The files of the pull request's diff: from the merge base to the head.
    pub(crate) fn pull_files(&self, id: u64, number: u64) -> Result<Vec<FileDiff>, Refusal> {
        let repository = self.repository(id)?;
        let pull = self.pull(id, number)?;
        let base = self.diff_base(id, number)?;
        Ok(diff::parse(&git::diff(&repository.path, &base, &pull.head_sha)?))
    }

    /// The pull request's commits, oldest first.
    pub(crate) fn pull_commits(&self, id: u64, number: u64) -> Result<Vec<String>, Refusal> {
        let base = self.diff_base(id, number)?;
        let pull = self.pull(id, number)?;
        Ok(git::commits_between(&self.repository(id)?.path, &base, &pull.head_sha)?)
    }

    fn diff_base(&self, id: u64, number: u64) -> Result<String, Refusal> {
        let repository = self.repository(id)?;
        let pull = self.pull(id, number)?;
        let branch = repository.refs.get(&format!("refs/heads/{}", pull.base_branch));
        // A merged pull request goes on showing what it changed.
        let base =
            if pull.merged.is_some() { &pull.base_sha } else { branch.unwrap_or(&pull.base_sha) };
        let found = git::merge_base(&repository.path, base, &pull.head_sha)?;
        Ok(found.unwrap_or_else(|| base.clone()))
    }
}
