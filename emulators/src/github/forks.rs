//! Forks: repositories of their own with a parent, and pull requests whose head is in one of them.

use super::answer::Refusal;
use super::git;
use super::state::State;
use super::world::{RepoHandle, RepositoryOptions};

/// Where a pull request comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// The repository, the pull request's own or a fork.
    pub repository: u64,
    pub branch: String,
}

impl State {
    /// Makes a fork with the branches that its parent has now.
    pub(crate) fn add_fork(
        &mut self,
        owner: &str,
        name: &str,
        parent: u64,
    ) -> Result<RepoHandle, Refusal> {
        let upstream = self.repository(parent)?;
        let options = RepositoryOptions { private: upstream.private, drafts: upstream.drafts };
        let source = upstream.path.clone();
        let fork =
            self.add_filled(owner, name, options, |path| git::copy_branches(path, &source))?;
        self.repository_mut(fork.id)?.parent = Some(parent);
        Ok(fork)
    }

    /// Brings the parent's branches, as they are now; told as a push by the fork's owner.
    pub(crate) fn sync_fork(&mut self, id: u64) -> Result<(), Refusal> {
        let fork = self.repository(id)?;
        let (path, owner) = (fork.path.clone(), fork.owner);
        let parent = fork.parent.ok_or_else(Refusal::not_found)?;
        git::copy_branches(&path, &self.repository(parent)?.path)?;
        let changes = self.refresh_refs(id)?;
        self.after_push(id, owner, &changes)
    }

    /// The repository that all forks of forks began with.
    pub(crate) fn source(&self, mut id: u64) -> u64 {
        while let Some(parent) = self.repositories.get(&id).and_then(|known| known.parent) {
            id = parent;
        }
        id
    }

    /// Reads `branch` or `owner:branch`; two repositories of one owner are told apart by `head_repo`.
    pub(crate) fn pull_head(
        &self,
        id: u64,
        head: &str,
        head_repo: Option<&str>,
    ) -> Result<Head, Refusal> {
        let invalid = |field| Refusal::field("PullRequest", field, "invalid");
        let (owner, branch) = match head.split_once(':') {
            Some((owner, branch)) => (Some(owner), branch),
            None => (None, head),
        };
        let of_owner = |known: &u64| {
            let account = self.repositories.get(known).map(|known| self.login(known.owner));
            owner.is_none_or(|owner| account.is_some_and(|has| has.eq_ignore_ascii_case(owner)))
        };
        let repository = match head_repo {
            Some(name) => {
                let (owner, name) = name.split_once('/').ok_or_else(|| invalid("head_repo"))?;
                self.repository_id(owner, name).filter(of_owner)
            }
            None if of_owner(&id) => Some(id),
            None => self.network(id).find(of_owner),
        };
        let repository = repository.filter(|known| self.source(*known) == self.source(id));
        let repository = repository.ok_or_else(|| invalid("head"))?;
        Ok(Head { repository, branch: branch.to_owned() })
    }

    /// The repositories that share their beginnings.
    fn network(&self, id: u64) -> impl Iterator<Item = u64> {
        let source = self.source(id);
        self.repositories.keys().copied().filter(move |known| self.source(*known) == source)
    }

    /// Brings a commit of another repository of the network; GitHub keeps their objects together.
    pub(crate) fn share_commit(&self, from: u64, to: u64, sha: &str) -> Result<(), Refusal> {
        if from != to {
            let source = &self.repository(from)?.path;
            git::copy_commit(&self.repository(to)?.path, source, sha)?;
        }
        Ok(())
    }
}
