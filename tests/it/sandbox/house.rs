//! What one case has: a sandbox of one kind, and a folder that its account can pass.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use baton::sandbox::{
    Bubblewrap, Container, ContainerSettings, Host, Kind, Owner, Sandbox, Settings, Spec, Taken,
    own,
};
use tempfile::TempDir;

use crate::support::{
    absent::{Lack, skip},
    containers::{Daemon, IMAGE, Podman},
    docker::Docker,
};

/// Everything one case needs.
pub struct House {
    pub folder: TempDir,
    pub sandbox: Box<dyn Sandbox>,
    pub podman: Option<Arc<Podman>>,
    pub docker: Option<Arc<Docker>>,
}

pub const EXECUTABLE: &str = env!("CARGO_BIN_EXE_baton");

fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o711)).unwrap();
    folder
}

/// Bubblewrap with some settings different.
pub fn bubblewrap_with(settings: impl FnOnce(&mut Settings)) -> House {
    let folder = folder();
    let mut wanted = Settings {
        program: "bwrap".into(),
        bridge: EXECUTABLE.into(),
        state: folder.path().join("sandbox"),
        owner: Owner::default(),
        nested: false,
    };
    settings(&mut wanted);
    let sandbox = Box::new(Bubblewrap::new(wanted).unwrap());
    House { folder, sandbox, podman: None, docker: None }
}

/// A house with bubblewrap, or `None`, loudly, where it is not installed.
pub fn bubblewrap() -> Option<House> {
    if Command::new("bwrap").arg("--version").output().is_err() {
        skip(Lack::Bubblewrap, "bubblewrap is not installed");
        return None;
    }
    Some(bubblewrap_with(|_| ()))
}

fn container_settings(socket: PathBuf, folder: &Path) -> ContainerSettings {
    ContainerSettings {
        socket,
        image: IMAGE.to_owned(),
        cpus: Some(2.0),
        bridge: EXECUTABLE.into(),
        state: folder.join("sandbox"),
        owner: Owner::default(),
        survive_seconds: 60,
    }
}

/// Containers of a daemon that is another process's.
pub fn container_at(socket: PathBuf, folder: &Path, survive_seconds: u64) -> Container {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o711)).unwrap();
    let settings = container_settings(socket, folder);
    Container::new(ContainerSettings { survive_seconds, ..settings }).unwrap()
}

/// Containers with some settings different.
pub fn containers_with(
    podman: &Arc<Podman>,
    settings: impl FnOnce(&mut ContainerSettings),
) -> House {
    let folder = folder();
    let mut wanted = container_settings(podman.socket(), folder.path());
    settings(&mut wanted);
    let sandbox = Box::new(Container::new(wanted).unwrap());
    House { folder, sandbox, podman: Some(Arc::clone(podman)), docker: None }
}

/// A house with containers, or `None`, loudly, where there are none.
pub fn containers() -> Option<House> {
    let podman = Arc::new(Podman::start()?);
    Some(containers_with(&podman, |_| ()))
}

/// The same with Docker's daemon.
pub fn containers_of_docker() -> Option<House> {
    let docker = Arc::new(Docker::start()?);
    let folder = folder();
    let settings = container_settings(docker.socket(), folder.path());
    let sandbox = Box::new(Container::new(settings).unwrap());
    Some(House { folder, sandbox, podman: None, docker: Some(docker) })
}

pub fn bare_machine() -> House {
    let sandbox = Box::new(Host::new(EXECUTABLE.into(), Owner::default()));
    House { folder: folder(), sandbox, podman: None, docker: None }
}

pub fn shell(script: &str) -> Spec {
    let mut spec = Spec::new(vec!["bash".into(), "-c".into(), script.into()]);
    spec.env = vec![("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into())];
    spec
}

impl House {
    pub fn kind(&self) -> Kind {
        self.sandbox.kind()
    }

    pub async fn run(&self, spec: Spec) -> Taken {
        self.sandbox.start(spec).await.unwrap().finish(1 << 20).await
    }

    /// What a script printed, line by line.
    pub async fn lines(&self, spec: Spec) -> Vec<String> {
        let taken = self.run(spec).await;
        text(&taken.stdout).lines().map(str::to_owned).collect()
    }

    /// A folder that the sandbox's account may write to.
    pub fn writable(&self, name: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::create_dir(&path).unwrap();
        give(&path);
        path
    }
}

/// Gives a folder to the account that sandboxes have.
pub fn give(path: &Path) {
    if rustix::process::geteuid().is_root() {
        own(path, Owner::default()).unwrap();
    }
}

pub fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap().trim_end()
}

/// Whether a process runs that sleeps for as long as the mark says.
pub fn somebody_has(mark: &str) -> bool {
    sleepers(mark) > 0
}

/// How many do.
pub fn sleepers(mark: &str) -> usize {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
    let line = format!("sleep\0{mark}\0");
    lines.filter(|found| found == line.as_bytes()).count()
}

/// Waits, at most a minute, for what has to come true.
pub async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(60), "never: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A number of seconds that nobody else sleeps.
pub fn mark() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let next = 70_000 + NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{next}.{}", std::process::id())
}
