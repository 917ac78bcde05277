//! The data folder: what lies where in it, and how workspaces leave it.

use std::{
    collections::HashMap,
    fs, io,
    os::unix::fs::{PermissionsExt, chown},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, atomic::AtomicBool},
    time::Duration,
};

use tokio::sync::Mutex as AsyncMutex;

use crate::model::RepositoryId;

/// Where repositories lie and within which limits they are handled.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The folder for mirrors and workspaces, an absolute path. It is made passable (mode 0711) so
    /// that a sandbox's account gets to its workspace.
    pub data_dir: PathBuf,
    /// The account that agents run as, when it is not Baton's own; needs root.
    pub owner: Option<Account>,
    /// The git program, `git` to look it up in `PATH`.
    pub git: PathBuf,
    /// Environment that the git program needs to reach the remote (`HTTPS_PROXY`, `GIT_SSL_CAINFO`).
    pub env: Vec<(String, String)>,
    /// The largest pack that is taken from an agent, in bytes.
    pub max_pack_bytes: u64,
    /// How long packing and checking an agent's commits may take.
    pub import_timeout: Duration,
    /// How long one fetch or push may take.
    pub remote_timeout: Duration,
}

impl Settings {
    /// The usual limits: packs of 100 MiB, a minute to import, ten to fetch or push.
    #[must_use]
    pub fn new(data_dir: PathBuf, owner: Option<Account>) -> Self {
        Self {
            data_dir,
            owner,
            git: PathBuf::from("git"),
            env: Vec::new(),
            max_pack_bytes: 100 << 20,
            import_timeout: Duration::from_secs(60),
            remote_timeout: Duration::from_secs(600),
        }
    }
}

/// A user and group of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

/// The name of a workspace, safe as a file name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WorkspaceKey(String);

impl WorkspaceKey {
    /// Takes letters, digits, `-` and `_`, at most 100 of them.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        let valid = !text.is_empty() && text.len() <= 100 && text.bytes().all(allowed);
        valid.then(|| Self(text.to_owned()))
    }

    /// The name itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// All mirrors and workspaces of this machine. Cheap to clone.
///
/// ```text
/// DATA/mirrors/<repository id>.git      Baton's; agents see its objects, read-only
/// DATA/bases/                           Baton's; checkouts that workspaces show, each with its own changes
/// DATA/workspaces/<key>/quarantine.git  the agent's
/// DATA/workspaces/<key>/tree            the agent's; empty where it is laid over a base
/// DATA/workspaces/<key>/upper           the agent's changes, where it is
/// DATA/layers/<repository id>/<key>      what set-ups brought; agents see it read-only
/// DATA/trash/                           on its way out
/// ```
#[derive(Clone, Debug)]
pub struct Workspaces {
    pub(super) settings: Arc<Settings>,
    locks: Arc<Locks>,
    locks_of_bases: Arc<Locks>,
    /// Held while a workspace takes a base, and while one is taken away.
    pub(super) bases: Arc<Mutex<()>>,
    /// Whether workspaces are laid over bases.
    pub(super) layers: Arc<AtomicBool>,
}

/// A lock for each repository.
type Locks = Mutex<HashMap<RepositoryId, Arc<AsyncMutex<()>>>>;

impl Workspaces {
    /// Makes the folders. Only root and the agents' account can pass those of mirrors and workspaces.
    ///
    /// # Errors
    /// When the data folder cannot be written or given away.
    pub fn new(settings: Settings) -> io::Result<Self> {
        fs::create_dir_all(&settings.data_dir)?;
        fs::set_permissions(&settings.data_dir, fs::Permissions::from_mode(0o711))?;
        let workspaces = Self {
            settings: Arc::new(settings),
            locks: Arc::default(),
            locks_of_bases: Arc::default(),
            bases: Arc::default(),
            layers: Arc::default(),
        };
        for name in ["mirrors", "bases", "workspaces", "trash"] {
            let folder = workspaces.folder(name);
            fs::create_dir_all(&folder)?;
            let mode = if workspaces.settings.owner.is_some() { 0o710 } else { 0o700 };
            fs::set_permissions(&folder, fs::Permissions::from_mode(mode))?;
            if let Some(Account { gid, .. }) = workspaces.settings.owner {
                chown(&folder, None, Some(gid))?;
            }
        }
        Ok(workspaces)
    }

    /// The names of all workspaces, for the sweep.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn list(&self) -> io::Result<Vec<WorkspaceKey>> {
        let mut keys = Vec::new();
        for entry in fs::read_dir(self.folder("workspaces"))? {
            keys.extend(entry?.file_name().to_str().and_then(WorkspaceKey::new));
        }
        keys.sort();
        Ok(keys)
    }

    /// Where a workspace is, if there is one of that key.
    #[must_use]
    pub fn path(&self, key: &WorkspaceKey) -> PathBuf {
        self.workspace_folder(key)
    }

    /// Takes a workspace away at once and deletes it in the background. One that is not there is fine.
    ///
    /// No sandbox may be using it any more.
    ///
    /// # Errors
    /// When the folder cannot be moved.
    pub fn remove(&self, key: &WorkspaceKey) -> io::Result<()> {
        self.discard(&self.workspace_folder(key))
    }

    /// Deletes what an earlier Baton had taken away but not deleted. Blocks; call it once at start.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn empty_trash(&self) -> io::Result<()> {
        for entry in fs::read_dir(self.folder("trash"))? {
            delete(&entry?.path());
        }
        Ok(())
    }

    /// Moves a folder out of the way at once and deletes it in the background.
    pub(super) fn discard(&self, folder: &Path) -> io::Result<()> {
        let rubbish = self.folder("trash").join(uuid::Uuid::new_v4().simple().to_string());
        match fs::rename(folder, &rubbish) {
            Ok(()) => {
                std::thread::spawn(move || delete(&rubbish));
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Where the sockets of set-ups are.
    #[must_use]
    pub fn egress_folder(&self) -> PathBuf {
        self.folder("egress")
    }

    pub(super) fn folder(&self, name: &str) -> PathBuf {
        self.settings.data_dir.join(name)
    }

    pub(super) fn mirror_folder(&self, repository: RepositoryId) -> PathBuf {
        self.folder("mirrors").join(format!("{repository}.git"))
    }

    pub(super) fn workspace_folder(&self, key: &WorkspaceKey) -> PathBuf {
        self.folder("workspaces").join(key.as_str())
    }

    /// The lock of one mirror within this process.
    pub(super) fn lock(&self, repository: RepositoryId) -> Arc<AsyncMutex<()>> {
        lock_in(&self.locks, repository)
    }

    /// The lock under which bases of one repository are made.
    pub(super) fn lock_of_bases(&self, repository: RepositoryId) -> Arc<AsyncMutex<()>> {
        lock_in(&self.locks_of_bases, repository)
    }
}

fn lock_in(locks: &Locks, repository: RepositoryId) -> Arc<AsyncMutex<()>> {
    // A panic elsewhere cannot leave the map half changed.
    let mut locks = locks.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    Arc::clone(locks.entry(repository).or_default())
}

/// Deletes a folder that an agent may have made hard to delete.
///
/// The standard library holds a descriptor for every level and stops at closed folders; the programs
/// do neither. What is left even so stays in the trash and is tried again at the next start.
fn delete(path: &Path) {
    if fs::remove_dir_all(path).is_ok() {
        return;
    }
    for program in [&["chmod", "-R", "u+rwX", "--"][..], &["rm", "-rf", "--"]] {
        let mut command = std::process::Command::new(program[0]);
        let _ = command.args(&program[1..]).arg(path).output();
    }
    if path.exists() {
        tracing::warn!(path = %path.display(), "a workspace could not be deleted");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_cannot_leave_its_folder() {
        for bad in ["", "..", "a/b", "a b", ".git", "ü", &"x".repeat(101)] {
            assert!(WorkspaceKey::new(bad).is_none(), "{bad:?} was taken");
        }
        assert!(WorkspaceKey::new("agent-17_b").is_some());
    }

    #[test]
    fn folders_too_deep_for_open_files_are_deleted() {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().join("top");
        let deep = top.join(vec!["d"; 1_500].join("/"));
        fs::create_dir_all(&deep).unwrap();
        fs::set_permissions(&deep, fs::Permissions::from_mode(0o000)).unwrap();
        delete(&top);
        assert!(!top.exists());
    }
}
