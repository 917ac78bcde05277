//! The ports of a sandbox whose bridge is gone, carried by Baton itself.
//!
//! A Unix socket for each such sandbox, shown inside, at which its bridge hands the listeners over before the
//! command starts. One connection is taken and the socket is gone. Each listener belongs to the network of its
//! sandbox, whose end it would outlive: so whoever follows the sandbox drops all of this with it.

use std::{
    fs, io,
    net::TcpListener as Listener,
    os::{
        fd::OwnedFd,
        unix::fs::{DirBuilderExt, PermissionsExt},
    },
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use rustix::process::getpid;
use tokio::{
    io::Interest,
    net::{TcpListener, UnixListener, UnixStream},
    task::JoinSet,
};

use super::{
    Spec,
    bridge::{carry, receive},
    is_alive, proc,
};

/// The folder of the sockets in the state folder.
const FOLDER: &str = "ports";

/// The number of the next one of this process.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// Makes the folder of these sockets, and takes away those of a Baton that was killed.
///
/// # Errors
/// When it cannot be written.
pub(super) fn prepare(state: &Path) -> io::Result<()> {
    let folder = state.join(FOLDER);
    fs::DirBuilder::new().recursive(true).mode(0o711).create(&folder)?;
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o711))?;
    for entry in fs::read_dir(&folder)?.flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.rsplit_once(':'));
        if owner.is_none_or(|(owner, _)| !is_alive(owner)) {
            let _ = fs::remove_file(entry.path());
        }
    }
    Ok(())
}

/// A socket that waits for the ports of one sandbox. Its file goes when it is dropped.
pub(super) struct Ports {
    listener: UnixListener,
    path: PathBuf,
    /// Where each port leads, in the order of the listeners.
    sockets: Vec<PathBuf>,
}

impl Ports {
    /// Makes one for a command that has a way out; the name begins with the process that it belongs to.
    pub(super) fn open(state: &Path, spec: &Spec) -> io::Result<Option<Self>> {
        let ways = spec.gateway.iter().chain(&spec.egress);
        let sockets: Vec<_> = ways.map(|way| way.socket.clone()).collect();
        if sockets.is_empty() {
            return Ok(None);
        }
        // Short, for a socket's path has at most 107 bytes (unix(7)).
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}:{number}", proc::reference(getpid()));
        let path = state.join(FOLDER).join(name);
        let ports = Self { listener: UnixListener::bind(&path)?, path, sockets };
        fs::set_permissions(&ports.path, fs::Permissions::from_mode(0o666))?;
        Ok(Some(ports))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Takes the ports over and carries them until this is dropped.
    pub(super) async fn carry(self) {
        let mut carrying = JoinSet::new();
        match self.taken().await {
            Ok(taken) => {
                for (listener, socket) in taken {
                    carrying.spawn(carry(listener, socket, Duration::ZERO, unreached));
                }
            }
            Err(error) => {
                tracing::warn!(%error, "a sandbox handed no ports over: it reaches nothing");
            }
        }
        while carrying.join_next().await.is_some() {}
    }

    /// Waits for the listeners; whoever knocks later, from inside, finds nobody.
    async fn taken(self) -> io::Result<Vec<(TcpListener, PathBuf)>> {
        let (line, _) = self.listener.accept().await?;
        let received = received(&line).await?;
        if received.len() != self.sockets.len() {
            return Err(io::Error::other(format!("{} ports came", received.len())));
        }
        let pairs = received.into_iter().zip(&self.sockets);
        pairs
            .map(|(listener, socket)| {
                Ok((TcpListener::from_std(Listener::from(listener))?, socket.clone()))
            })
            .collect()
    }
}

async fn received(line: &UnixStream) -> io::Result<Vec<OwnedFd>> {
    line.async_io(Interest::READABLE, || receive(line)).await
}

/// The agent's program tells by itself that it reaches nobody.
fn unreached(socket: &Path, error: &io::Error) {
    tracing::debug!(socket = %socket.display(), %error, "a sandbox cannot reach its socket");
}

impl Drop for Ports {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}
