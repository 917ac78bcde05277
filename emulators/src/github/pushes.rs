//! What a push causes: `create`, `push`, `delete`, check suites, and pull requests that move.

use serde_json::{Value, json};

use super::answer::Refusal;
use super::git;
use super::json::time;
use super::model::{CheckSuite, Mergeable, Pull};
use super::state::{RefChange, State};

const NO_COMMIT: &str = "0000000000000000000000000000000000000000";

impl State {
    /// Tells of changed refs and moves the pull requests that hang on them.
    pub(crate) fn after_push(
        &mut self,
        repository: u64,
        actor: u64,
        changes: &[RefChange],
    ) -> Result<(), Refusal> {
        for change in changes {
            let kind = if change.reference.starts_with("refs/heads/") {
                "branch"
            } else if change.reference.starts_with("refs/tags/") {
                "tag"
            } else {
                continue;
            };
            let name = change.reference.splitn(3, '/').nth(2).unwrap_or_default().to_owned();
            let now = self.now();
            self.repository_mut(repository)?.pushed_at = now;
            self.emit_ref(repository, actor, change, kind, &name)?;
            if kind == "branch" {
                self.make_suite(repository, actor, change, &name)?;
                self.move_pulls(repository, actor, change, &name)?;
            }
        }
        Ok(())
    }

    fn emit_ref(
        &mut self,
        id: u64,
        actor: u64,
        change: &RefChange,
        kind: &str,
        name: &str,
    ) -> Result<(), Refusal> {
        let fields = json!({ "ref": name, "ref_type": kind, "pusher_type": "user" });
        if change.before.is_none() {
            let mut fields = fields.clone();
            fields["master_branch"] = json!(self.repository(id)?.default_branch);
            fields["description"] = Value::Null;
            self.emit(id, "create", None, fields, actor);
        }
        let push = self.push_json(id, actor, change)?;
        self.emit(id, "push", None, push, actor);
        if change.after.is_none() {
            self.emit(id, "delete", None, fields, actor);
        }
        Ok(())
    }

    fn push_json(&self, id: u64, actor: u64, change: &RefChange) -> Result<Value, Refusal> {
        let repository = self.repository(id)?;
        let path = &repository.path;
        let (before, after) = (change.before.as_deref(), change.after.as_deref());
        let (commits, forced) = match (before, after) {
            (Some(before), Some(after)) => {
                let forced = !git::is_ancestor(path, before, after)?;
                (git::commits_between(path, before, after)?, forced)
            }
            (None, Some(after)) => (vec![after.to_owned()], false),
            (_, None) => (Vec::new(), false),
        };
        let url = format!("{}/ui/{}", self.api_url, self.full_name(repository));
        let commits = commits
            .iter()
            .map(|sha| push_commit_json(path, &url, sha))
            .collect::<Result<Vec<Value>, Refusal>>()?;
        let signature = self.signature(actor);
        Ok(json!({
            "ref": change.reference,
            "before": before.unwrap_or(NO_COMMIT),
            "after": after.unwrap_or(NO_COMMIT),
            "created": before.is_none(),
            "deleted": after.is_none(),
            "forced": forced,
            "base_ref": null,
            "compare": format!("{url}/compare/{}...{}", before.unwrap_or(NO_COMMIT),
                after.unwrap_or(NO_COMMIT)),
            "head_commit": commits.last(),
            "commits": commits,
            "pusher": { "name": signature.name, "email": signature.email },
        }))
    }

    /// GitHub makes a suite for each App with `checks: write` and asks it to check the commit.
    fn make_suite(
        &mut self,
        id: u64,
        actor: u64,
        change: &RefChange,
        branch: &str,
    ) -> Result<(), Refusal> {
        let Some(sha) = change.after.clone() else { return Ok(()) };
        let slug = self.app.slug.clone();
        let repository = self.repository(id)?;
        let known = repository.check_suites.iter().any(|s| s.head_sha == sha && s.app_slug == slug);
        let installed = self.installations.values().any(|installation| {
            installation.repositories.contains(&id)
                && installation.permissions.get("checks").is_some_and(|level| level == "write")
        });
        if known || !installed {
            return Ok(());
        }
        let suite = CheckSuite {
            id: self.fresh_id(),
            app_slug: slug,
            head_sha: sha,
            head_branch: Some(branch.to_owned()),
            before: change.before.clone(),
            created_at: self.now(),
        };
        let shape = self.check_suite_json(self.repository(id)?, &suite);
        self.repository_mut(id)?.check_suites.push(suite);
        self.emit(id, "check_suite", Some("requested"), json!({ "check_suite": shape }), actor);
        Ok(())
    }

    /// Pull requests from the branch move with it, those of other repositories too.
    fn move_pulls(
        &mut self,
        id: u64,
        actor: u64,
        change: &RefChange,
        branch: &str,
    ) -> Result<(), Refusal> {
        for issue in self.repository_mut(id)?.issues.values_mut() {
            let pull = issue.pull.as_mut().filter(|pull| pull.base_branch == branch);
            if let Some(pull) = pull {
                pull.mergeable = Mergeable::Unasked;
            }
        }
        for (repository, number) in self.open_pulls_from(id, branch) {
            match &change.after {
                Some(sha) => {
                    self.share_commit(id, repository, sha)?;
                    self.synchronize(repository, number, actor, sha)?;
                }
                None => self.close(repository, number, actor, "completed")?,
            }
        }
        Ok(())
    }

    /// Repositories and numbers of the open pull requests from a branch.
    fn open_pulls_from(&self, from: u64, branch: &str) -> Vec<(u64, u64)> {
        let is_from = |pull: &Pull| pull.head_repository == from && pull.head_branch == branch;
        let all = self.repositories.values().flat_map(|repository| {
            let open = repository.issues.values().filter(|issue| issue.is_open());
            open.filter(|issue| issue.pull.as_ref().is_some_and(is_from))
                .map(|issue| (repository.id, issue.number))
        });
        all.collect()
    }

    fn synchronize(&mut self, id: u64, number: u64, actor: u64, sha: &str) -> Result<(), Refusal> {
        let now = self.now();
        let issue = self.issue_mut(id, number)?;
        issue.updated_at = now;
        let pull = issue.pull.as_mut().ok_or_else(Refusal::not_found)?;
        let before = std::mem::replace(&mut pull.head_sha, sha.to_owned());
        pull.mergeable = Mergeable::Unasked;
        let repository = self.repository_mut(id)?;
        let reference = format!("refs/pull/{number}/head");
        git::set_ref(&repository.path, &reference, Some(sha))?;
        repository.refs.insert(reference, sha.to_owned());
        let extra = json!({ "before": before, "after": sha });
        self.emit_thread(id, number, "synchronize", extra, actor)
    }
}

fn push_commit_json(path: &std::path::Path, url: &str, sha: &str) -> Result<Value, Refusal> {
    let commit = git::commit(path, sha)?;
    let person = json!({ "name": commit.author_name, "email": commit.author_email });
    let parent = commit.parents.first().map_or(git::EMPTY_TREE, String::as_str);
    let files = super::diff::parse(&git::diff(path, parent, sha)?);
    let with = |status: &str| -> Vec<String> {
        files.iter().filter(|file| file.status == status).map(|file| file.path.clone()).collect()
    };
    Ok(json!({
        "id": sha,
        "tree_id": commit.tree,
        "distinct": true,
        "message": commit.message,
        "timestamp": commit.authored_at,
        "url": format!("{url}/commit/{sha}"),
        "author": person,
        "committer": person,
        "added": with("added"),
        "removed": with("removed"),
        "modified": with("modified"),
    }))
}

impl State {
    /// A status of a commit reported by somebody, told as `status`.
    pub(crate) fn report_status(
        &mut self,
        id: u64,
        actor: u64,
        status: super::model::CommitStatus,
    ) -> Result<(), Refusal> {
        let repository = self.repository(id)?;
        let commit = self.commit_json(repository, &git::commit(&repository.path, &status.sha)?);
        let fields = json!({
            "id": status.id,
            "sha": status.sha,
            "name": self.full_name(repository),
            "avatar_url": null,
            "target_url": status.target_url,
            "context": status.context,
            "description": status.description,
            "state": status.state,
            "commit": commit,
            "branches": [],
            "created_at": time(status.created_at),
            "updated_at": time(status.created_at),
        });
        self.repository_mut(id)?.statuses.push(status);
        self.emit(id, "status", None, fields, actor);
        Ok(())
    }
}
