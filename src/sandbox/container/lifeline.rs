//! The connection by which a container ends with its Baton, and tells how its command ended.
//!
//! A Unix socket for each container, shown inside, on which the bridge connects before it starts anything.
//! One connection is taken and the socket is gone. The kernel closes the connection when either side dies,
//! however it dies: so the bridge ends everything when Baton is gone, and Baton knows when the bridge is.
//!
//! The bridge of a container that may outlive its Baton calls again, and shows a key: the command beside it has
//! the same account, and finds the same socket.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{
    io::AsyncReadExt,
    net::{UnixListener, UnixStream},
    time::timeout,
};

use super::watch::Orders;
use crate::sandbox::{
    Exit,
    wire::{Kept, Key, Word},
};

/// The socket in the folder of a container that may outlive its Baton.
pub(super) const SOCKET: &str = "line.sock";
/// How long whoever calls may take to say who it is.
const WORD: Duration = Duration::from_secs(5);

/// A socket that waits for its bridge. Its file goes when it is dropped.
pub(super) struct Lifeline {
    listener: UnixListener,
    path: PathBuf,
    name: String,
}

impl Lifeline {
    /// Makes a socket with a name of its own in a folder that nobody else can list.
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        // Short, for a socket's path has at most 107 bytes (unix(7)).
        let name = format!("{:016x}", rand::random::<u64>());
        Self::bind(folder.join(&name), name)
    }

    /// Makes one in a folder that is shown as a whole, so that a later Baton can make another; in that of this
    /// name, where there is one.
    pub(super) fn open_apart(lines: &Path, name: Option<&str>) -> io::Result<Self> {
        let name = name.map_or_else(|| format!("{:016x}", rand::random::<u64>()), str::to_owned);
        let folder = lines.join(&name);
        fs::DirBuilder::new().recursive(true).mode(0o711).create(&folder)?;
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o711))?;
        let path = folder.join(SOCKET);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Self::bind(path, name),
        }
    }

    fn bind(path: PathBuf, name: String) -> io::Result<Self> {
        let listener = UnixListener::bind(&path)?;
        let lifeline = Self { listener, path, name };
        fs::set_permissions(&lifeline.path, fs::Permissions::from_mode(0o666))?;
        Ok(lifeline)
    }

    /// Waits for the bridge that has this key, and hears how much input it has, and from where on it has the
    /// outputs. Whoever else calls is sent away.
    pub(super) async fn meet(self, key: Key) -> io::Result<(UnixStream, u64, Kept)> {
        loop {
            let (mut line, _) = self.listener.accept().await?;
            match timeout(WORD, Word::read(&mut line)).await {
                Ok(Ok(Word::Hello { key: shown, taken, from })) if shown == key => {
                    return Ok((line, taken, from));
                }
                Ok(_) | Err(_) => tracing::warn!(line = self.name, "somebody else called"),
            }
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Waits for the bridge and then for its end; gives the code that it told, or that it was killed.
    ///
    /// Given up, it lets go of the line, which is the end of everything at its other side.
    pub(super) async fn ended(self, orders: Arc<Orders>) -> Exit {
        let killed = Exit::Signal(rustix::process::Signal::KILL.as_raw());
        let Ok((mut line, _)) = self.listener.accept().await else { return killed };
        orders.met(line.peer_cred().ok().and_then(|peer| peer.pid()));
        // Whoever knocks later, from inside, finds nobody.
        drop(self);
        let code = line.read_u8().await;
        // The bridge stays until the line is let go.
        orders.look_last();
        code.map_or(killed, |code| Exit::Code(i32::from(code)))
    }
}

impl Drop for Lifeline {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}
