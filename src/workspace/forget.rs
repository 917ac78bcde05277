//! Mirrors that are kept, and taking one away that nobody needs: it is fetched again when somebody does.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::Path,
    time::SystemTime,
};

use tokio::sync::OwnedMutexGuard;

use super::{Workspaces, weight::weight};
use crate::model::RepositoryId;

/// A mirror on the disk, for whoever keeps order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptMirror {
    /// Of which repository.
    pub repository: RepositoryId,
    /// What it weighs on disk.
    pub bytes: u64,
    /// When it was last brought up to date, which whoever needs it does first.
    pub used: SystemTime,
}

/// A mirror that nobody else reads the remote into as long as this lives.
#[derive(Debug)]
pub struct HeldMirror {
    workspaces: Workspaces,
    repository: RepositoryId,
    _in_process: OwnedMutexGuard<()>,
    _on_machine: File,
}

impl HeldMirror {
    /// Takes the mirror away at once and deletes it in the background.
    ///
    /// # Errors
    /// When its folder cannot be moved.
    pub fn forget(self) -> io::Result<()> {
        self.workspaces.discard(&self.workspaces.mirror_folder(self.repository))
    }
}

impl Workspaces {
    /// All mirrors of this machine, the longest unused first. Blocks.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn list_mirrors(&self) -> io::Result<Vec<KeptMirror>> {
        mirrors_in(&self.settings.data_dir)
    }

    /// Holds a mirror, if nobody is at it.
    ///
    /// # Errors
    /// When its lock cannot be opened.
    pub fn hold_mirror(&self, repository: RepositoryId) -> io::Result<Option<HeldMirror>> {
        let Ok(in_process) = self.lock(repository).try_lock_owned() else { return Ok(None) };
        let place = self.mirror_folder(repository).with_extension("lock");
        // Its time is that of the last use, and this is none.
        let on_machine = File::options().create(true).append(true).open(place)?;
        match on_machine.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let workspaces = self.clone();
        Ok(Some(HeldMirror {
            workspaces,
            repository,
            _in_process: in_process,
            _on_machine: on_machine,
        }))
    }
}

/// The mirrors of a data folder, the longest unused first; none where it has none yet.
///
/// # Errors
/// When it cannot be read.
pub fn mirrors_in(data: &Path) -> io::Result<Vec<KeptMirror>> {
    let mut kept = Vec::new();
    for entry in fs::read_dir(data.join("mirrors"))? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let number = name.and_then(|name| name.strip_suffix(".git")?.parse().ok());
        let Some(number) = number else { continue };
        let seen = fs::metadata(path.with_extension("lock")).or_else(|_| fs::metadata(&path))?;
        let repository = RepositoryId(number);
        kept.push(KeptMirror { repository, bytes: weight(&path), used: seen.modified()? });
    }
    kept.sort_by_key(|mirror| mirror.used);
    Ok(kept)
}
