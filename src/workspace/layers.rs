//! What set-ups have brought: layers of files that are made once and never change.
//!
//! A layer is made in a folder that the set-up's sandbox writes to, then taken from the agents' account
//! and moved to its place, all of it or nothing. Agents see it read-only, or a copy of their own. One
//! lock a layer, which the kernel lets go when its holder dies: exclusive while it is made or deleted,
//! shared while it is used.

mod files;

use std::{
    fs::{self, File, TryLockError},
    io,
    os::unix::fs::{PermissionsExt, chown},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use files::{copy, settle};

use super::{Account, Workspaces};
use crate::model::{RepositoryId, Timestamp};

/// Between two looks at a lock that somebody else has. A set-up takes minutes, and waiting for the
/// kernel's word would hold a thread that long.
const LOOK: Duration = Duration::from_millis(200);

/// The file that makes a folder a layer; its time is when the layer was last used, its text how many
/// bytes it has.
const READY: &str = "ready";

/// The name of a layer: a hash of everything that decides what is in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LayerKey(String);

impl LayerKey {
    /// Takes the beginning of a hash.
    #[must_use]
    pub fn new(hash: &[u8; 32]) -> Self {
        Self(hash[..16].iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// The name itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The folders of a layer, or of one in the making.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerFolders(PathBuf);

impl LayerFolders {
    /// Those of a layer, or of a copy of one, in a folder.
    #[must_use]
    pub fn at(folder: PathBuf) -> Self {
        Self(folder)
    }

    /// What they are all in.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.0
    }

    /// The caches of tools.
    #[must_use]
    pub fn cache(&self) -> PathBuf {
        self.0.join("cache")
    }

    /// The n-th folder that belongs into the tree.
    #[must_use]
    pub fn kept(&self, n: usize) -> PathBuf {
        self.0.join(format!("tree-{n}"))
    }

    fn all(&self, kept: usize) -> Vec<PathBuf> {
        (0..kept).map(|n| self.kept(n)).chain([self.cache()]).collect()
    }
}

/// A finished layer. It is not deleted as long as this lives.
#[derive(Debug)]
pub struct Layer {
    /// Where it is.
    pub folders: LayerFolders,
    _lock: File,
}

/// A layer that is being made, by nobody else. Dropped unfinished it is thrown away.
#[derive(Debug)]
pub struct Making {
    /// Where it grows, writable for the agents' account.
    pub folders: LayerFolders,
    place: PathBuf,
    lock: File,
    workspaces: Workspaces,
}

/// What is there under a key.
#[derive(Debug)]
pub enum Found {
    /// The layer.
    Layer(Layer),
    /// Nothing: whoever asked makes it now.
    Making(Making),
}

/// A layer on the disk, for whoever keeps order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptLayer {
    /// Its folder.
    pub path: PathBuf,
    /// How much it holds.
    pub bytes: u64,
    /// When it was last used.
    pub used: Timestamp,
}

impl Workspaces {
    /// The layer under a key, if it is there and nobody is at it.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn layer(&self, repository: RepositoryId, key: &LayerKey) -> io::Result<Option<Layer>> {
        let place = self.layers_of(repository).join(key.as_str());
        if !place.join(READY).is_file() {
            return Ok(None);
        }
        let lock = lock_file(&place)?;
        if !taken(lock.try_lock_shared())? {
            return Ok(None);
        }
        used(&place, lock)
    }

    /// The layer under a key, or the right to make it; waits while somebody else makes it. `kept` is
    /// how many folders inside the tree it has.
    ///
    /// # Errors
    /// When the disk refuses.
    pub async fn layer_or_making(
        &self,
        repository: RepositoryId,
        key: &LayerKey,
        kept: usize,
    ) -> io::Result<Found> {
        self.make_layers_folder(repository)?;
        let place = self.layers_of(repository).join(key.as_str());
        let lock = loop {
            if let Some(layer) = self.layer(repository, key)? {
                return Ok(Found::Layer(layer));
            }
            let lock = lock_file(&place)?;
            // Somebody may have made it since the look above.
            if taken(lock.try_lock())? && !place.join(READY).is_file() {
                break lock;
            }
            drop(lock);
            tokio::time::sleep(LOOK).await;
        };
        let folder = place.with_extension("making");
        self.discard(&folder)?;
        fs::create_dir(&folder)?;
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o711))?;
        let folders = LayerFolders(folder);
        for folder in folders.all(kept) {
            fs::create_dir(&folder)?;
            if let Some(Account { uid, gid }) = self.settings.owner {
                chown(&folder, Some(uid), Some(gid))?;
            }
        }
        Ok(Found::Making(Making { folders, place, lock, workspaces: self.clone() }))
    }

    /// Copies a layer, which somebody has to hold, for one run that may write to its copy. Blocks.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn copy_layer(layer: &LayerFolders, to: &Path) -> io::Result<LayerFolders> {
        fs::create_dir(to)?;
        fs::set_permissions(to, fs::Permissions::from_mode(0o711))?;
        for entry in fs::read_dir(&layer.0)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                copy(&entry.path(), &to.join(entry.file_name()))?;
            }
        }
        Ok(LayerFolders(to.to_owned()))
    }

    /// All layers of this machine, the longest unused first.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn list_layers(&self) -> io::Result<Vec<KeptLayer>> {
        list(&self.folder("layers"))
    }

    /// Deletes the layers that were not used since a moment, and more of them, the longest unused
    /// first, until all are within a size, and what a killed Baton left unfinished. One that is in use
    /// stays. Gives how many went.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn collect_layers(&self, unused_since: Timestamp, most_bytes: u64) -> io::Result<usize> {
        for unfinished in unfinished(&self.folder("layers"))? {
            let lock = lock_file(&unfinished)?;
            if taken(lock.try_lock())? {
                self.discard(&unfinished)?;
            }
        }
        let layers = self.list_layers()?;
        let mut bytes: u64 = layers.iter().map(|layer| layer.bytes).sum();
        let mut gone = 0;
        for layer in layers {
            if layer.used >= unused_since && bytes <= most_bytes {
                continue;
            }
            let lock = lock_file(&layer.path)?;
            if taken(lock.try_lock())? {
                self.discard(&layer.path)?;
                bytes = bytes.saturating_sub(layer.bytes);
                gone += 1;
            }
        }
        Ok(gone)
    }

    fn layers_of(&self, repository: RepositoryId) -> PathBuf {
        self.folder("layers").join(repository.to_string())
    }

    /// Only root and the agents' account pass, as with mirrors.
    fn make_layers_folder(&self, repository: RepositoryId) -> io::Result<()> {
        let folder = self.layers_of(repository);
        fs::create_dir_all(&folder)?;
        for folder in [&self.folder("layers"), &folder] {
            let mode = if self.settings.owner.is_some() { 0o710 } else { 0o700 };
            fs::set_permissions(folder, fs::Permissions::from_mode(mode))?;
            if let Some(Account { gid, .. }) = self.settings.owner {
                chown(folder, None, Some(gid))?;
            }
        }
        Ok(())
    }
}

impl Making {
    /// Makes it a layer. No process of the set-up may be left. Blocks.
    ///
    /// # Errors
    /// When the disk refuses; then there is no layer.
    pub fn finish(self) -> io::Result<Layer> {
        let mut bytes = 0;
        for entry in fs::read_dir(&self.folders.0)? {
            bytes += settle(&entry?.path())?;
        }
        fs::write(self.folders.0.join(READY), bytes.to_string())?;
        // What is there without its mark was left by a Baton that was killed.
        self.workspaces.discard(&self.place)?;
        fs::rename(&self.folders.0, &self.place)?;
        let lock = self.lock.try_clone()?;
        lock.lock_shared()?;
        Ok(Layer { folders: LayerFolders(self.place.clone()), _lock: lock })
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        if let Err(error) = self.workspaces.discard(&self.folders.0) {
            tracing::warn!(%error, "a set-up that brought nothing could not be taken away");
        }
    }
}

/// All layers below a folder, the longest unused first; none where there is no such folder.
///
/// # Errors
/// When it cannot be read.
pub fn list(layers: &Path) -> io::Result<Vec<KeptLayer>> {
    let mut kept = Vec::new();
    for repository in entries(layers)? {
        for path in entries(&repository)? {
            let Ok(ready) = fs::metadata(path.join(READY)) else { continue };
            let bytes = fs::read_to_string(path.join(READY))?.trim().parse().unwrap_or_default();
            kept.push(KeptLayer { path, bytes, used: ready.modified()?.into() });
        }
    }
    kept.sort_by_key(|layer| layer.used);
    Ok(kept)
}

/// Folders in which layers were being made.
fn unfinished(layers: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for repository in entries(layers)? {
        found.extend(entries(&repository)?);
    }
    found.retain(|path| path.extension().is_some_and(|extension| extension == "making"));
    Ok(found)
}

/// What lies in a folder; nothing where it is none.
fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(folder) {
        Ok(entries) => Ok(entries.flatten().map(|entry| entry.path()).collect()),
        Err(error)
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
        {
            Ok(Vec::new())
        }
        Err(error) => Err(error),
    }
}

fn lock_file(place: &Path) -> io::Result<File> {
    File::options().create(true).append(true).open(place.with_extension("lock"))
}

fn taken(attempt: Result<(), TryLockError>) -> io::Result<bool> {
    match attempt {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// The layer at a place whose shared lock is held, noted as used now.
fn used(place: &Path, lock: File) -> io::Result<Option<Layer>> {
    match File::options().append(true).open(place.join(READY)) {
        Ok(ready) => {
            ready.set_modified(SystemTime::now())?;
            Ok(Some(Layer { folders: LayerFolders(place.to_owned()), _lock: lock }))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
