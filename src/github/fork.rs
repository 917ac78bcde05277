//! A fork to push to: whether it is one, and whether the App may.

use serde::Deserialize;

use super::client::{Call, Caller};
use super::installation::{Installation, InstallationAnswer, read_installation};
use super::path::segment;
use super::{App, GitHubError, Repo};
use crate::model::{ForkProblem, InstallationId, Repository, RepositoryId, RepositoryName};

#[derive(Deserialize)]
struct ForkAnswer {
    id: i64,
    /// Unknown counts as private: the stricter reading.
    private: Option<bool>,
    #[serde(default)]
    archived: bool,
    /// What it was forked from.
    parent: Option<OriginAnswer>,
    /// What all of them were forked from.
    source: Option<OriginAnswer>,
}

#[derive(Deserialize)]
struct OriginAnswer {
    id: i64,
}

/// A fork that can be pushed to.
pub(super) struct Forked {
    pub id: RepositoryId,
    pub installation: InstallationId,
    pub name: RepositoryName,
    pub private: bool,
}

impl ForkAnswer {
    fn is_of(&self, repository: RepositoryId) -> bool {
        [&self.parent, &self.source].into_iter().flatten().any(|origin| origin.id == repository.0)
    }
}

impl App {
    /// The fork of a repository that has this name, as it is now; or why nothing can be pushed to it.
    ///
    /// It is reached by the installation on the fork, never by that on the repository.
    ///
    /// # Errors
    /// Those of every reading call.
    pub async fn fork(
        &self,
        name: &RepositoryName,
        of: &Repository,
    ) -> Result<Result<Repo, ForkProblem>, GitHubError> {
        let path = format!("/repos/{}/{}", segment(name.owner()), segment(name.name()));
        let Some(installation) = self.installed(&path).await? else {
            return Ok(Err(ForkProblem::NotInstalled));
        };
        if installation.suspended {
            return Ok(Err(ForkProblem::Suspended));
        }
        if installation.permissions.get("contents").map(String::as_str) != Some("write") {
            return Ok(Err(ForkProblem::ReadOnly));
        }
        let reader = Self::metadata_reader(installation.id);
        let fork: ForkAnswer = self.client().read(reader, &Call::get(path)).await?.value;
        let private = fork.private.unwrap_or(true);
        Ok(if !fork.is_of(of.id) {
            Err(ForkProblem::NoFork)
        } else if fork.archived {
            Err(ForkProblem::Archived)
        } else if private && installation.id != of.installation {
            Err(ForkProblem::Hidden)
        } else {
            let (id, name) = (RepositoryId(fork.id), name.clone());
            let fork = Forked { id, installation: installation.id, name, private };
            Ok(Repo::fork(self.clone(), fork))
        })
    }

    /// The installation that has the repository of a path.
    async fn installed(&self, path: &str) -> Result<Option<Installation>, GitHubError> {
        let call = Call::get(format!("{path}/installation"));
        match self.client().read::<InstallationAnswer>(Caller::App, &call).await {
            Ok(answer) => Ok(read_installation(answer.value)),
            Err(GitHubError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
