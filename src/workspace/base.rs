//! Checkouts of base commits that many workspaces show, each with its own changes on top.
//!
//! A base is made once from the mirror and never changed afterwards: under a live overlay nothing may be
//! (the kernel's `overlayfs.rst`). No sandbox shows its folder, so no agent can write to it; what an agent
//! writes goes to a folder of its own. A workspace names its base in a file, and a base that is named is
//! not taken away.
//!
//! ```text
//! DATA/bases/<repository id>/<commit>/tree   the commit's files
//! DATA/bases/<repository id>/<commit>/index  git's index of them
//! DATA/bases/<repository id>/<commit>/bytes  what they weigh; its time is that of the last use
//! ```

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::PoisonError,
    time::SystemTime,
};

use super::{WorkspaceError, WorkspaceKey, Workspaces, git::Git, prepare::give, weight::weight};
use crate::model::{RepositoryId, Sha};

/// One base, as the collection of what is old sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    /// Of which repository.
    pub repository: RepositoryId,
    /// Which commit.
    pub sha: Sha,
    /// What it weighs on disk.
    pub bytes: u64,
    /// When a workspace last began with it.
    pub used: SystemTime,
    /// The workspaces that show it.
    pub users: Vec<WorkspaceKey>,
}

/// The file of a workspace that names its base.
const NAMED: &str = "base";

impl Workspaces {
    /// The folder of a commit's base, for the workspace that is being made; checked out first where it
    /// is not there.
    pub(super) async fn base(
        &self,
        key: &WorkspaceKey,
        repository: RepositoryId,
        sha: &Sha,
    ) -> Result<PathBuf, WorkspaceError> {
        let folder = self.base_folder(repository, sha);
        // Of several that begin with the same commit one checks it out, and the others wait for it.
        let making = self.lock_of_bases(repository);
        let _making = making.lock().await;
        if !self.take_base(key, &folder)? {
            self.check_out(repository, sha, &folder).await?;
            if !self.take_base(key, &folder)? {
                return Err(WorkspaceError::Disk(io::ErrorKind::NotFound.into()));
            }
        }
        Ok(folder)
    }

    /// Names the base in the workspace, where it is there; from then on it stays.
    fn take_base(&self, key: &WorkspaceKey, folder: &Path) -> io::Result<bool> {
        let _taking = self.bases.lock().unwrap_or_else(PoisonError::into_inner);
        let Ok(bytes) = fs::File::options().append(true).open(folder.join("bytes")) else {
            return Ok(false);
        };
        bytes.set_modified(SystemTime::now())?;
        let within = folder.strip_prefix(self.folder("bases")).map_err(io::Error::other)?;
        let name = within.to_string_lossy().into_owned();
        fs::write(self.workspace_folder(key).join(NAMED), name)?;
        Ok(true)
    }

    /// Checks a commit out beside its place, and moves it there when it is whole.
    async fn check_out(
        &self,
        repository: RepositoryId,
        sha: &Sha,
        folder: &Path,
    ) -> Result<(), WorkspaceError> {
        let above = self.folder("bases").join(repository.to_string());
        fs::create_dir_all(&above)?;
        give(&above, None, 0o711)?;
        let making = Making(above.join(format!("making-{}", uuid::Uuid::new_v4().simple())));
        let tree = making.0.join("tree");
        for folder in [&making.0, &tree] {
            fs::create_dir(folder)?;
            give(folder, self.settings.owner, 0o755)?;
        }
        let mirror = self.mirror_folder(repository);
        Git::new(&self.settings, &mirror, "read-tree")
            .args(["--reset", "-u", sha.as_str()])
            .env("GIT_DIR", &mirror)
            .env("GIT_WORK_TREE", &tree)
            .env("GIT_INDEX_FILE", making.0.join("index"))
            .owned_by(self.settings.owner)
            .run()
            .await?;
        let bytes = weight(&making.0);
        fs::write(making.0.join("bytes"), bytes.to_string())?;
        // From here on it is Baton's alone.
        give(&making.0, self.settings.owner.map(|_| super::Account { uid: 0, gid: 0 }), 0o755)?;
        match fs::rename(&making.0, folder) {
            Err(error) if !folder.is_dir() => Err(error.into()),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// All bases of this machine, the one that was not used for longest first.
    ///
    /// # Errors
    /// When a folder cannot be read.
    pub fn list_bases(&self) -> io::Result<Vec<Base>> {
        bases_in(&self.settings.data_dir)
    }

    /// Takes a base away, unless a workspace began with it meanwhile.
    pub(super) fn drop_base(&self, base: &Base) -> io::Result<bool> {
        let _taking = self.bases.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = self.base_folder(base.repository, &base.sha);
        let used = named_in(&self.settings.data_dir)?.iter().any(|(_, named)| *named == folder);
        if !used {
            self.discard(&folder)?;
        }
        Ok(!used)
    }

    pub(super) fn base_folder(&self, repository: RepositoryId, sha: &Sha) -> PathBuf {
        self.folder("bases").join(repository.to_string()).join(sha.as_str())
    }
}

/// All bases in a data folder, the one that was not used for longest first; changes nothing.
///
/// # Errors
/// When a folder cannot be read.
pub fn bases_in(data: &Path) -> io::Result<Vec<Base>> {
    let named = named_in(data)?;
    let mut bases = Vec::new();
    for repository in fs::read_dir(data.join("bases"))? {
        let repository = repository?;
        let Some(id) = repository.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        for base in fs::read_dir(repository.path())? {
            bases.extend(read_base(RepositoryId(id), &base?.path(), &named));
        }
    }
    bases.sort_by_key(|base| base.used);
    Ok(bases)
}

/// One base; none for what is still being made.
fn read_base(
    repository: RepositoryId,
    folder: &Path,
    named: &[(WorkspaceKey, PathBuf)],
) -> Option<Base> {
    let sha = Sha::new(folder.file_name()?.to_str()?).ok()?;
    let bytes = folder.join("bytes");
    let users = named.iter().filter(|(_, base)| base == folder).map(|(key, _)| key.clone());
    Some(Base {
        repository,
        sha,
        bytes: fs::read_to_string(&bytes).ok()?.parse().ok()?,
        used: fs::metadata(&bytes).ok()?.modified().ok()?,
        users: users.collect(),
    })
}

/// Which workspace shows which base.
fn named_in(data: &Path) -> io::Result<Vec<(WorkspaceKey, PathBuf)>> {
    let mut named = Vec::new();
    for workspace in fs::read_dir(data.join("workspaces"))? {
        let workspace = workspace?;
        let key = workspace.file_name().to_str().and_then(WorkspaceKey::new);
        let name = fs::read_to_string(workspace.path().join(NAMED)).ok();
        named.extend(key.zip(name.map(|name| data.join("bases").join(name))));
    }
    Ok(named)
}

/// A folder in which a base is being made; what is left of it goes when that failed.
struct Making(PathBuf);

impl Drop for Making {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
