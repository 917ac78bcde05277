//! Building the world: accounts, repositories, installations, roles, push rules.

use std::{collections::BTreeMap, io, path::Path};

use serde_json::json;

use super::answer::Refusal;
use super::git::{self, File, Signature};
use super::model::{Account, AccountKind, Installation, Repository};
use super::state::State;

/// What kind of repository to make.
#[derive(Clone, Copy, Debug)]
pub struct RepositoryOptions {
    /// Whether only collaborators see it.
    pub private: bool,
    /// Whether it may have draft pull requests; private ones of the free plan may not.
    pub drafts: bool,
}

impl Default for RepositoryOptions {
    fn default() -> RepositoryOptions {
        RepositoryOptions { private: false, drafts: true }
    }
}

/// A repository that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepoHandle {
    /// The numeric id.
    pub id: u64,
    /// The owner's login.
    pub owner: String,
    /// The name.
    pub name: String,
    /// The first commit on `main`.
    pub first_commit: String,
}

impl RepoHandle {
    /// `owner/name`.
    pub fn full_name(&self) -> String {
        format!("{}/{}", self.owner, self.name)
    }
}

impl State {
    /// Makes an account, or gives the one there is.
    pub(crate) fn add_account(&mut self, login: &str, kind: AccountKind) -> Account {
        if let Some(known) = self.account(login) {
            return known.clone();
        }
        let account = Account { id: self.fresh_id(), login: login.to_owned(), kind };
        self.accounts.insert(account.id, account.clone());
        account
    }

    /// Makes a repository with one commit, by its owner or, for an organization, by `author`.
    pub(crate) fn add_repository(
        &mut self,
        owner: &str,
        name: &str,
        files: &[File<'_>],
        options: RepositoryOptions,
    ) -> Result<RepoHandle, Refusal> {
        let author = Signature {
            name: owner.to_owned(),
            email: format!("{owner}@users.noreply.github.com"),
            at: self.now(),
        };
        self.add_filled(owner, name, options, |path| {
            git::commit_files(path, "main", None, &author, "first commit", files)
        })
    }

    /// Makes a repository whose content a function puts on `main`.
    pub(crate) fn add_filled(
        &mut self,
        owner: &str,
        name: &str,
        options: RepositoryOptions,
        fill: impl FnOnce(&Path) -> io::Result<()>,
    ) -> Result<RepoHandle, Refusal> {
        let owner = self.account(owner).cloned().ok_or_else(Refusal::not_found)?;
        if self.repository_id(&owner.login, name).is_some() {
            return Err(Refusal::custom(
                "Repository",
                "name",
                "name already exists on this account",
            ));
        }
        let path = self.data_dir.join(&owner.login).join(format!("{name}.git"));
        git::init(&path)?;
        let now = self.now();
        fill(&path)?;
        let refs = git::refs(&path)?;
        let first_commit = refs.get("refs/heads/main").cloned().unwrap_or_default();
        let id = self.fresh_id();
        let repository = Repository {
            id,
            owner: owner.id,
            name: name.to_owned(),
            parent: None,
            private: options.private,
            drafts: options.drafts,
            archived: false,
            default_branch: "main".to_owned(),
            created_at: now,
            pushed_at: now,
            path,
            refs,
            lags: Vec::new(),
            roles: BTreeMap::new(),
            labels: Vec::new(),
            issues: BTreeMap::new(),
            check_suites: Vec::new(),
            check_runs: Vec::new(),
            statuses: Vec::new(),
            deployments: Vec::new(),
        };
        self.repositories.insert(id, repository);
        Ok(RepoHandle { id, owner: owner.login, name: name.to_owned(), first_commit })
    }

    /// Deletes a repository; installations lose it.
    pub(crate) fn delete_repository(&mut self, id: u64) -> Result<(), Refusal> {
        let path = self.repository(id)?.path.clone();
        let installed = self.installations.values();
        let of: Vec<u64> =
            installed.filter(|one| one.repositories.contains(&id)).map(|one| one.id).collect();
        for installation in of {
            self.uninstall_repositories(installation, &[id]);
        }
        self.repositories.remove(&id);
        Ok(std::fs::remove_dir_all(path)?)
    }

    /// Installs the App on repositories of an account, or on more of them; gives the installation.
    pub(crate) fn install(&mut self, account: u64, repositories: &[u64]) -> u64 {
        let known = self.installations.values_mut().find(|known| known.account == account);
        if let Some(known) = known {
            let id = known.id;
            let before = known.repositories.clone();
            known.repositories.extend(repositories.iter().filter(|id| !before.contains(id)));
            let fields = json!({
                "repository_selection": "selected",
                "repositories_added": self.short_repositories(repositories),
                "repositories_removed": [],
                "requester": null,
            });
            self.emit_installation(id, "installation_repositories", "added", fields, account);
            return id;
        }
        let installation = Installation {
            id: self.fresh_id(),
            account,
            repositories: repositories.to_vec(),
            permissions: self.app_permissions.clone(),
            suspended_at: None,
            created_at: self.now(),
        };
        let id = installation.id;
        self.installations.insert(id, installation);
        let fields =
            json!({ "repositories": self.short_repositories(repositories), "requester": null });
        self.emit_installation(id, "installation", "created", fields, account);
        id
    }

    /// Takes repositories out of an installation; its tokens no longer reach them.
    pub(crate) fn uninstall_repositories(&mut self, id: u64, repositories: &[u64]) {
        let Some(known) = self.installations.get_mut(&id) else { return };
        known.repositories.retain(|known| !repositories.contains(known));
        let account = known.account;
        let fields = json!({
            "repository_selection": "selected",
            "repositories_added": [],
            "repositories_removed": self.short_repositories(repositories),
            "requester": null,
        });
        self.emit_installation(id, "installation_repositories", "removed", fields, account);
    }

    /// Ends an installation; its tokens die.
    pub(crate) fn uninstall(&mut self, id: u64) {
        let Some(known) = self.installations.get(&id) else { return };
        let (account, repositories) = (known.account, known.repositories.clone());
        let fields =
            json!({ "repositories": self.short_repositories(&repositories), "requester": null });
        self.emit_installation(id, "installation", "deleted", fields, account);
        self.installations.remove(&id);
    }

    /// Suspends an installation (its tokens fail, it hears nothing) or ends that.
    pub(crate) fn suspend(&mut self, id: u64, suspended: bool) {
        let now = self.now();
        let Some(known) = self.installations.get_mut(&id) else { return };
        known.suspended_at = suspended.then_some(now);
        let account = known.account;
        let action = if suspended { "suspend" } else { "unsuspend" };
        self.emit_installation(id, "installation", action, json!({}), account);
    }

    fn short_repositories(&self, ids: &[u64]) -> serde_json::Value {
        ids.iter()
            .filter_map(|id| self.repositories.get(id))
            .map(|repository| {
                json!({
                    "id": repository.id,
                    "node_id": super::json::node_id("R", repository.id),
                    "name": repository.name,
                    "full_name": self.full_name(repository),
                    "private": repository.private,
                })
            })
            .collect()
    }
}
