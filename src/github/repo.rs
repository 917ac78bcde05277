//! One repository: the handle by which everything there is asked and written.

use http::Uri;
use secrecy::SecretString;
use serde::de::DeserializeOwned;

use super::client::{Call, Caller, Client};
use super::fork::Forked;
use super::pages::{PAGE, Pages};
use super::path::segment;
use super::token::{Access, Grant, Key};
use super::{App, AppIdentity, GitHubError};
use crate::model::{InstallationId, Repository, RepositoryId, RepositoryName};

/// A repository of an installation. Its tokens reach no other repository.
///
/// Every call can fail with the variants of [`GitHubError`] that say so: `Retry`, `Paused`,
/// `Unauthorized`, `Forbidden`, `NotFound`, `Unreadable`. Methods name only what they add to these.
#[derive(Debug, Clone)]
pub struct Repo {
    app: App,
    pub(super) id: RepositoryId,
    installation: InstallationId,
    pub(super) name: RepositoryName,
    /// Whether outsiders cannot read it.
    private: bool,
}

impl Repo {
    pub(super) fn new(app: App, repository: &Repository) -> Self {
        let Repository { id, installation, name, private, .. } = repository;
        Self { app, id: *id, installation: *installation, name: name.clone(), private: *private }
    }

    /// A fork, reached by the installation that has it.
    pub(super) fn fork(app: App, fork: Forked) -> Self {
        let Forked { id, installation, name, private } = fork;
        Self { app, id, installation, name, private }
    }

    /// The address that git clones from and pushes to, without a credential.
    #[must_use]
    pub fn git_url(&self) -> String {
        git_url(self.client().connection.base(), &self.name)
    }

    /// A token for git that reaches this repository's contents alone, good for five minutes at
    /// least. It is the password to the user `x-access-token`.
    ///
    /// # Errors
    /// `Refused` when the installation does not have the repository or the permission any more;
    /// and those of every call.
    pub async fn git_token(&self, access: Access) -> Result<SecretString, GitHubError> {
        Ok(self.client().token(self.key(Grant::Contents(access))).await?.secret)
    }

    pub(super) fn client(&self) -> &Client {
        self.app.client()
    }

    /// Who Baton is here: what tells its own comments, reviews and checks from those of others.
    pub(super) async fn own(&self) -> Result<&AppIdentity, GitHubError> {
        self.app.identity().await
    }

    fn key(&self, grant: Grant) -> Key {
        Key { installation: self.installation, repository: Some(self.id), grant }
    }

    pub(super) fn caller(&self) -> Caller {
        Caller::Installation(self.key(Grant::Full))
    }

    /// By whom pull requests from that repository are opened and found: where it is private, with a token that
    /// sees it.
    pub(super) fn opener(&self, from: &Self) -> Caller {
        let unseen = from.id != self.id && from.private && from.installation == self.installation;
        let grant = if unseen { Grant::PullFrom(from.id) } else { Grant::Full };
        Caller::Installation(self.key(grant))
    }

    pub(super) fn installation(&self) -> InstallationId {
        self.installation
    }

    /// `/repos/{owner}/{name}` and what follows.
    pub(super) fn path(&self, rest: &str) -> String {
        let (owner, name) = (segment(self.name.owner()), segment(self.name.name()));
        format!("/repos/{owner}/{name}{rest}")
    }

    /// Asks and reads the answer.
    pub(super) async fn read<T: DeserializeOwned>(&self, call: &Call) -> Result<T, GitHubError> {
        Ok(self.client().read(self.caller(), call).await?.value)
    }

    /// Asks, whatever the answer is.
    pub(super) async fn tell(&self, call: &Call) -> Result<(), GitHubError> {
        self.client().ask(self.caller(), call).await.map(drop)
    }

    /// A list below the repository, 100 entries a page; `rest` may have a query.
    pub(super) fn pages(&self, rest: &str) -> Pages<'_> {
        let joint = if rest.contains('?') { '&' } else { '?' };
        let path = self.path(&format!("{rest}{joint}{PAGE}"));
        Pages::new(self.client(), self.caller(), path)
    }
}

/// Where git is for an API: `api.` is another host of the same GitHub, `/api/v3` another path.
fn git_url(api: &Uri, name: &RepositoryName) -> String {
    let host = api.authority().map(http::uri::Authority::as_str).unwrap_or_default();
    let (host, path) = match (host.strip_prefix("api."), api.path().trim_end_matches('/')) {
        (Some(host), "") => (host, ""),
        (_, path) => (host, path.strip_suffix("/api/v3").unwrap_or(path)),
    };
    format!("{}://{host}{path}/{name}.git", api.scheme_str().unwrap_or("https"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn git_lives_beside_the_api() {
        let name = RepositoryName::new("octo", "tools").expect("a name");
        let url = |api: &str| git_url(&api.parse().expect("a URL"), &name);
        assert_eq!(url("https://api.github.com"), "https://github.com/octo/tools.git");
        assert_eq!(url("https://api.octo.ghe.com/"), "https://octo.ghe.com/octo/tools.git");
        assert_eq!(url("https://ghe.test/api/v3"), "https://ghe.test/octo/tools.git");
        assert_eq!(url("http://127.0.0.1:7000"), "http://127.0.0.1:7000/octo/tools.git");
    }
}
