//! The connection by which a container ends with its Baton, and tells how its command ended.
//!
//! A Unix socket for each container, shown inside, on which the bridge connects before it starts anything.
//! One connection is taken and the socket is gone. The kernel closes the connection when either side dies,
//! however it dies: so the bridge ends everything when Baton is gone, and Baton knows when the bridge is.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::{io::AsyncReadExt, net::UnixListener};

use super::watch::Orders;
use crate::sandbox::Exit;

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
        let path = folder.join(&name);
        let listener = UnixListener::bind(&path)?;
        let lifeline = Self { listener, path, name };
        fs::set_permissions(&lifeline.path, fs::Permissions::from_mode(0o666))?;
        Ok(lifeline)
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
