//! Shapes of commits, their checks and statuses, and deployments.

use serde_json::{Value, json};

use super::diff::FileDiff;
use super::git::Commit;
use super::json::{node_id, time};
use super::model::{CheckRun, CheckSuite, CommitStatus, Deployment, DeploymentStatus, Repository};
use super::state::State;

impl State {
    /// A check run.
    pub(crate) fn check_run_json(&self, repository: &Repository, run: &CheckRun) -> Value {
        let full_name = self.full_name(repository);
        let id = run.id;
        let url = format!("{}/repos/{full_name}/check-runs/{id}", self.api_url);
        let html_url = format!("{}/ui/{full_name}/runs/{id}", self.api_url);
        json!({
            "id": id,
            "node_id": node_id("CR", id),
            "name": run.name,
            "head_sha": run.head_sha,
            "external_id": run.external_id,
            "url": url,
            "html_url": html_url,
            "details_url": run.details_url.clone().unwrap_or(html_url),
            "status": run.status,
            "conclusion": run.conclusion,
            "started_at": run.started_at.map(time),
            "completed_at": run.completed_at.map(time),
            "output": {
                "title": run.title,
                "summary": run.summary,
                "text": run.text,
                "annotations_count": run.annotations.len(),
                "annotations_url": format!("{url}/annotations"),
            },
            "check_suite": { "id": run.suite },
            "app": self.app_by_slug(&run.app_slug),
            "pull_requests": self.pulls_of(repository, &run.head_sha),
        })
    }

    /// A check run in a webhook, which shows its suite in full.
    pub(crate) fn check_run_event_json(
        &self,
        repository: &Repository,
        run: &CheckRun,
        suite: &CheckSuite,
    ) -> Value {
        let mut shape = self.check_run_json(repository, run);
        shape["check_suite"] = self.check_suite_json(repository, suite);
        shape
    }

    /// A check suite; its state follows from its runs.
    pub(crate) fn check_suite_json(&self, repository: &Repository, suite: &CheckSuite) -> Value {
        let full_name = self.full_name(repository);
        let url = format!("{}/repos/{full_name}/check-suites/{}", self.api_url, suite.id);
        let (status, conclusion) = super::checks::suite_state(repository, suite.id);
        let runs = repository.check_runs.iter().filter(|run| run.suite == suite.id).count();
        json!({
            "id": suite.id,
            "node_id": node_id("CS", suite.id),
            "head_branch": suite.head_branch,
            "head_sha": suite.head_sha,
            "status": status,
            "conclusion": conclusion,
            "url": url,
            "before": suite.before,
            "after": suite.head_sha,
            "pull_requests": self.pulls_of(repository, &suite.head_sha),
            "app": self.app_by_slug(&suite.app_slug),
            "created_at": time(suite.created_at),
            "updated_at": time(suite.created_at),
            "latest_check_runs_count": runs,
            "check_runs_url": format!("{url}/check-runs"),
            "rerequestable": true,
            "runs_rerequestable": true,
        })
    }

    /// Open pull requests with the commit as head, in the short form checks show; none from forks.
    fn pulls_of(&self, repository: &Repository, sha: &str) -> Value {
        let full_name = self.full_name(repository);
        let repo = json!({
            "id": repository.id,
            "url": format!("{}/repos/{full_name}", self.api_url),
            "name": repository.name,
        });
        let shown = repository.issues.values().filter_map(|issue| {
            let pull = issue.pull.as_ref()?;
            let from_fork = pull.head_repository != repository.id;
            (issue.is_open() && pull.head_sha == sha && !from_fork).then(|| {
                json!({
                    "id": pull.id,
                    "number": issue.number,
                    "url": format!("{}/repos/{full_name}/pulls/{}", self.api_url, issue.number),
                    "head": { "ref": pull.head_branch, "sha": pull.head_sha, "repo": repo },
                    "base": { "ref": pull.base_branch, "sha": pull.base_sha, "repo": repo },
                })
            })
        });
        shown.collect()
    }

    /// A commit.
    pub(crate) fn commit_json(&self, repository: &Repository, commit: &Commit) -> Value {
        let full_name = self.full_name(repository);
        let base = format!("{}/repos/{full_name}", self.api_url);
        let sha = &commit.sha;
        let person = json!({
            "name": commit.author_name, "email": commit.author_email, "date": commit.authored_at
        });
        let parents: Vec<Value> = commit
            .parents
            .iter()
            .map(|parent| {
                json!({ "sha": parent, "url": format!("{base}/commits/{parent}"),
                                  "html_url": format!("{base}/commit/{parent}") })
            })
            .collect();
        json!({
            "sha": sha,
            "node_id": format!("C_{sha}"),
            "url": format!("{base}/commits/{sha}"),
            "html_url": format!("{}/ui/{full_name}/commit/{sha}", self.api_url),
            "comments_url": format!("{base}/commits/{sha}/comments"),
            "commit": {
                "author": person,
                "committer": person,
                "message": commit.message,
                "tree": { "sha": commit.tree, "url": format!("{base}/git/trees/{}", commit.tree) },
                "url": format!("{base}/git/commits/{sha}"),
                "comment_count": 0,
                "verification": { "verified": false, "reason": "unsigned", "signature": null,
                                  "payload": null, "verified_at": null },
            },
            "author": null,
            "committer": null,
            "parents": parents,
        })
    }

    /// A file of a diff.
    pub(crate) fn file_json(&self, repository: &Repository, sha: &str, file: &FileDiff) -> Value {
        let base = format!("{}/repos/{}", self.api_url, self.full_name(repository));
        let mut shape = json!({
            "sha": sha,
            "filename": file.path,
            "status": file.status,
            "additions": file.additions,
            "deletions": file.deletions,
            "changes": file.additions + file.deletions,
            "blob_url": format!("{base}/blob/{sha}/{}", file.path),
            "raw_url": format!("{base}/raw/{sha}/{}", file.path),
            "contents_url": format!("{base}/contents/{}?ref={sha}", file.path),
            "patch": file.patch,
        });
        if let Some(previous) = &file.previous {
            shape["previous_filename"] = json!(previous);
        }
        shape
    }

    /// A commit status.
    pub(crate) fn status_json(&self, repository: &Repository, status: &CommitStatus) -> Value {
        let base = format!("{}/repos/{}", self.api_url, self.full_name(repository));
        json!({
            "id": status.id,
            "node_id": node_id("SC", status.id),
            "url": format!("{base}/statuses/{}", status.sha),
            "avatar_url": format!("{}/avatars/{}", self.api_url, status.creator),
            "state": status.state,
            "description": status.description,
            "target_url": status.target_url,
            "context": status.context,
            "created_at": time(status.created_at),
            "updated_at": time(status.created_at),
            "creator": self.user_json(status.creator),
        })
    }

    /// A deployment.
    pub(crate) fn deployment_json(
        &self,
        repository: &Repository,
        deployment: &Deployment,
    ) -> Value {
        let base = format!("{}/repos/{}", self.api_url, self.full_name(repository));
        let url = format!("{base}/deployments/{}", deployment.id);
        let updated = deployment.statuses.last().map_or(deployment.created_at, |s| s.created_at);
        json!({
            "id": deployment.id,
            "node_id": node_id("DE", deployment.id),
            "url": url,
            "sha": deployment.sha,
            "ref": deployment.reference,
            "task": deployment.task,
            "payload": deployment.payload,
            "original_environment": deployment.environment,
            "environment": deployment.environment,
            "description": deployment.description,
            "creator": self.user_json(deployment.creator),
            "created_at": time(deployment.created_at),
            "updated_at": time(updated),
            "statuses_url": format!("{url}/statuses"),
            "repository_url": base,
            "transient_environment": deployment.transient,
            "production_environment": deployment.production,
            "performed_via_github_app": self.via_app(deployment.creator),
        })
    }

    /// A deployment's status.
    pub(crate) fn deployment_status_json(
        &self,
        repository: &Repository,
        deployment: &Deployment,
        status: &DeploymentStatus,
    ) -> Value {
        let base = format!("{}/repos/{}", self.api_url, self.full_name(repository));
        let url = format!("{base}/deployments/{}", deployment.id);
        json!({
            "id": status.id,
            "node_id": node_id("DES", status.id),
            "url": format!("{url}/statuses/{}", status.id),
            "state": status.state,
            "creator": self.user_json(status.creator),
            "description": status.description,
            "environment": status.environment,
            "target_url": status.log_url,
            "log_url": status.log_url,
            "environment_url": status.environment_url,
            "created_at": time(status.created_at),
            "updated_at": time(status.created_at),
            "deployment_url": url,
            "repository_url": base,
            "performed_via_github_app": self.via_app(status.creator),
        })
    }
}
