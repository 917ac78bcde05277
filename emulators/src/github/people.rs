//! People, played: each does what a person does on GitHub, with the same webhooks.

use serde_json::{Value, json};

use super::answer::Refusal;
use super::git::{self, File};
use super::handle::find;
use super::merge::MergeOrder;
use super::model::CommitStatus;
use super::pulls::NewPull;
use super::reactions::Target;
use super::reviews::{NewReview, NewReviewComment};
use super::server::World;
use super::state::State;

/// A person (or another bot) at work. Repositories are named `owner/name`.
///
/// Every function fails with GitHub's refusal, or 404 for names nobody has.
pub struct Person<'world> {
    pub(crate) world: &'world World,
    pub(crate) login: &'world str,
}

/// A comment on a line, to submit with a review.
#[derive(Clone, Copy, Debug)]
pub struct LineComment<'a> {
    /// The file.
    pub path: &'a str,
    /// The line in the new version of the file.
    pub line: u64,
    /// Markdown.
    pub body: &'a str,
}

type Done<T = ()> = Result<T, Refusal>;

impl Person<'_> {
    fn act<T>(&self, repo: &str, act: impl FnOnce(&mut State, u64, u64) -> Done<T>) -> Done<T> {
        self.world.change(|state| {
            let account = state.account(self.login).map(|known| known.id);
            let account = account.ok_or_else(Refusal::not_found)?;
            let id = find(state, repo)?;
            act(state, id, account)
        })
    }

    /// Opens an issue and gives its number.
    pub fn open_issue(&self, repo: &str, title: &str, body: &str) -> Done<u64> {
        self.act(repo, |state, id, me| state.open_issue(id, me, title, body, &[]))
    }

    /// Changes an issue's or pull request's title or body.
    pub fn edit_issue(
        &self,
        repo: &str,
        number: u64,
        title: Option<&str>,
        body: Option<&str>,
    ) -> Done {
        self.act(repo, |state, id, me| state.edit_issue(id, number, me, title, body))
    }

    /// Comments on an issue or pull request and gives the comment's id.
    pub fn comment(&self, repo: &str, number: u64, body: &str) -> Done<u64> {
        self.act(repo, |state, id, me| state.add_comment(id, number, me, body))
    }

    /// Changes a comment, anybody's.
    pub fn edit_comment(&self, repo: &str, comment: u64, body: &str) -> Done {
        self.act(repo, |state, id, me| state.edit_comment(id, comment, me, body))
    }

    /// Removes a comment.
    pub fn delete_comment(&self, repo: &str, comment: u64) -> Done {
        self.act(repo, |state, id, me| state.delete_comment(id, comment, me))
    }

    /// Ticks the box of the first open line that contains `text`; 404 when there is none.
    pub fn tick(&self, repo: &str, comment: u64, text: &str) -> Done {
        self.act(repo, |state, id, me| {
            let (number, place) = state.comment_place(id, comment)?;
            let body = &state.issue(id, number)?.comments[place].body;
            let ticked = ticked(body, text).ok_or_else(Refusal::not_found)?;
            state.edit_comment(id, comment, me, &ticked)
        })
    }

    /// Reacts to a comment.
    pub fn react(&self, repo: &str, comment: u64, content: &str) -> Done {
        self.act(repo, |state, id, me| {
            state.react(id, Target::Comment(comment), me, content).map(drop)
        })
    }

    /// Puts a label on, making it when the repository has none of the name.
    pub fn label(&self, repo: &str, number: u64, label: &str) -> Done {
        self.act(repo, |state, id, me| state.add_labels(id, number, me, &[label.to_owned()]))
    }

    /// Takes a label off.
    pub fn unlabel(&self, repo: &str, number: u64, label: &str) -> Done {
        self.act(repo, |state, id, me| state.remove_label(id, number, me, label))
    }

    /// Closes an issue as completed.
    pub fn close_issue(&self, repo: &str, number: u64) -> Done {
        self.act(repo, |state, id, me| state.close(id, number, me, "completed"))
    }

    /// Opens an issue again.
    pub fn reopen_issue(&self, repo: &str, number: u64) -> Done {
        self.act(repo, |state, id, me| state.reopen(id, number, me))
    }

    /// Closes a pull request without merging.
    pub fn close_pull(&self, repo: &str, number: u64) -> Done {
        self.close_issue(repo, number)
    }

    /// Opens a closed pull request again.
    pub fn reopen_pull(&self, repo: &str, number: u64) -> Done {
        self.reopen_issue(repo, number)
    }

    /// Merges a pull request with a merge commit and gives its SHA; with `sha`, only that head.
    pub fn merge_pull(&self, repo: &str, number: u64, sha: Option<&str>) -> Done<String> {
        self.merge_pull_by(repo, number, sha, "merge")
    }

    /// Merges by `merge`, `squash` or `rebase`.
    pub fn merge_pull_by(
        &self,
        repo: &str,
        number: u64,
        sha: Option<&str>,
        method: &str,
    ) -> Done<String> {
        let order = MergeOrder { sha, method: Some(method), ..MergeOrder::default() };
        self.act(repo, |state, id, me| state.merge(id, number, me, &order))
    }

    /// Opens a pull request and gives its number.
    pub fn open_pull(&self, repo: &str, head: &str, base: &str, title: &str) -> Done<u64> {
        self.open_pull_with(repo, head, base, title, "", false)
    }

    /// The same with a body, or as a draft.
    pub fn open_pull_with(
        &self,
        repo: &str,
        head: &str,
        base: &str,
        title: &str,
        body: &str,
        draft: bool,
    ) -> Done<u64> {
        self.act(repo, |state, id, me| {
            let head = &state.pull_head(id, head, None)?;
            state.open_pull(id, me, &NewPull { head, base, title, body, draft })
        })
    }

    /// Makes a draft ready for review, or a pull request a draft.
    pub fn set_draft(&self, repo: &str, number: u64, draft: bool) -> Done {
        self.act(repo, |state, id, me| state.set_draft(id, number, me, draft))
    }

    /// Asks somebody for a review.
    pub fn request_review(&self, repo: &str, number: u64, reviewer: &str) -> Done {
        self.act(repo, |state, id, me| {
            let reviewer = state.account(reviewer).map(|known| known.id);
            state.request_review(id, number, me, reviewer.ok_or_else(Refusal::not_found)?)
        })
    }

    /// Submits a review (`COMMENT`, `APPROVE`, `REQUEST_CHANGES`) and gives its id.
    pub fn submit_review(
        &self,
        repo: &str,
        number: u64,
        event: &str,
        body: &str,
        comments: &[LineComment<'_>],
    ) -> Done<u64> {
        let comments = comments.iter().map(|comment| NewReviewComment {
            path: comment.path.to_owned(),
            body: comment.body.to_owned(),
            line: Some(comment.line),
            start_line: None,
            side: "RIGHT".to_owned(),
        });
        let new = NewReview { event, body, commit: None, comments: comments.collect() };
        self.act(repo, |state, id, me| state.submit_review(id, number, me, &new))
    }

    /// Replies to a comment on a line and gives the reply's id.
    pub fn reply(&self, repo: &str, number: u64, comment: u64, body: &str) -> Done<u64> {
        self.act(repo, |state, id, me| state.reply(id, number, me, comment, body))
    }

    /// Settles the thread a comment on a line began, or opens it again.
    pub fn resolve(&self, repo: &str, number: u64, comment: u64, resolved: bool) -> Done {
        self.act(repo, |state, id, me| state.set_resolved(id, number, me, comment, resolved))
    }

    /// Commits files on a branch (made from the default branch when there is none), pushes, and
    /// gives the commit.
    pub fn push_files(
        &self,
        repo: &str,
        branch: &str,
        files: &[File<'_>],
        message: &str,
    ) -> Done<String> {
        self.push_onto(repo, branch, None, files, message)
    }

    /// The same onto another commit or branch than the branch's tip: a forced push.
    pub fn force_push_files(
        &self,
        repo: &str,
        branch: &str,
        onto: &str,
        files: &[File<'_>],
        message: &str,
    ) -> Done<String> {
        self.push_onto(repo, branch, Some(onto), files, message)
    }

    fn push_onto(
        &self,
        repo: &str,
        branch: &str,
        onto: Option<&str>,
        files: &[File<'_>],
        message: &str,
    ) -> Done<String> {
        self.act(repo, |state, id, me| {
            let repository = state.repository(id)?;
            let tip = format!("refs/heads/{branch}");
            let usual = format!("refs/heads/{}", repository.default_branch);
            let parent = match onto {
                Some(onto) => git::resolve(&repository.path, onto)?,
                None => repository.refs.get(&tip).or_else(|| repository.refs.get(&usual)).cloned(),
            };
            let (path, by) = (repository.path.clone(), state.signature(me));
            git::commit_files(&path, branch, parent.as_deref(), &by, message, files)?;
            let changes = state.refresh_refs(id)?;
            state.after_push(id, me, &changes)?;
            state.repository(id)?.refs.get(&tip).cloned().ok_or_else(Refusal::not_found)
        })
    }

    /// Deletes a branch; its open pull requests close.
    pub fn delete_branch(&self, repo: &str, branch: &str) -> Done {
        self.act(repo, |state, id, me| {
            let path = state.repository(id)?.path.clone();
            git::set_ref(&path, &format!("refs/heads/{branch}"), None)?;
            let changes = state.refresh_refs(id)?;
            state.after_push(id, me, &changes)
        })
    }

    /// Presses *Re-run* on a check run.
    pub fn rerun_check(&self, repo: &str, run: u64) -> Done {
        self.act(repo, |state, id, me| state.emit_check(id, run, "rerequested", json!({}), me))
    }

    /// Presses *Re-run all checks* on a suite.
    pub fn rerun_suite(&self, repo: &str, suite: u64) -> Done {
        self.act(repo, |state, id, me| state.emit_suite(id, suite, "rerequested", me))
    }

    /// Presses one of a completed check run's buttons; 404 when it does not have it.
    pub fn press(&self, repo: &str, run: u64, identifier: &str) -> Done {
        self.act(repo, |state, id, me| {
            let known = state.check_run(id, run)?;
            let shown = known.status == "completed";
            if !shown || !known.actions.iter().any(|a| a["identifier"] == identifier) {
                return Err(Refusal::not_found());
            }
            let extra = json!({ "requested_action": { "identifier": identifier } });
            state.emit_check(id, run, "requested_action", extra, me)
        })
    }

    /// Reports a check run of another App (CI), `in_progress` without a conclusion; gives its id.
    /// The name's newest run on the commit is updated if it is not completed.
    pub fn report_check(
        &self,
        repo: &str,
        app_slug: &str,
        sha: &str,
        name: &str,
        conclusion: Option<&str>,
    ) -> Done<u64> {
        let mut body: Value = json!({ "name": name, "head_sha": sha, "status": "in_progress" });
        if let Some(conclusion) = conclusion {
            body["status"] = json!("completed");
            body["conclusion"] = json!(conclusion);
        }
        self.act(repo, |state, id, me| {
            let runs = &state.repository(id)?.check_runs;
            let running = runs.iter().rev().find(|run| {
                run.app_slug == app_slug
                    && run.name == name
                    && run.head_sha == sha
                    && run.conclusion.is_none()
            });
            match running.map(|run| run.id) {
                Some(run) => state.update_check_run(id, run, me, &body).map(|()| run),
                None => state.create_check_run(id, me, app_slug, &body),
            }
        })
    }

    /// Reports a commit status: `error`, `failure`, `pending` or `success`.
    pub fn report_status(&self, repo: &str, sha: &str, context: &str, word: &str) -> Done {
        self.act(repo, |state, id, me| {
            let status = CommitStatus {
                id: state.fresh_id(),
                sha: sha.to_owned(),
                state: word.to_owned(),
                context: context.to_owned(),
                description: None,
                target_url: None,
                creator: me,
                created_at: state.now(),
            };
            state.report_status(id, me, status)
        })
    }

    /// Deploys: makes a deployment of a ref to an environment and gives its id.
    pub fn deploy(&self, repo: &str, reference: &str, environment: &str) -> Done<u64> {
        let body = json!({ "ref": reference, "environment": environment, "required_contexts": [] });
        self.act(repo, |state, id, me| state.create_deployment(id, me, &body))
    }

    /// Reports the state of a deployment.
    pub fn report_deployment(&self, repo: &str, deployment: u64, word: &str) -> Done {
        let body = json!({ "state": word });
        self.act(repo, |state, id, me| {
            state.create_deployment_status(id, me, deployment, &body).map(drop)
        })
    }
}

/// The body with the first open box on a line containing `text` ticked.
fn ticked(body: &str, text: &str) -> Option<String> {
    let mut done = false;
    let lines = body.split_inclusive('\n').map(|line| {
        if done || !line.contains(text) || !line.trim_start().starts_with("- [ ]") {
            return line.to_owned();
        }
        done = true;
        line.replacen("- [ ]", "- [x]", 1)
    });
    let ticked: String = lines.collect();
    done.then_some(ticked)
}
