//! A Podman of the test's own: its daemon and its storage, gone with it. Its one image is shared.
//!
//! What a test left behind that was killed, the next one takes away.

mod image;

use std::{
    fs,
    os::unix::{fs::PermissionsExt, net::UnixStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

pub use image::archive;
use image::{Image, on_path};
use rustix::process::Pid;
use tempfile::TempDir;

use super::{
    absent::{Lack, skip},
    leftovers, machine, remains,
};

/// How long the daemon may take to listen.
const PATIENCE: Duration = Duration::from_secs(60);

/// The image's name.
pub const IMAGE: &str = "baton-test";

/// A daemon that serves Docker's API, of the test's own.
pub trait Daemon: Send + Sync {
    /// Where it listens.
    fn socket(&self) -> PathBuf;
    /// The names of all containers, ended ones too.
    fn containers(&self) -> Vec<String>;
}

impl Daemon for Podman {
    fn socket(&self) -> PathBuf {
        self.socket()
    }

    fn containers(&self) -> Vec<String> {
        self.containers()
    }
}

/// The daemon of a test that has Podman.
pub struct Podman {
    daemon: Child,
    image: Image,
    folder: TempDir,
}

impl Podman {
    /// Starts one with its image, or says loudly why there is none.
    pub fn start() -> Option<Self> {
        match Self::try_start() {
            Ok(podman) => Some(podman),
            Err(reason) => {
                skip(Lack::Container, format!("no containers on this machine: {reason}"));
                None
            }
        }
    }

    fn try_start() -> Result<Self, String> {
        clear_the_dead();
        let image = Image::get()?;
        let folder = new_folder();
        let socket = folder.path().join("podman.sock");
        let mut command = podman(folder.path(), Some(&image.store));
        command.args(["system", "service", "--time", "0", &format!("unix://{}", socket.display())]);
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let daemon = command.stdout(Stdio::null()).stderr(log).spawn();
        let daemon = daemon.map_err(|error| format!("podman cannot be started: {error}"))?;
        let mut podman = Self { daemon, image, folder };
        podman.until_up()?;
        podman.call(&["run", "--rm", "--network", "none", IMAGE, "true"])?;
        Ok(podman)
    }

    /// Where it listens.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("podman.sock")
    }

    /// Calls the program beside the daemon, on the same storage.
    pub fn call(&self, arguments: &[&str]) -> Result<String, String> {
        let output = podman(self.folder.path(), Some(&self.image.store)).args(arguments).output();
        let output = output.map_err(|error| error.to_string())?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
        }
        Err(format!("podman {arguments:?}: {}", String::from_utf8_lossy(&output.stderr)))
    }

    /// The names of all containers, ended ones too.
    pub fn containers(&self) -> Vec<String> {
        let listed = self.call(&["ps", "--all", "--format", "{{.Names}}"]).unwrap();
        listed.lines().map(str::to_owned).collect()
    }

    /// The ids of all containers that there are now, without asking the daemon.
    pub fn ids(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path().join("root/overlay-containers"));
        let names = entries.into_iter().flatten().flatten().map(|entry| entry.file_name());
        let names = names.filter_map(|name| name.into_string().ok());
        names.filter(|name| name.len() == 64).collect()
    }

    /// What is left of containers: those that the daemon lists or keeps folders of, their monitors and
    /// processes, their mounts, and namespaces that the daemon holds.
    pub fn left(&self) -> Vec<String> {
        let folder = self.folder.path();
        let daemon = Pid::from_child(&self.daemon);
        let listed = self.containers().into_iter().map(|name| format!("a container: {name}"));
        let kept = self.ids().into_iter().map(|id| format!("a container's folder: {id}"));
        let own = format!("a process: {} ", daemon.as_raw_nonzero());
        let processes = leftovers::processes_of(folder).into_iter();
        let mounted = machine::mounts(folder, daemon).into_iter();
        listed
            .chain(kept)
            .chain(processes.filter(|process| !process.starts_with(&own)))
            // The storage itself is a mount while it is used.
            .chain(mounted.filter(|mount| mount.contains("/merged ") || mount.contains("nsfs")))
            .chain(remains::namespaces(daemon, folder))
            .collect()
    }

    /// What the daemon has said.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn until_up(&mut self) -> Result<(), String> {
        let start = Instant::now();
        while UnixStream::connect(self.socket()).is_err() {
            if self.daemon.try_wait().unwrap().is_some() || start.elapsed() > PATIENCE {
                return Err(format!("podman's daemon is not up: {}", self.log()));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
        clear(self.folder.path());
    }
}

/// The folders of tests; their process follows.
const PREFIX: &str = "baton-podman-";

/// A folder of this test's, with all that its podman goes by.
fn new_folder() -> TempDir {
    let prefix = format!("{PREFIX}{}-", std::process::id());
    let folder = tempfile::Builder::new().prefix(&prefix).tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o711)).unwrap();
    fs::write(folder.path().join("containers.conf"), settings(folder.path())).unwrap();
    folder
}

/// Ends what runs in a folder's storage, and lets go of it.
fn clear(folder: &Path) {
    for arguments in [&["rm", "--all", "--force", "--time", "0"][..], &["rmi", "--all", "--force"]]
    {
        let _ = podman(folder, None).args(arguments).output();
    }
    let_go(folder);
}

/// Takes away the mount of its own that storage is while it is used.
fn let_go(folder: &Path) {
    let storage = folder.join("root/overlay");
    let _ = Command::new("umount").arg("--lazy").arg(storage).stderr(Stdio::null()).status();
}

/// Takes away the folders of tests that are no more.
fn clear_the_dead() {
    for entry in fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let process = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
        if process.is_some_and(|process| !Path::new("/proc").join(process).exists()) {
            clear(&entry.path());
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Podman on the storage in a folder, with the images of another one to read.
fn podman(folder: &Path, images: Option<&Path>) -> Command {
    let mut command = Command::new("podman");
    // Its monitor leaves a file where it stands when a container runs out of memory.
    command.current_dir(folder);
    command.env("CONTAINERS_CONF", folder.join("containers.conf"));
    for (flag, name) in [("--root", "root"), ("--runroot", "run")] {
        command.arg(flag).arg(folder.join(name));
    }
    if let Some(store) = images {
        command.arg("--storage-opt").arg(format!("overlay.imagestore={}", store.display()));
    }
    command
}

/// Everything in the folder, and limits that a small machine may set.
fn settings(folder: &Path) -> String {
    let folder = folder.display();
    let runtime = if on_path("runc").is_some() { "runtime = \"runc\"\n" } else { "" };
    format!(
        "[containers]\ndefault_ulimits = [\"nofile=4096:4096\", \"nproc=4096:4096\"]\n\
         [engine]\n{runtime}cgroup_manager = \"cgroupfs\"\nevents_logger = \"none\"\n\
         lock_type = \"file\"\ntmp_dir = \"{folder}/tmp\"\nstatic_dir = \"{folder}/static\"\n\
         volume_path = \"{folder}/volumes\"\n"
    )
}
