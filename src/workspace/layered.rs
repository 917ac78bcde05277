//! A workspace that shows a shared checkout of its base commit, with the agent's changes on top.
//!
//! Making one writes a dozen small files and copies git's index, whatever the repository's size. The
//! overlay itself is mounted by each sandbox for itself (`Overlay`); on the machine the tree is an empty
//! folder. Where no overlay can be mounted, workspaces are checked out one by one instead: the agent sees
//! the same files, owners and repository either way.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::Ordering,
    time::Duration,
};

use super::{
    Account, Checkout, Inside, Stream, Workspace, WorkspaceError, WorkspaceKey, Workspaces,
    prepare::give,
};
use crate::model::{RepositoryId, Sha};

/// Folders of this machine that a sandbox lays over one another before it shows the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overlay {
    /// The shared checkout, never changed.
    pub lower: PathBuf,
    /// What the agent changes.
    pub upper: PathBuf,
    /// The kernel's own.
    pub work: PathBuf,
    /// The tree.
    pub at: PathBuf,
}

/// How long the trial may take; it starts one sandbox.
const TRIAL: Duration = Duration::from_secs(30);

/// Does inside what agents do to files, and says so at its end.
const TRY: &str = "set -e; test \"$(cat kept)\" = before; echo after > kept; rm gone; test ! -e gone; \
                   mv folder moved; test -e moved/file; mkdir -p new/deep; ln -s kept link; echo done";

impl Overlay {
    fn of(folder: &Path, lower: PathBuf) -> Self {
        let at = folder.join("tree");
        Self { lower, upper: folder.join("upper"), work: folder.join("work"), at }
    }

    fn create(&self, owner: Option<Account>) -> std::io::Result<()> {
        for folder in [&self.upper, &self.work, &self.at] {
            fs::create_dir(folder)?;
            give(folder, owner, 0o755)?;
        }
        Ok(())
    }
}

impl Workspaces {
    /// Looks whether sandboxes can lay folders over others here; if so, workspaces are made that way
    /// from now on.
    ///
    /// # Errors
    /// With the reason why not, for the operator: workspaces are then checked out in full.
    pub async fn try_layers(&self, inside: &dyn Inside) -> Result<(), String> {
        let folder = self.folder("bases").join(format!("trial-{}", uuid::Uuid::new_v4().simple()));
        let tried = tokio::time::timeout(TRIAL, self.try_in(&folder, inside)).await;
        let tried = tried.unwrap_or_else(|_| Err("the trial did not end".to_owned()));
        let removed = self.discard(&folder).map_err(|error| error.to_string());
        self.layers.store(tried.is_ok(), Ordering::Relaxed);
        tried.and(removed)
    }

    async fn try_in(&self, folder: &Path, inside: &dyn Inside) -> Result<(), String> {
        let failed = |error: std::io::Error| error.to_string();
        let workspace = self.trial(folder).map_err(failed)?;
        let argv = ["sh", "-c", TRY].map(str::to_owned).to_vec();
        let Stream { mut stdout, ended } = inside.run(&workspace, argv).await.map_err(failed)?;
        let mut said = String::new();
        let reading = tokio::io::AsyncReadExt::read_to_string(&mut stdout, &mut said);
        let (read, ended) = tokio::join!(reading, ended);
        ended?;
        read.map_err(failed)?;
        let kept = fs::read_to_string(folder.join("lower/kept")).map_err(failed)?;
        let whole = kept == "before\n" && folder.join("lower/gone").is_file();
        if said.trim() == "done" && whole && folder.join("upper/kept").is_file() {
            Ok(())
        } else {
            Err("an overlay does not keep what is below as it was".to_owned())
        }
    }

    /// A workspace of a few files that is none.
    fn trial(&self, folder: &Path) -> std::io::Result<Workspace> {
        let owner = self.settings.owner;
        let lower = folder.join("lower");
        fs::create_dir(folder)?;
        give(folder, None, 0o711)?;
        for name in ["lower", "lower/folder", "quarantine.git", "objects"] {
            fs::create_dir(folder.join(name))?;
            give(&folder.join(name), owner, 0o755)?;
        }
        for name in ["kept", "gone", "folder/file"] {
            fs::write(lower.join(name), "before\n")?;
            give(&lower.join(name), owner, 0o644)?;
        }
        let overlay = Overlay::of(folder, lower);
        overlay.create(owner)?;
        Ok(Workspace {
            key: WorkspaceKey::new("trial").ok_or(std::io::ErrorKind::InvalidInput)?,
            repository: RepositoryId(0),
            base: Sha::new("0".repeat(40)).map_err(std::io::Error::other)?,
            quarantine: folder.join("quarantine.git"),
            tree: overlay.at.clone(),
            borrowed: folder.join("objects"),
            overlay: Some(overlay),
        })
    }

    /// Whether workspaces are made this way.
    #[must_use]
    pub fn has_layers(&self) -> bool {
        self.layers.load(Ordering::Relaxed)
    }

    /// The layers of a workspace that was made with them.
    pub(super) fn laid(&self, workspace: &Workspace) -> Option<Overlay> {
        let lower = self.base_folder(workspace.repository, &workspace.base).join("tree");
        let overlay = Overlay::of(&self.workspace_folder(&workspace.key), lower);
        overlay.upper.is_dir().then_some(overlay)
    }

    /// Makes the tree of a workspace whose quarantine is there: what `git worktree add` writes, but for
    /// the files.
    pub(super) async fn lay_tree(
        &self,
        workspace: &mut Workspace,
        checkout: &Checkout,
    ) -> Result<(), WorkspaceError> {
        let owner = self.settings.owner;
        let base = self.base(&workspace.key, checkout.repository, &checkout.base).await?;
        let overlay = Overlay::of(&self.workspace_folder(&workspace.key), base.join("tree"));
        overlay.create(owner)?;
        let admin = workspace.quarantine.join("worktrees/tree");
        for folder in [admin.parent().unwrap_or(&admin), &admin] {
            fs::create_dir(folder)?;
            give(folder, owner, 0o755)?;
        }
        let head = match &checkout.branch {
            Some(branch) => {
                write_branch(workspace, branch.as_str(), &checkout.base, owner)?;
                format!("ref: refs/heads/{branch}\n")
            }
            None => format!("{}\n", checkout.base),
        };
        let link = format!("{}\n", workspace.tree.join(".git").display());
        let to_admin = format!("gitdir: {}\n", admin.display());
        for (path, text) in [
            (admin.join("HEAD"), head),
            (admin.join("commondir"), "../..\n".to_owned()),
            (admin.join("gitdir"), link),
            (overlay.upper.join(".git"), to_admin),
        ] {
            fs::write(&path, text)?;
            give(&path, owner, 0o644)?;
        }
        copy_index(&base.join("index"), &admin.join("index"), owner)?;
        workspace.overlay = Some(overlay);
        Ok(())
    }
}

/// The branch as a loose reference, with the folders that its name has.
fn write_branch(
    workspace: &Workspace,
    branch: &str,
    sha: &Sha,
    owner: Option<Account>,
) -> Result<(), WorkspaceError> {
    let mut path = workspace.quarantine.join("refs/heads");
    let (folders, name) = branch.rsplit_once('/').unwrap_or(("", branch));
    for folder in folders.split('/').filter(|folder| !folder.is_empty()) {
        path.push(folder);
        fs::create_dir(&path)?;
        give(&path, owner, 0o755)?;
    }
    path.push(name);
    fs::write(&path, format!("{sha}\n"))?;
    Ok(give(&path, owner, 0o644)?)
}

/// Copies an index with its time: git compares it with the times of files to tell which it may trust
/// unread (its `racy-git.txt`).
fn copy_index(from: &Path, to: &Path, owner: Option<Account>) -> Result<(), WorkspaceError> {
    let written = fs::metadata(from)?.modified()?;
    fs::copy(from, to)?;
    fs::File::options().append(true).open(to)?.set_modified(written)?;
    Ok(give(to, owner, 0o644)?)
}
