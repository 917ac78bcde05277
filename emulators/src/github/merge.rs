//! Merging a pull request, and what follows: a push to the base, closed issues.

use serde_json::json;

use super::answer::Refusal;
use super::git::{self, Signature};
use super::model::{AccountKind, Closed, Merged, Pull};
use super::state::State;

/// How to merge.
#[derive(Clone, Debug, Default)]
pub(crate) struct MergeOrder<'a> {
    /// The head the caller looked at.
    pub sha: Option<&'a str>,
    /// `merge`, `squash` or `rebase`.
    pub method: Option<&'a str>,
    pub title: Option<&'a str>,
    pub message: Option<&'a str>,
}

impl State {
    /// Merges and gives the commit on the base.
    pub(crate) fn merge(
        &mut self,
        repository: u64,
        number: u64,
        actor: u64,
        order: &MergeOrder<'_>,
    ) -> Result<String, Refusal> {
        let tree = self.check_merge(repository, number, order)?;
        let pull = self.pull(repository, number)?.clone();
        let sha = self.write_merge(repository, number, actor, order, &pull, &tree)?;
        let reference = format!("refs/heads/{}", pull.base_branch);
        let path = self.repository(repository)?.path.clone();
        git::set_ref(&path, &reference, Some(&sha))?;
        self.settle_merge(repository, number, actor, &sha)?;
        let changes = self.refresh_refs(repository)?;
        self.after_push(repository, actor, &changes)?;
        self.close_named_issues(repository, number, actor)?;
        Ok(sha)
    }

    fn check_merge(
        &self,
        repository: u64,
        number: u64,
        order: &MergeOrder<'_>,
    ) -> Result<String, Refusal> {
        let pull = self.pull(repository, number)?;
        if pull.draft {
            return Err(Refusal::new(405, "Pull Request is still a draft"));
        }
        if !self.issue(repository, number)?.is_open() {
            return Err(Refusal::new(405, "Pull Request is not mergeable"));
        }
        if order.sha.is_some_and(|sha| sha != pull.head_sha) {
            let message = "Head branch was modified. Review and try the merge again.";
            return Err(Refusal::new(409, message));
        }
        let tree = self.merge_result(repository, number)?;
        tree.ok_or_else(|| Refusal::new(405, "Pull Request is not mergeable"))
    }

    fn write_merge(
        &self,
        id: u64,
        number: u64,
        actor: u64,
        order: &MergeOrder<'_>,
        pull: &Pull,
        tree: &str,
    ) -> Result<String, Refusal> {
        let repository = self.repository(id)?;
        let issue = self.issue(id, number)?;
        let reference = format!("refs/heads/{}", pull.base_branch);
        let base = repository.refs.get(&reference).ok_or_else(Refusal::not_found)?;
        let signature = self.signature(actor);
        let from = self.repositories.get(&pull.head_repository).unwrap_or(repository);
        let owner = self.login(from.owner);
        let body = order.message.unwrap_or(&issue.title);
        match order.method.unwrap_or("merge") {
            "merge" => {
                let head = &pull.head_branch;
                let usual = format!("Merge pull request #{number} from {owner}/{head}");
                let message = format!("{}\n\n{body}\n", order.title.unwrap_or(&usual));
                let parents = [base.as_str(), &pull.head_sha];
                Ok(git::commit_tree(&repository.path, tree, &parents, &signature, &message)?)
            }
            "squash" => {
                let usual = format!("{} (#{number})", issue.title);
                let message = format!("{}\n\n{body}\n", order.title.unwrap_or(&usual));
                Ok(git::commit_tree(&repository.path, tree, &[base], &signature, &message)?)
            }
            "rebase" => self.rebase(id, base, &pull.head_sha, &signature),
            _ => Err(Refusal::field("PullRequest", "merge_method", "invalid")),
        }
    }

    fn rebase(
        &self,
        id: u64,
        base: &str,
        head: &str,
        signature: &Signature,
    ) -> Result<String, Refusal> {
        let path = &self.repository(id)?.path;
        let mut tip = base.to_owned();
        for sha in git::commits_between(path, base, head)? {
            let commit = git::commit(path, &sha)?;
            let [parent] = commit.parents.as_slice() else { continue };
            let tree = git::merge_tree(path, Some(parent), &tip, &sha)?
                .ok_or_else(|| Refusal::new(405, "This branch can't be rebased"))?;
            tip = git::commit_tree(path, &tree, &[&tip], signature, &commit.message)?;
        }
        Ok(tip)
    }

    fn settle_merge(
        &mut self,
        repository: u64,
        number: u64,
        actor: u64,
        sha: &str,
    ) -> Result<(), Refusal> {
        let now = self.now();
        let base_reference = format!("refs/heads/{}", self.pull(repository, number)?.base_branch);
        let base = self.repository(repository)?.refs.get(&base_reference).cloned();
        let issue = self.issue_mut(repository, number)?;
        issue.closed = Some(Closed { at: now, by: actor, reason: "completed".to_owned() });
        issue.updated_at = now;
        let pull = issue.pull.as_mut().ok_or_else(Refusal::not_found)?;
        pull.merged = Some(Merged { sha: sha.to_owned(), at: now, by: actor });
        pull.base_sha = base.unwrap_or_else(|| pull.base_sha.clone());
        self.emit_thread(repository, number, "closed", json!({}), actor)
    }

    /// Closes the issues the merged body names, when it was merged into the default branch.
    fn close_named_issues(
        &mut self,
        repository: u64,
        number: u64,
        actor: u64,
    ) -> Result<(), Refusal> {
        let issue = self.issue(repository, number)?;
        let base = issue.pull.as_ref().map(|pull| pull.base_branch.as_str());
        if base != Some(&self.repository(repository)?.default_branch) {
            return Ok(());
        }
        for named in closing_references(&issue.body.clone()) {
            if self.issue(repository, named).is_ok_and(|issue| issue.pull.is_none()) {
                self.close(repository, named, actor, "completed")?;
            }
        }
        Ok(())
    }

    /// The git identity of an account.
    pub(crate) fn signature(&self, account: u64) -> Signature {
        let login = self.login(account);
        let bot = self.accounts.get(&account).is_some_and(|a| a.kind == AccountKind::Bot);
        let local = if bot { format!("{account}+{login}") } else { login.to_owned() };
        Signature {
            name: login.to_owned(),
            email: format!("{local}@users.noreply.github.com"),
            at: self.now(),
        }
    }
}

/// The issue numbers a body closes: `Closes #1`, `fixes: #2`.
pub(crate) fn closing_references(body: &str) -> Vec<u64> {
    const KEYWORDS: &[&str] =
        &["close", "closes", "closed", "fix", "fixes", "fixed", "resolve", "resolves", "resolved"];
    let words: Vec<&str> = body.split_whitespace().collect();
    let mut numbers = Vec::new();
    for pair in words.windows(2) {
        let keyword = pair[0].trim_end_matches(':').to_ascii_lowercase();
        let digits = pair[1].strip_prefix('#').unwrap_or_default();
        let digits = digits.trim_end_matches(|end: char| !end.is_ascii_digit());
        if let (true, Ok(number)) = (KEYWORDS.contains(&keyword.as_str()), digits.parse()) {
            numbers.push(number);
        }
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::closing_references;

    #[test]
    fn closing_words_count_only_right_before_a_number() {
        assert_eq!(closing_references("Closes #3 and fixes: #12, see #4"), [3, 12]);
        assert!(closing_references("closes nothing #3").is_empty());
    }
}
