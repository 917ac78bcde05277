//! One run's way out: a socket, as long as the run lasts.

use std::{
    collections::BTreeSet,
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{net::UnixListener, sync::Semaphore, task::JoinSet};
use tokio_util::task::AbortOnDropHandle;

use super::{Allowance, proxy};
use crate::model::Fetch;

/// How many connections one run has at once; npm opens fifteen, cargo a few.
const CONNECTIONS: usize = 64;

/// How many different things are written down of one run: what comes after has passed or not all the
/// same, and nobody reads a longer list.
const MOST_SEEN: usize = 2000;

/// The folder of all exits on this machine.
#[derive(Debug, Clone)]
pub struct Exits {
    folder: PathBuf,
}

impl Exits {
    /// Sockets will be in a folder, which is made when it is needed. Their names are long and by chance,
    /// and only Baton can list them: nobody but who is shown a socket finds it.
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Takes away the sockets that a dead process left. None may be open.
    ///
    /// # Errors
    /// When the folder cannot be deleted.
    pub fn clear(&self) -> io::Result<()> {
        match fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Opens an exit for one run.
    ///
    /// # Errors
    /// When the socket cannot be made.
    pub fn open(&self, allowance: Allowance) -> io::Result<Exit> {
        fs::create_dir_all(&self.folder)?;
        fs::set_permissions(&self.folder, fs::Permissions::from_mode(0o711))?;
        let socket = self.folder.join(uuid::Uuid::new_v4().simple().to_string());
        let listener = UnixListener::bind(&socket)?;
        fs::set_permissions(&socket, fs::Permissions::from_mode(0o666))?;
        let shared = Arc::new(Shared { allowance, seen: Mutex::default() });
        let serving = AbortOnDropHandle::new(tokio::spawn(accept(listener, Arc::clone(&shared))));
        Ok(Exit { socket, shared, _serving: serving })
    }
}

/// An open exit. Dropped, its connections break off and its socket is gone.
pub struct Exit {
    socket: PathBuf,
    shared: Arc<Shared>,
    _serving: AbortOnDropHandle<()>,
}

/// What the connections of one exit share.
pub(super) struct Shared {
    pub allowance: Allowance,
    seen: Mutex<BTreeSet<Fetch>>,
}

impl Shared {
    /// Writes down what was asked.
    pub fn note(&self, fetch: Fetch) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() < MOST_SEEN {
            seen.insert(fetch);
        }
    }
}

impl Exit {
    /// The socket, to be shown inside.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// What was asked so far, each thing once.
    #[must_use]
    pub fn seen(&self) -> Vec<Fetch> {
        let seen = self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.iter().cloned().collect()
    }
}

impl Drop for Exit {
    fn drop(&mut self) {
        // Left behind, it is taken away at the next start.
        let _ = fs::remove_file(&self.socket);
    }
}

/// Takes connections; they live in a set that ends with this future.
async fn accept(listener: UnixListener, shared: Arc<Shared>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let shared = Arc::clone(&shared);
                connections.spawn(async move {
                    proxy::serve(stream, shared).await;
                    drop(permit);
                });
            }
            Err(error) => {
                // Out of descriptors: the next connection may find some again.
                tracing::debug!(%error, "a connection to an exit could not be taken");
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        }
    }
}
