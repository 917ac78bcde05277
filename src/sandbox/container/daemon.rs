//! Which daemon serves the API, and under which account commands run there.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use bollard::Docker;

use super::{ContainerSettings, seccomp, trial};
use crate::sandbox::SandboxError;

/// Seconds that one request may take: a loaded machine starts a container in some.
const PATIENCE: u64 = 120;

/// The account of a command and of its files, and how the daemon maps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Account {
    pub uid: u32,
    pub gid: u32,
    /// The user namespace to ask for.
    pub namespace: &'static str,
}

impl Account {
    /// The unprivileged account where Baton is root, or else its own, so that both can write a workspace.
    ///
    /// A daemon of root's gives numbers as they are. One of an account's own maps that account to root
    /// inside unless it is told to keep it.
    pub(super) fn of(settings: &ContainerSettings) -> Self {
        let own = rustix::process::geteuid();
        let namespace = if is_rootless(&settings.socket) { "keep-id" } else { "host" };
        if own.is_root() {
            let owner = settings.owner;
            return Self { uid: owner.uid, gid: owner.gid, namespace };
        }
        let gid = rustix::process::getegid().as_raw();
        Self { uid: own.as_raw(), gid, namespace }
    }
}

/// Whether the daemon runs without root's rights: its socket belongs to its account.
pub(super) fn is_rootless(socket: &Path) -> bool {
    fs::metadata(socket).is_ok_and(|socket| socket.uid() != 0)
}

/// A daemon that answers.
#[derive(Debug, Clone)]
pub(super) struct Daemon {
    /// The client, in the version of the API that both sides speak.
    pub docker: Docker,
    pub is_podman: bool,
    /// The profile of system calls to name; Docker's own is strict enough.
    pub seccomp: Option<PathBuf>,
}

impl Daemon {
    /// Connects, and asks who it is.
    pub(super) async fn connect(settings: &ContainerSettings) -> Result<Self, SandboxError> {
        let socket = &settings.socket;
        trial::knock(socket)?;
        let path = socket.to_string_lossy();
        let asking = async {
            let docker = Docker::connect_with_unix(&path, PATIENCE, bollard::API_DEFAULT_VERSION)?;
            let docker = docker.negotiate_version().await?;
            let version = docker.version().await?;
            Ok((docker, version.components.unwrap_or_default()))
        };
        let asked: Result<_, bollard::errors::Error> = asking.await;
        let (docker, components) =
            asked.map_err(|error| trial::no_daemon(socket, &error.to_string()))?;
        let is_podman = components.iter().any(|component| component.name.contains("Podman"));
        let seccomp = is_podman.then(|| seccomp::write(&settings.state)).transpose()?;
        Ok(Self { docker, is_podman, seccomp })
    }
}
