//! What to run and what it may see.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::SandboxError;

/// The home folder inside: scratch space in memory, unless a mount is put there.
pub const HOME: &str = "/home/baton";

/// One command and everything that it gets. What is not named here does not exist inside.
#[derive(Debug, Clone)]
pub struct Spec {
    /// Who it is for, as `agent-12`, for whoever looks at the machine; may be empty.
    pub name: String,
    /// Program and arguments; the program is looked up in the `PATH` of `env`.
    pub argv: Vec<String>,
    /// The image whose programs it sees; none for that of the sandbox. Only containers have any.
    pub image: Option<String>,
    /// The whole environment. Names hold no `=`; neither part holds a NUL byte.
    pub env: Vec<(String, String)>,
    /// Where it starts: an absolute path as seen inside.
    pub workdir: PathBuf,
    /// Folders and files of the machine that it sees.
    pub mounts: Vec<Mount>,
    /// Folders of the machine that are laid over others before any mount is made.
    pub overlays: Vec<Overlay>,
    /// The way to the model gateway, if it has one.
    pub gateway: Option<Gateway>,
    /// The way to the egress proxy, if it has one.
    pub egress: Option<Gateway>,
    /// What network it has besides those two.
    pub network: Network,
    /// What it may use up.
    pub limits: ResourceLimits,
    /// Size of each of `/tmp`, `/dev/shm` and the home folder, in bytes of memory.
    pub tmp_bytes: u64,
    /// Whether it may go on while there is no Baton, where the sandbox is one that can: then somebody looks
    /// for it again ([`Sandbox::resume`](super::Sandbox::resume)), says what is kept of its output
    /// ([`Running::keep`](super::Running::keep)), and each socket lies alone in a folder of its own, which is
    /// shown inside.
    pub may_survive: bool,
}

impl Spec {
    /// A command without network, mounts or environment, in `/tmp`, under the default limits.
    #[must_use]
    pub fn new(argv: Vec<String>) -> Self {
        Self {
            name: String::new(),
            argv,
            image: None,
            env: Vec::new(),
            workdir: PathBuf::from("/tmp"),
            mounts: Vec::new(),
            overlays: Vec::new(),
            gateway: None,
            egress: None,
            network: Network::None,
            limits: ResourceLimits::default(),
            tmp_bytes: 512 << 20,
            may_survive: false,
        }
    }

    /// Refuses what would fail in ways that are hard to understand from inside.
    pub(super) fn check(&self) -> Result<(), SandboxError> {
        let invalid = |what: String| Err(SandboxError::InvalidSpec(what));
        if self.argv.is_empty() {
            return invalid("there is no command".to_owned());
        }
        if self.argv.iter().any(|argument| argument.contains('\0')) {
            return invalid("an argument holds a NUL byte".to_owned());
        }
        if !self.workdir.is_absolute() {
            return invalid(format!("workdir {} is not absolute", self.workdir.display()));
        }
        for mount in &self.mounts {
            if !mount.host.is_absolute() || !mount.inside.is_absolute() {
                return invalid(format!("mount {} is not absolute", mount.inside.display()));
            }
        }
        for Overlay { lower, upper, work, at } in &self.overlays {
            if ![lower, upper, work, at].into_iter().all(|path| path.is_absolute()) {
                return invalid(format!("overlay {} is not absolute", at.display()));
            }
        }
        for (name, value) in &self.env {
            if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
                return invalid(format!("{name:?} is no environment variable"));
            }
        }
        Ok(())
    }
}

/// One folder or file of the machine, as seen inside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// The absolute path on the machine. The sandbox's uid must be able to reach it: every folder
    /// above it needs its `x` bit for others.
    pub host: PathBuf,
    /// The absolute path inside.
    pub inside: PathBuf,
    /// Whether it can be written (as far as its owner and mode allow the sandbox's uid).
    pub writable: bool,
}

/// A folder that shows another one, unchanged, with what is written kept in a third.
///
/// It exists for this sandbox alone and as long as it. Everything belongs to the sandbox's account;
/// `upper` and `work` are on one file system, and no other running sandbox has the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overlay {
    /// What is shown. Nothing may change it while the sandbox runs.
    pub lower: PathBuf,
    /// What was written, and what was taken away.
    pub upper: PathBuf,
    /// Scratch space of the kernel's, empty at first.
    pub work: PathBuf,
    /// The folder at which it is seen: mounts of the spec that name it show the overlay.
    pub at: PathBuf,
}

/// A Unix socket of Baton that a loopback port inside leads to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gateway {
    /// The socket on the machine. The sandbox's uid needs write permission on it to connect.
    pub socket: PathBuf,
    /// The port on 127.0.0.1 inside. On `Host` it is the machine's own, so each agent needs another.
    pub port: u16,
}

/// What network a command has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// A loopback of its own and nothing else, no name resolution either.
    None,
    /// The machine's, with its loopback and abstract sockets: only for a repository's deploy and
    /// verify commands, never for an agent.
    Host,
}

/// What a command may use up. Absent means as much as Baton itself may.
///
/// These are the kernel's per-process limits (`setrlimit`), which need no privileges. They bound one
/// process each, except `processes`, which counts the whole sandbox. A container has a cgroup besides, which
/// bounds `processes` and `memory_bytes` for all that is in it together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceLimits {
    /// Processes and threads in the sandbox. Needs a user namespace: not applied on `Host`, where
    /// the kernel would count every process of the same uid.
    pub processes: Option<u64>,
    /// Private writable memory of one process (`RLIMIT_DATA`). Address space (`RLIMIT_AS`) cannot be
    /// limited: JavaScript engines reserve many gigabytes of it that they never touch.
    pub memory_bytes: Option<u64>,
    /// Size of one file.
    pub file_bytes: Option<u64>,
    /// Open files of one process.
    pub open_files: Option<u64>,
    /// Processor time of one process.
    pub cpu_seconds: Option<u64>,
}

impl ResourceLimits {
    /// Limits nothing.
    #[must_use]
    pub fn none() -> Self {
        Self {
            processes: None,
            memory_bytes: None,
            file_bytes: None,
            open_files: None,
            cpu_seconds: None,
        }
    }
}

impl Default for ResourceLimits {
    /// Room for a compiler and its tests, and an end for a fork bomb or a file that fills the disk.
    fn default() -> Self {
        Self {
            processes: Some(1024),
            memory_bytes: Some(8 << 30),
            file_bytes: Some(4 << 30),
            open_files: Some(4096),
            cpu_seconds: None,
        }
    }
}
