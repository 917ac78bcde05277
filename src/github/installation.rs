//! Where the App is installed, and what it reaches there.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::client::Caller;
use super::pages::{PAGE, Pages};
use super::wire::Account;
use super::{App, GitHubError};
use crate::model::{ActorId, BranchName, InstallationId, RepositoryId, RepositoryName, Timestamp};

/// One installation of the App.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    /// GitHub's id.
    pub id: InstallationId,
    /// The account that installed it.
    pub account_id: ActorId,
    /// Its login; empty for an enterprise.
    pub account_login: String,
    /// Whether somebody suspended it: no token is to be had.
    pub suspended: bool,
    /// What it allows: `issues` to `write`.
    pub permissions: BTreeMap<String, String>,
}

/// One repository as an installation shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenRepository {
    /// GitHub's id.
    pub id: RepositoryId,
    /// `owner/name`.
    pub name: RepositoryName,
    /// Where pull requests go to.
    pub default_branch: BranchName,
    /// Whether outsiders cannot read it.
    pub private: bool,
    /// Whether nothing can be written to it.
    pub archived: bool,
}

#[derive(Deserialize)]
pub(super) struct InstallationAnswer {
    id: i64,
    account: Option<AccountAnswer>,
    suspended_at: Option<Timestamp>,
    #[serde(default)]
    permissions: BTreeMap<String, String>,
}

/// An enterprise has no login.
#[derive(Deserialize)]
struct AccountAnswer {
    id: i64,
    #[serde(default)]
    login: String,
}

#[derive(Deserialize)]
struct RepositoriesAnswer {
    repositories: Vec<RepositoryAnswer>,
}

#[derive(Deserialize)]
struct RepositoryAnswer {
    id: i64,
    name: String,
    owner: Account,
    default_branch: String,
    private: bool,
    #[serde(default)]
    archived: bool,
}

impl App {
    /// All installations of the App, suspended ones included.
    ///
    /// # Errors
    /// Those of every reading call.
    pub async fn installations(&self) -> Result<Vec<Installation>, GitHubError> {
        let path = format!("/app/installations?{PAGE}");
        let pages = Pages::new(self.client(), Caller::App, path);
        let answers = pages.all::<InstallationAnswer>().await?;
        Ok(answers.into_iter().filter_map(read_installation).collect())
    }

    /// All repositories that an installation reaches.
    ///
    /// A repository whose default branch has a name that Baton does not take is left out and logged.
    ///
    /// # Errors
    /// `NotFound` when the installation is gone, `Forbidden` when it is suspended; and those of
    /// every reading call.
    pub async fn repositories(
        &self,
        installation: InstallationId,
    ) -> Result<Vec<SeenRepository>, GitHubError> {
        let path = format!("/installation/repositories?{PAGE}");
        let caller = Self::metadata_reader(installation);
        let mut pages = Pages::new(self.client(), caller, path);
        let mut seen = Vec::new();
        while let Some(page) = pages.next::<RepositoriesAnswer>().await? {
            seen.extend(page.repositories.into_iter().filter_map(read_repository));
        }
        Ok(seen)
    }
}

pub(super) fn read_installation(answer: InstallationAnswer) -> Option<Installation> {
    let account = answer.account?;
    Some(Installation {
        id: InstallationId(answer.id),
        account_id: ActorId(account.id),
        account_login: account.login,
        suspended: answer.suspended_at.is_some(),
        permissions: answer.permissions,
    })
}

fn read_repository(answer: RepositoryAnswer) -> Option<SeenRepository> {
    let name = RepositoryName::new(&answer.owner.login, &answer.name);
    let default_branch = BranchName::new(answer.default_branch);
    match (name, default_branch) {
        (Ok(name), Ok(default_branch)) => Some(SeenRepository {
            id: RepositoryId(answer.id),
            name,
            default_branch,
            private: answer.private,
            archived: answer.archived,
        }),
        (Err(invalid), _) | (_, Err(invalid)) => {
            tracing::warn!(repo.id = answer.id, %invalid, "a repository is left out");
            None
        }
    }
}
