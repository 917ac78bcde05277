//! Two lock files: one is held while the server is started or stopped, the other is shared by all
//! who use it. The kernel lets go of them when a process dies.

use std::{
    fs::{self, File, TryLockError},
    os::unix::fs::MetadataExt,
    path::Path,
    time::Duration,
};

use super::EmbeddedError;

/// Between two looks at a lock that somebody else has.
const PAUSE: Duration = Duration::from_millis(20);

/// Looks at a lock before giving up: three minutes, longer than a start after a crash takes.
const LOOKS: u32 = 9_000;

/// Waits until nobody else has the lock, and takes it.
pub(super) async fn exclusive(path: &Path) -> Result<File, EmbeddedError> {
    take(path, File::try_lock).await
}

/// Waits until nobody else has the lock for itself, and shares it.
pub(super) async fn shared(path: &Path) -> Result<File, EmbeddedError> {
    take(path, File::try_lock_shared).await
}

/// Takes the lock if nobody has or shares it.
pub(super) fn if_unused(path: &Path) -> Result<Option<File>, EmbeddedError> {
    let file = open(path)?;
    Ok(file.try_lock().is_ok().then_some(file))
}

async fn take(
    path: &Path,
    lock: fn(&File) -> Result<(), TryLockError>,
) -> Result<File, EmbeddedError> {
    for _ in 0..LOOKS {
        let file = open(path)?;
        match lock(&file) {
            // Whoever had it may have deleted the folder: then the lock is on a file that is gone.
            Ok(()) if is_at(&file, path) => return Ok(file),
            Ok(()) | Err(TryLockError::WouldBlock) => tokio::time::sleep(PAUSE).await,
            Err(TryLockError::Error(source)) => {
                return Err(EmbeddedError::Folder { path: path.into(), source });
            }
        }
    }
    Err(EmbeddedError::Timeout { what: "become free", log: path.into() })
}

fn open(path: &Path) -> Result<File, EmbeddedError> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(EmbeddedError::folder(folder))?;
    }
    let mut options = File::options();
    options.create(true).truncate(false).write(true);
    options.open(path).map_err(EmbeddedError::folder(path))
}

fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(ours), Ok(there)) => ours.ino() == there.ino() && ours.dev() == there.dev(),
        _ => false,
    }
}
