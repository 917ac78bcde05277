//! One run's way out: a socket, as long as the run lasts.

use std::{
    collections::BTreeSet,
    fs,
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
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

    /// Takes away what a dead process left, save what belongs to these sockets. None may be open.
    ///
    /// # Errors
    /// When the folder cannot be read or something in it not be deleted.
    pub fn clear(&self, keep: &[PathBuf]) -> io::Result<()> {
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries?,
        };
        let kept = |path: &Path| {
            let mut kept = keep.iter().filter_map(|socket| socket.parent());
            kept.any(|folder| path == folder || path == seen_of(folder))
        };
        for entry in entries {
            let path = entry?.path();
            match path.is_dir() {
                _ if kept(&path) => {}
                true => fs::remove_dir_all(&path)?,
                false => fs::remove_file(&path)?,
            }
        }
        Ok(())
    }

    /// Opens an exit for one run.
    ///
    /// # Errors
    /// When the socket cannot be made.
    pub fn open(&self, allowance: Allowance) -> io::Result<Exit> {
        let socket = self.folder.join(uuid::Uuid::new_v4().simple().to_string()).join(SOCKET);
        self.listen(&socket, allowance, BTreeSet::new())
    }

    /// Opens one again that a dead process left, with what was asked there.
    ///
    /// # Errors
    /// When the socket cannot be made.
    pub fn open_again(&self, socket: &Path, allowance: Allowance) -> io::Result<Exit> {
        let written = socket.parent().map(|folder| fs::read_to_string(seen_of(folder)));
        let written = written.and_then(Result::ok).unwrap_or_default();
        let seen = written.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        match fs::remove_file(socket) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => self.listen(socket, allowance, seen),
        }
    }

    fn listen(
        &self,
        socket: &Path,
        allowance: Allowance,
        seen: BTreeSet<Fetch>,
    ) -> io::Result<Exit> {
        let folder = socket.parent().unwrap_or(&self.folder);
        fs::create_dir_all(folder)?;
        for folder in [&self.folder, folder] {
            fs::set_permissions(folder, fs::Permissions::from_mode(0o711))?;
        }
        let listener = UnixListener::bind(socket)?;
        fs::set_permissions(socket, fs::Permissions::from_mode(0o666))?;
        let mut options = fs::File::options();
        let written = options.create(true).append(true).mode(0o600).open(seen_of(folder))?;
        let seen = Mutex::new(Seen { seen, written });
        let shared = Arc::new(Shared { allowance, seen });
        let serving = AbortOnDropHandle::new(tokio::spawn(accept(listener, Arc::clone(&shared))));
        Ok(Exit { socket: socket.to_owned(), shared, _serving: serving })
    }
}

/// The socket in the folder of an exit.
const SOCKET: &str = "exit.sock";

/// Where it is written down what was asked at an exit: beside its folder, which is shown.
fn seen_of(folder: &Path) -> PathBuf {
    folder.with_extension("seen")
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
    seen: Mutex<Seen>,
}

/// What was asked, and the file with the same, a line each.
struct Seen {
    seen: BTreeSet<Fetch>,
    written: fs::File,
}

impl Shared {
    /// Writes down what was asked.
    pub fn note(&self, fetch: Fetch) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.seen.len() >= MOST_SEEN || seen.seen.contains(&fetch) {
            return;
        }
        let line = serde_json::to_string(&fetch).map(|line| line + "\n").unwrap_or_default();
        if let Err(error) = seen.written.write_all(line.as_bytes()) {
            tracing::debug!(%error, "what was asked at an exit is in memory only");
        }
        seen.seen.insert(fetch);
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
        seen.seen.iter().cloned().collect()
    }
}

impl Drop for Exit {
    fn drop(&mut self) {
        // Left behind, it is taken away at the next start.
        if let Some(folder) = self.socket.parent() {
            let _ = fs::remove_dir_all(folder);
            let _ = fs::remove_file(seen_of(folder));
        }
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
