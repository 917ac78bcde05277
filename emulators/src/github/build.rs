//! Building the world a test or demo begins with, and changing what is nobody's doing in it.

use std::path::Path;

use super::answer::Refusal;
use super::git::{self, File};
use super::handle::{GitHub, find};
use super::model::{Account, AccountKind, PushRule, Role};
use super::world::{RepoHandle, RepositoryOptions};

impl GitHub {
    /// Makes a person, or gives the one there is.
    pub fn add_user(&self, login: &str) -> Account {
        self.world.change(|state| state.add_account(login, AccountKind::User))
    }

    /// Makes an organization, or gives the one there is.
    pub fn add_organization(&self, login: &str) -> Account {
        self.world.change(|state| state.add_account(login, AccountKind::Organization))
    }

    /// Makes another bot than the App's, which may act like a person.
    pub fn add_bot(&self, login: &str) -> Account {
        self.world.change(|state| state.add_account(login, AccountKind::Bot))
    }

    /// Makes a bare repository with one commit on `main`.
    ///
    /// # Errors
    /// When the owner is unknown, the name taken, or git fails.
    pub fn add_repository(
        &self,
        owner: &str,
        name: &str,
        files: &[File<'_>],
        options: RepositoryOptions,
    ) -> Result<RepoHandle, Refusal> {
        self.world.change(|state| state.add_repository(owner, name, files, options))
    }

    /// Makes a bare repository whose `main` is a copy of the commit that another one is on.
    ///
    /// # Errors
    /// When the owner is unknown, the name taken, or there is no such repository.
    pub fn add_copy(
        &self,
        owner: &str,
        name: &str,
        source: &Path,
        options: RepositoryOptions,
    ) -> Result<RepoHandle, Refusal> {
        let copy = |path: &Path| git::copy_head(path, source);
        self.world.change(|state| state.add_filled(owner, name, options, copy))
    }

    /// Makes a fork of a repository (`owner/name`), with all its branches.
    ///
    /// # Errors
    /// When the owner or the repository is unknown, or the name taken.
    pub fn add_fork(&self, owner: &str, name: &str, of: &str) -> Result<RepoHandle, Refusal> {
        self.world.change(|state| {
            let parent = find(state, of)?;
            state.add_fork(owner, name, parent)
        })
    }

    /// Presses *Sync fork*: the fork's branches are as those of its parent, its own stay.
    ///
    /// # Errors
    /// When it is unknown or no fork.
    pub fn sync_fork(&self, fork: &str) -> Result<(), Refusal> {
        self.world.change(|state| {
            let id = find(state, fork)?;
            state.sync_fork(id)
        })
    }

    /// Deletes a repository with all that is in it.
    ///
    /// # Errors
    /// When it is unknown or its folder cannot be deleted.
    pub fn delete_repository(&self, repo: &str) -> Result<(), Refusal> {
        self.world.change(|state| {
            let id = find(state, repo)?;
            state.delete_repository(id)
        })
    }

    /// Changes what the App is registered with: what later installations grant, and what it hears of.
    pub fn register(&self, permissions: &[(&str, &str)], events: &[&str]) {
        self.world.change(|state| {
            let owned = permissions.iter().map(|(n, l)| ((*n).to_owned(), (*l).to_owned()));
            state.app_permissions = owned.collect();
            state.app_events = events.iter().map(|event| (*event).to_owned()).collect();
        });
    }

    /// Installs the App on repositories of an account; installed before, it gets them in addition.
    ///
    /// # Errors
    /// When the account or one of its repositories is unknown.
    pub fn install(&self, account: &str, repositories: &[&str]) -> Result<u64, Refusal> {
        self.world.change(|state| {
            let id = state.account(account).map(|known| known.id).ok_or_else(Refusal::not_found)?;
            let mut ids = Vec::new();
            for name in repositories {
                ids.push(state.repository_id(account, name).ok_or_else(Refusal::not_found)?);
            }
            Ok(state.install(id, &ids))
        })
    }

    /// Replaces the permissions of an installation; tokens made before keep theirs.
    pub fn set_permissions(&self, installation: u64, permissions: &[(&str, &str)]) {
        self.world.change(|state| {
            if let Some(known) = state.installations.get_mut(&installation) {
                let owned = permissions.iter().map(|(n, l)| ((*n).to_owned(), (*l).to_owned()));
                known.permissions = owned.collect();
            }
        });
    }

    /// Takes repositories (`owner/name`) out of an installation.
    pub fn uninstall_repositories(&self, installation: u64, repositories: &[&str]) {
        self.world.change(|state| {
            let ids: Vec<u64> =
                repositories.iter().filter_map(|repo| find(state, repo).ok()).collect();
            state.uninstall_repositories(installation, &ids);
        });
    }

    /// Ends an installation; its tokens die.
    pub fn uninstall(&self, installation: u64) {
        self.world.change(|state| state.uninstall(installation));
    }

    /// Suspends an installation, or ends that.
    pub fn suspend(&self, installation: u64, suspended: bool) {
        self.world.change(|state| state.suspend(installation, suspended));
    }

    /// Gives a person a role.
    ///
    /// # Errors
    /// When the repository or person is unknown.
    pub fn grant(&self, repo: &str, login: &str, role: Role) -> Result<(), Refusal> {
        self.set_role(repo, login, Some(role))
    }

    /// Takes a person's role away.
    ///
    /// # Errors
    /// When the repository or person is unknown.
    pub fn revoke(&self, repo: &str, login: &str) -> Result<(), Refusal> {
        self.set_role(repo, login, None)
    }

    fn set_role(&self, repo: &str, login: &str, role: Option<Role>) -> Result<(), Refusal> {
        self.world.change(|state| {
            let id = find(state, repo)?;
            let account = state.account(login).map(|known| known.id);
            let account = account.ok_or_else(Refusal::not_found)?;
            let roles = &mut state.repository_mut(id)?.roles;
            match role {
                Some(role) => roles.insert(account, role),
                None => roles.remove(&account),
            };
            Ok(())
        })
    }

    /// Makes a repository read-only, or ends that.
    ///
    /// # Errors
    /// When it is unknown.
    pub fn archive(&self, repo: &str, archived: bool) -> Result<(), Refusal> {
        self.world.change(|state| {
            let id = find(state, repo)?;
            state.repository_mut(id)?.archived = archived;
            Ok(())
        })
    }

    /// Refuses pushes to refs of a pattern (`refs/heads/main`, `refs/heads/release*`) with a
    /// reason the pusher is shown.
    ///
    /// # Errors
    /// When the repository is unknown or cannot be written.
    pub fn refuse_push(&self, repo: &str, pattern: &str, reason: &str) -> Result<(), Refusal> {
        self.world.change(|state| {
            let id = find(state, repo)?;
            let rule = PushRule { pattern: pattern.to_owned(), reason: reason.to_owned() };
            Ok(git::add_push_rule(&state.repository(id)?.path, &rule)?)
        })
    }
}
