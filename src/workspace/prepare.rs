//! Making a workspace: a quarantine repository and a worktree of it.

use std::{
    fs, io,
    os::unix::fs::{PermissionsExt, chown},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{Account, Overlay, WorkspaceError, WorkspaceKey, Workspaces, git::Git};
use crate::model::{BranchName, RepositoryId, Sha};

/// A worktree of one agent, and where it came from. Plain data: it can be kept and made again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workspace {
    /// Its name.
    pub key: WorkspaceKey,
    /// Whose commits it holds.
    pub repository: RepositoryId,
    /// The commit that it began with.
    pub base: Sha,
    /// The agent's bare repository.
    pub quarantine: PathBuf,
    /// The agent's files: where its program starts.
    pub tree: PathBuf,
    /// What the quarantine borrows: the mirror's objects.
    pub borrowed: PathBuf,
    /// What a sandbox has to lay over what for the tree to be there; none where it is there anyway.
    pub overlay: Option<Overlay>,
}

/// What to check out.
#[derive(Debug, Clone)]
pub struct Checkout {
    /// Whose commit.
    pub repository: RepositoryId,
    /// Which commit; the mirror has to hold it.
    pub base: Sha,
    /// The branch to be on, or none to be on the commit itself.
    pub branch: Option<BranchName>,
    /// As whom commits are made.
    pub identity: Identity,
}

/// The author and committer of an agent's commits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// A name, without line ends.
    pub name: String,
    /// An address, without line ends.
    pub email: String,
}

/// A folder that the agent's sandbox has to show, at the same path as on the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// The path on the machine.
    pub host: PathBuf,
    /// The path inside.
    pub inside: PathBuf,
    /// Whether the agent may write there.
    pub writable: bool,
}

impl Workspace {
    /// What the sandbox has to show, for the worktree to work in it.
    #[must_use]
    pub fn mounts(&self) -> Vec<Mount> {
        let mount =
            |path: &PathBuf, writable| Mount { host: path.clone(), inside: path.clone(), writable };
        vec![mount(&self.borrowed, false), mount(&self.quarantine, true), mount(&self.tree, true)]
    }

    /// Keeps folders of the tree out of what git sees. For a workspace that nobody has used yet.
    ///
    /// # Errors
    /// When the quarantine cannot be written.
    pub fn exclude(&self, folders: &[String]) -> io::Result<()> {
        let info = self.quarantine.join("info");
        fs::create_dir_all(&info)?;
        let lines: String = folders.iter().map(|folder| format!("/{folder}/\n")).collect();
        fs::write(info.join("exclude"), lines)?;
        // Read by the agents' account, and written by nobody.
        give(&info, None, 0o755)?;
        give(&info.join("exclude"), None, 0o644)
    }
}

impl Workspaces {
    /// A workspace that is checked out in full, as it was made; there may be none.
    #[must_use]
    pub fn made(&self, key: &WorkspaceKey, repository: RepositoryId, base: &Sha) -> Workspace {
        self.workspace(key, repository, base.clone())
    }

    /// Checks a commit out into a fresh workspace; what was there under the key is taken away.
    ///
    /// Runs no hook or filter: the tree's attributes can name filters, but what they are is only said
    /// in configuration, and of that there is none. Submodules stay empty folders.
    ///
    /// # Errors
    /// [`WorkspaceError::Missing`] when the mirror does not hold the commit.
    pub async fn prepare(
        &self,
        key: &WorkspaceKey,
        checkout: &Checkout,
    ) -> Result<Workspace, WorkspaceError> {
        let base = checkout.base.clone();
        self.read(checkout.repository, move |mirror| mirror.require(&base)).await?;
        self.remove(key)?;
        let mut workspace = self.workspace(key, checkout.repository, checkout.base.clone());
        let owner = self.settings.owner;
        fs::create_dir(self.workspace_folder(key))?;
        give(&self.workspace_folder(key), owner, 0o711)?;
        write_quarantine(&workspace, &checkout.identity, owner)?;
        if self.has_layers() {
            self.lay_tree(&mut workspace, checkout).await?;
        } else {
            self.add_worktree(&workspace, checkout).await?;
        }
        Ok(workspace)
    }

    /// Checks out what no other workspace shares.
    async fn add_worktree(
        &self,
        workspace: &Workspace,
        checkout: &Checkout,
    ) -> Result<(), WorkspaceError> {
        let mut add = Git::new(&self.settings, &workspace.quarantine, "worktree")
            .args(["add", "--quiet"])
            .owned_by(self.settings.owner);
        add = match &checkout.branch {
            Some(branch) => add.args(["-b", branch.as_str()]),
            None => add.args(["--detach"]),
        };
        add.args([workspace.tree.as_os_str()]).args([checkout.base.as_str()]).run().await?;
        Ok(())
    }

    /// The workspace that is there under the key, if one is; nothing in it is read.
    #[must_use]
    pub fn existing(
        &self,
        key: &WorkspaceKey,
        repository: RepositoryId,
        base: Sha,
    ) -> Option<Workspace> {
        let mut workspace = self.workspace(key, repository, base);
        workspace.overlay = self.laid(&workspace);
        let is_there = workspace.tree.is_dir() && workspace.quarantine.is_dir();
        is_there.then_some(workspace)
    }

    fn workspace(&self, key: &WorkspaceKey, repository: RepositoryId, base: Sha) -> Workspace {
        let folder = self.workspace_folder(key);
        Workspace {
            key: key.clone(),
            repository,
            base,
            quarantine: folder.join("quarantine.git"),
            tree: folder.join("tree"),
            borrowed: self.mirror_folder(repository).join("objects"),
            overlay: None,
        }
    }
}

/// Writes a bare repository by hand: five small files are quicker than three runs of git.
fn write_quarantine(
    workspace: &Workspace,
    identity: &Identity,
    owner: Option<Account>,
) -> Result<(), WorkspaceError> {
    let top = &workspace.quarantine;
    for folder in ["", "objects", "objects/info", "objects/pack", "refs", "refs/heads"] {
        let folder = top.join(folder);
        fs::create_dir(&folder)?;
        give(&folder, owner, 0o755)?;
    }
    let config = format!(
        "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = true\n\
         \tcheckStat = minimal\n[gc]\n\tauto = 0\n[user]\n\tname = {}\n\temail = {}\n",
        quoted(&identity.name)?,
        quoted(&identity.email)?
    );
    let alternates = format!("{}\n", workspace.borrowed.display());
    let files = [
        ("HEAD", "ref: refs/heads/baton-has-no-branch-here\n"),
        ("config", &config),
        ("objects/info/alternates", &alternates),
    ];
    for (name, text) in files {
        let path = top.join(name);
        fs::write(&path, text)?;
        give(&path, owner, 0o644)?;
    }
    Ok(())
}

/// Gives a file that Baton has just made to the agents' account.
pub(super) fn give(path: &Path, owner: Option<Account>, mode: u32) -> io::Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    match owner {
        Some(Account { uid, gid }) => chown(path, Some(uid), Some(gid)),
        None => Ok(()),
    }
}

/// A value as git-config(1) reads it back unchanged.
fn quoted(value: &str) -> io::Result<String> {
    if value.chars().any(char::is_control) {
        return Err(io::Error::other("an author's name and address hold no control characters"));
    }
    Ok(format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"")))
}
