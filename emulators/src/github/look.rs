//! Looking at what is there: copies, taken at one moment each.

use super::git;
use super::handle::{GitHub, find};
use super::hooks::DeliveryRecord;
use super::model::{CheckRun, CheckSuite, Comment, Deployment, Issue, Pull, Review};
use super::server::{RecordedRequest, TokenUse};
use super::state::State;

impl GitHub {
    /// An issue or pull request with its comments.
    pub fn issue(&self, repo: &str, number: u64) -> Option<Issue> {
        self.ask(repo, |state, id| state.issue(id, number).ok().cloned())
    }

    /// All issues and pull requests, by number.
    pub fn issues(&self, repo: &str) -> Vec<Issue> {
        self.ask(repo, |state, id| {
            Some(state.repository(id).ok()?.issues.values().cloned().collect())
        })
        .unwrap_or_default()
    }

    /// The comments of an issue or pull request.
    pub fn comments(&self, repo: &str, number: u64) -> Vec<Comment> {
        self.issue(repo, number).map(|issue| issue.comments).unwrap_or_default()
    }

    /// The pull request side of a number.
    pub fn pull(&self, repo: &str, number: u64) -> Option<Pull> {
        self.issue(repo, number)?.pull
    }

    /// The reviews of a pull request.
    pub fn reviews(&self, repo: &str, number: u64) -> Vec<Review> {
        self.pull(repo, number).map(|pull| pull.reviews).unwrap_or_default()
    }

    /// The check runs on a commit, oldest first.
    pub fn checks(&self, repo: &str, sha: &str) -> Vec<CheckRun> {
        let mut runs = self.all_checks(repo);
        runs.retain(|run| run.head_sha == sha);
        runs
    }

    /// All check runs of a repository, oldest first.
    pub fn all_checks(&self, repo: &str) -> Vec<CheckRun> {
        self.ask(repo, |state, id| Some(state.repository(id).ok()?.check_runs.clone()))
            .unwrap_or_default()
    }

    /// All check suites of a repository, oldest first.
    pub fn check_suites(&self, repo: &str) -> Vec<CheckSuite> {
        self.ask(repo, |state, id| Some(state.repository(id).ok()?.check_suites.clone()))
            .unwrap_or_default()
    }

    /// The deployments of a repository, oldest first.
    pub fn deployments(&self, repo: &str) -> Vec<Deployment> {
        self.ask(repo, |state, id| Some(state.repository(id).ok()?.deployments.clone()))
            .unwrap_or_default()
    }

    /// The tip of a branch, whatever the API shows of it yet.
    pub fn branch(&self, repo: &str, branch: &str) -> Option<String> {
        let reference = format!("refs/heads/{branch}");
        self.ask(repo, |state, id| state.repository(id).ok()?.refs.get(&reference).cloned())
    }

    /// The names of all branches.
    pub fn branches(&self, repo: &str) -> Vec<String> {
        let names = |state: &State, id| {
            let refs = state.repository(id).ok()?.refs.keys();
            Some(refs.filter_map(|r| r.strip_prefix("refs/heads/")).map(str::to_owned).collect())
        };
        self.ask(repo, names).unwrap_or_default()
    }

    /// The content of a file at a branch or commit.
    pub fn file(&self, repo: &str, revision: &str, path: &str) -> Option<Vec<u8>> {
        self.ask(repo, |state, id| {
            let repository = state.repository(id).ok()?;
            git::blob(&repository.path, &format!("{revision}:{path}")).ok()
        })
    }

    /// The bare repository's folder.
    pub fn repository_path(&self, repo: &str) -> Option<std::path::PathBuf> {
        self.ask(repo, |state, id| Some(state.repository(id).ok()?.path.clone()))
    }

    /// The login of an account id.
    pub fn login(&self, id: u64) -> String {
        self.world.look(|state| state.login(id).to_owned())
    }

    /// Every API request so far, in order.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.world.look(|state| state.requests.clone())
    }

    /// Every use of an installation's token so far, in order.
    pub fn token_uses(&self) -> Vec<TokenUse> {
        self.world.look(|state| state.token_uses.clone())
    }

    /// Requests to routes the stand-in does not know: `METHOD /path`. Tests fail on any.
    pub fn unknown_routes(&self) -> Vec<String> {
        self.world.look(|state| state.unknown_routes.clone())
    }

    /// Every webhook so far, in the order things happened.
    pub fn deliveries(&self) -> Vec<DeliveryRecord> {
        self.world.look(|state| state.deliveries.iter().map(DeliveryRecord::from).collect())
    }

    fn ask<T>(&self, repo: &str, question: impl FnOnce(&State, u64) -> Option<T>) -> Option<T> {
        self.world.look(|state| question(state, find(state, repo).ok()?))
    }
}
