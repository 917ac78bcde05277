//! Which sandbox agents run in, and what it shows of the machine besides its `/usr`.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{SandboxChoice, Source};
use crate::model::Ceiling;

/// Folders of tools outside of `/usr`.
#[derive(Debug, Clone, Default)]
pub struct SandboxTools {
    /// Each is shown read-only at the same path, and its programs are found.
    pub tools: Vec<PathBuf>,
}

/// How containers are made.
#[derive(Debug, Clone, PartialEq)]
pub struct Containers {
    /// The Unix socket of Docker or Podman.
    pub socket: PathBuf,
    /// The image. It is never fetched.
    pub image: String,
    /// Images that a repository may choose instead. They are never fetched either.
    pub images: Vec<String>,
    /// How many processors one container may use.
    pub cpus: Option<f64>,
    /// For how many seconds the container of an agent goes on without a server; 0 for not at all.
    pub survive_seconds: u64,
}

/// How long a container waits for the next server unless said otherwise: a restart takes seconds, that of the
/// whole database with it perhaps a minute.
const SURVIVE_SECONDS: u64 = 120;
/// The longest that can be asked for: an hour. Other replicas wait as long for an agent of one that is dead.
const LONGEST_SURVIVAL: u64 = 3600;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    kind: Option<String>,
    image: Option<String>,
    images: Option<Vec<String>>,
    socket: Option<PathBuf>,
    cpus: Option<f64>,
    survive_seconds: Option<u64>,
    tools: Option<Vec<String>>,
    memory_gb: Option<u32>,
    disk_gb: Option<u32>,
    cpu_minutes: Option<u32>,
}

/// The section: where agents run, what they see of the machine there, and what they may take of it.
pub(super) fn read(source: &mut Source) -> (SandboxChoice, SandboxTools, Ceiling) {
    let file: File = source.section("sandbox");
    let mut tools = Vec::new();
    for entry in file.tools.iter().flatten() {
        match absolute(entry, source.variable("HOME")) {
            Some(path) => tools.push(path),
            None => source.mistake(
                "tools in [sandbox]",
                format_args!("{entry:?} is no absolute path, and none below `~/`"),
            ),
        }
    }
    let ceiling = ceiling(source, &file);
    (choice(source, file), SandboxTools { tools }, ceiling)
}

/// What one agent or command may take in all.
fn ceiling(source: &mut Source, file: &File) -> Ceiling {
    let mut of = |name: &str, figure: Option<u32>, unit: u64, usual: u64| match figure {
        Some(0) => {
            source.mistake(&format!("{name} in [sandbox]"), "is 0: nothing could run");
            usual
        }
        Some(figure) => u64::from(figure) * unit,
        None => usual,
    };
    let usual = Ceiling::default();
    Ceiling {
        memory: of("memory_gb", file.memory_gb, 1 << 30, usual.memory),
        disk: of("disk_gb", file.disk_gb, 1 << 30, usual.disk),
        cpu_ms: of("cpu_minutes", file.cpu_minutes, 60_000, usual.cpu_ms),
    }
}

fn choice(source: &mut Source, file: File) -> SandboxChoice {
    let containers = Containers {
        socket: file.socket.unwrap_or_else(|| "/var/run/docker.sock".into()),
        image: file.image.unwrap_or_else(|| "baton-agent".to_owned()),
        images: file.images.unwrap_or_default(),
        cpus: file.cpus,
        survive_seconds: file.survive_seconds.unwrap_or(SURVIVE_SECONDS),
    };
    if containers.survive_seconds > LONGEST_SURVIVAL {
        let message = format_args!("is more than an hour ({LONGEST_SURVIVAL})");
        source.mistake("survive_seconds in [sandbox]", message);
    }
    if !Path::is_absolute(&containers.socket) {
        source.mistake("socket in [sandbox]", "is no absolute path of a Unix socket");
    }
    if containers.cpus.is_some_and(|cpus| !cpus.is_finite() || cpus < 0.01) {
        source.mistake("cpus in [sandbox]", "is no number of processors, as 1.5");
    }
    match file.kind.as_deref() {
        None | Some("bubblewrap") => SandboxChoice::Bubblewrap,
        Some("container") => SandboxChoice::Container(containers),
        Some(other) => {
            let message = format_args!("{other:?} is neither bubblewrap nor container");
            source.mistake("kind in [sandbox]", message);
            SandboxChoice::Bubblewrap
        }
    }
}

/// A path from the root; `~/` is the home of the account that the server runs as.
fn absolute(entry: &str, home: Option<String>) -> Option<PathBuf> {
    let path = match entry.strip_prefix("~/") {
        Some(rest) => PathBuf::from(home?).join(rest),
        None => PathBuf::from(entry),
    };
    let plain = path.components().all(|part| !matches!(part, std::path::Component::ParentDir));
    (path.is_absolute() && plain && path.parent().is_some()).then_some(path)
}
