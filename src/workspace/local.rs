//! A repository of somebody at the command line: where the work comes from and where it goes back to.
//!
//! It is read and given one new branch. Its files, its index and its other branches stay as they are,
//! and none of its hooks runs.

use std::path::{Path, PathBuf};

use git2::{BranchType, Repository, StatusOptions};

use super::{
    WorkspaceError, Workspaces,
    git::Git,
    read::{oid, sha},
};
use crate::model::{BranchName, RepositoryId, Sha};

/// Git reads another account's repository only if it is told to; who named the folder has decided. And
/// it gives a commit by its id only so.
const UPLOAD_PACK: &str =
    "git -c safe.directory=* -c uploadpack.allowAnySHA1InWant=true upload-pack";

/// Where the copied commit is in the mirror.
const COPIED: &str = "refs/heads/head";

/// A repository on this machine that is somebody's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Local {
    /// Its top folder; of a bare repository, the repository itself.
    pub folder: PathBuf,
    /// What its folder is called.
    pub name: String,
    /// The commit that it is on.
    pub head: Sha,
    /// How many of its files differ from that commit, new ones included.
    pub changed_files: usize,
}

impl Local {
    /// Finds the repository that a folder is in.
    ///
    /// # Errors
    /// [`WorkspaceError::Read`] where there is none, or none with a commit.
    pub fn discover(folder: &Path) -> Result<Self, WorkspaceError> {
        let repository = Repository::discover(folder)?;
        let head = sha(repository.head()?.peel_to_commit()?.id())?;
        let top = repository.workdir().unwrap_or_else(|| repository.path());
        let folder = std::fs::canonicalize(top)?;
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        let name = name.trim_end_matches(".git").to_owned();
        let changed_files = match repository.is_bare() {
            true => 0,
            false => {
                let mut options = StatusOptions::new();
                options.include_untracked(true).exclude_submodules(true);
                repository.statuses(Some(&mut options))?.len()
            }
        };
        Ok(Self { folder, name, head, changed_files })
    }

    /// A branch that is at a commit, if one is.
    ///
    /// # Errors
    /// When the repository cannot be read.
    pub fn branch_at(&self, head: &Sha) -> Result<Option<BranchName>, WorkspaceError> {
        let repository = Repository::open(&self.folder)?;
        let head = oid(head)?;
        for branch in repository.branches(Some(BranchType::Local))? {
            let (branch, _) = branch?;
            if branch.get().target() == Some(head) {
                return Ok(branch.name()?.and_then(|name| BranchName::new(name).ok()));
            }
        }
        Ok(None)
    }

    /// The branch of that name, or the first of `name-2`, `name-3`, … that is not there yet. Git keeps
    /// no `a/b` beside a branch `a`: where that is there, it is `a-b`.
    ///
    /// # Errors
    /// When the repository cannot be read, or no branch can have the name.
    pub fn free_branch(&self, name: &str) -> Result<BranchName, WorkspaceError> {
        let repository = Repository::open(&self.folder)?;
        let taken = |name: &str| repository.find_reference(&format!("refs/heads/{name}")).is_ok();
        let beside = name.split_once('/').is_some_and(|(first, _)| taken(first));
        let name = if beside { name.replace('/', "-") } else { name.to_owned() };
        let names = std::iter::once(name.clone()).chain((2..).map(|n| format!("{name}-{n}")));
        let free =
            names.into_iter().find(|name| !taken(name)).and_then(|name| BranchName::new(name).ok());
        free.ok_or_else(|| std::io::Error::other(format!("{name} is no name for a branch")).into())
    }
}

impl Workspaces {
    /// Copies the commit that a repository is on, with its history, into a mirror.
    ///
    /// # Errors
    /// [`WorkspaceError::Git`] with what git says of the repository.
    pub async fn copy(
        &self,
        repository: RepositoryId,
        local: &Local,
    ) -> Result<(), WorkspaceError> {
        let mirror = self.mirror_folder(repository);
        self.create(&mirror).await?;
        let fetch = Git::new(&self.settings, &mirror, "fetch")
            .args(["--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance"])
            .args(["--no-recurse-submodules", "--upload-pack", UPLOAD_PACK, "--"])
            .args([local.folder.as_os_str()])
            .args([format!("+HEAD:{COPIED}")]);
        fetch.run().await.map(drop)
    }

    /// Makes a branch in a repository of commits that an import has left in the mirror.
    ///
    /// # Errors
    /// [`WorkspaceError::Git`] when the branch is there already or the repository takes nothing.
    pub async fn hand_over(
        &self,
        repository: RepositoryId,
        head: &Sha,
        local: &Local,
        branch: &BranchName,
    ) -> Result<(), WorkspaceError> {
        let mirror = self.mirror_folder(repository);
        let fetch = Git::new(&self.settings, &local.folder, "fetch")
            .args(["--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance"])
            .args(["--no-recurse-submodules", "--upload-pack", UPLOAD_PACK, "--"])
            .args([mirror.as_os_str()])
            .args([format!("{head}:refs/heads/{branch}")]);
        fetch.run().await.map(drop)
    }
}
