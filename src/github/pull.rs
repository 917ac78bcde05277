//! Pull requests: their state, and Baton's own.

use serde::Deserialize;
use serde_json::json;

use super::client::Call;
use super::issue::cut_title;
use super::pages::{PAGE, Pages};
use super::path::segment;
use super::wire::{Account, Numbered, author};
use super::{GitHubError, Repo};
use crate::model::{BranchName, PullFacts, RepositoryId, Sha, Timestamp, cut};

/// The longest text of a pull request, in characters.
const BODY_LIMIT: usize = 65_536;

/// A pull request that was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CreatedPull {
    /// Its number.
    pub number: u64,
    /// Whether it is a draft: private repositories of free plans have none.
    pub draft: bool,
}

#[derive(Deserialize)]
pub(super) struct PullAnswer {
    number: u64,
    #[serde(default)]
    pub(super) node_id: String,
    state: String,
    #[serde(default)]
    pub(super) draft: bool,
    /// The lists have this and no `merged`.
    merged_at: Option<Timestamp>,
    /// Before the merge, the commit of a trial merge.
    merge_commit_sha: Option<Sha>,
    user: Option<Account>,
    head: SideAnswer,
    base: SideAnswer,
}

#[derive(Deserialize)]
struct SideAnswer {
    #[serde(rename = "ref")]
    branch: String,
    sha: Sha,
    /// None when the fork was deleted.
    repo: Option<SideRepositoryAnswer>,
}

#[derive(Deserialize)]
struct SideRepositoryAnswer {
    id: i64,
}

impl Repo {
    /// A pull request.
    ///
    /// # Errors
    /// `NotFound` when there is none of that number.
    pub async fn pull(&self, number: u64) -> Result<PullFacts, GitHubError> {
        self.read_pull(self.pull_answer(number).await?)
    }

    pub(super) async fn pull_answer(&self, number: u64) -> Result<PullAnswer, GitHubError> {
        self.read(&Call::get(self.path(&format!("/pulls/{number}")))).await
    }

    /// The pull request from a branch of this repository or of a fork: the open one, else the newest.
    ///
    /// # Errors
    /// None of its own.
    pub async fn find_pull(
        &self,
        from: &Repo,
        branch: &BranchName,
    ) -> Result<Option<PullFacts>, GitHubError> {
        let head = segment(&format!("{}:{branch}", from.name.owner()));
        let path = self.path(&format!("/pulls?head={head}&state=all&{PAGE}"));
        let pages = Pages::new(self.client(), self.opener(from), path);
        // GitHub leaves out a filter that it does not understand, and an account can have several
        // repositories of one network, so the answer is checked.
        let own =
            |pull: &PullAnswer| pull.head.is_of(from.id) && pull.head.branch == branch.as_str();
        let pulls = pages.all::<PullAnswer>().await?.into_iter().filter(own);
        let best = pulls.max_by_key(|pull| (pull.state == "open", pull.number));
        best.map(|pull| self.read_pull(pull)).transpose()
    }

    /// Opens a pull request from a branch of this repository or of a fork; where the repository has no
    /// drafts, one that is ready.
    ///
    /// Title and text are cut to GitHub's limits. Not to be repeated without [`Repo::find_pull`].
    ///
    /// # Errors
    /// `Refused` when there is one from that branch already, or nothing to merge.
    pub async fn create_pull(
        &self,
        title: &str,
        body: &str,
        from: &Repo,
        branch: &BranchName,
        base: &BranchName,
        draft: bool,
    ) -> Result<CreatedPull, GitHubError> {
        let create = async |draft: bool| {
            let mut pull = json!({
                "title": cut_title(title),
                "body": cut(body, BODY_LIMIT),
                "head": branch,
                "base": base,
                "draft": draft,
            });
            if from.id != self.id {
                pull["head"] = json!(format!("{}:{branch}", from.name.owner()));
                pull["head_repo"] = json!(from.name);
                // Granted unless denied; and GitHub refuses a grant by whose token does not reach the fork.
                pull["maintainer_can_modify"] = json!(false);
            }
            let call = Call::post(self.path("/pulls"), pull);
            let created = self.client().read::<Numbered>(self.opener(from), &call).await?;
            Ok(CreatedPull { number: created.value.number, draft })
        };
        match create(draft).await {
            Err(GitHubError::Refused { status: 422, message }) if draft && no_drafts(&message) => {
                create(false).await
            }
            created => created,
        }
    }

    /// Gives a pull request another title and text, cut to GitHub's limits.
    ///
    /// # Errors
    /// `NotFound` when there is none of that number.
    pub async fn update_pull(
        &self,
        number: u64,
        title: &str,
        body: &str,
    ) -> Result<(), GitHubError> {
        let path = self.path(&format!("/pulls/{number}"));
        let pull = json!({ "title": cut_title(title), "body": cut(body, BODY_LIMIT) });
        self.tell(&Call::patch(path, pull)).await
    }

    fn read_pull(&self, answer: PullAnswer) -> Result<PullFacts, GitHubError> {
        let unreadable = |invalid: crate::model::InvalidValue| GitHubError::Unreadable {
            what: format!("pull request {}", answer.number),
            message: invalid.to_string(),
        };
        let own_branch = answer.head.is_of(self.id).then_some(&answer.head.branch);
        let author = author(answer.user);
        Ok(PullFacts {
            number: answer.number,
            open: answer.state == "open",
            merged: answer.merged_at.and(answer.merge_commit_sha),
            branch: own_branch.and_then(|branch| BranchName::new(branch).ok()),
            head: answer.head.sha,
            base: BranchName::new(answer.base.branch).map_err(unreadable)?,
            draft: answer.draft,
            author: author.id,
            author_login: author.login,
        })
    }
}

impl SideAnswer {
    fn is_of(&self, repository: RepositoryId) -> bool {
        self.repo.as_ref().is_some_and(|repo| repo.id == repository.0)
    }
}

/// GitHub's sentence is "Draft pull requests are not supported in this repository."
fn no_drafts(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    message.contains("draft") && message.contains("not supported")
}
