//! A Docker of the test's own: its daemon, its containerd and its storage, gone with it.
//!
//! What is shown about containers is shown with Podman; with Docker, which few machines of developers let a test
//! have, the same suite and the killed Baton.

use std::{
    fs,
    os::unix::{fs::PermissionsExt, net::UnixStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use baton::sandbox::kill_users;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::{
    absent::{Lack, skip},
    containers::{Daemon, IMAGE, archive},
};

/// How long the daemon may take to listen.
const PATIENCE: Duration = Duration::from_secs(120);
/// The folders of tests; their process follows.
const PREFIX: &str = "baton-docker-";

/// A daemon of Docker's.
pub struct Docker {
    daemon: Child,
    folder: TempDir,
}

impl Docker {
    /// Starts one with the image of the tests, or says loudly why there is none.
    pub fn start() -> Option<Self> {
        match Self::try_start() {
            Ok(docker) => Some(docker),
            Err(reason) => {
                skip(Lack::Docker, format!("no Docker of the test's own: {reason}"));
                None
            }
        }
    }

    fn try_start() -> Result<Self, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("only root can start its daemon".to_owned());
        }
        clear_the_dead();
        let prefix = format!("{PREFIX}{}-", std::process::id());
        let folder = tempfile::Builder::new().prefix(&prefix).tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o711)).unwrap();
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let mut command = Command::new("dockerd");
        for (flag, name) in [("--data-root", "data"), ("--exec-root", "exec"), ("--pidfile", "pid")]
        {
            command.arg(flag).arg(folder.path().join(name));
        }
        // No bridge and no rule of a firewall: containers have no network, and the machine keeps its own.
        command.args(["--bridge", "none", "--iptables=false", "--ip6tables=false"]);
        let socket = format!("unix://{}", folder.path().join("docker.sock").display());
        command.args(["--host", &socket]).stdout(Stdio::null()).stderr(log);
        let daemon = command.spawn().map_err(|error| format!("dockerd: {error}"))?;
        let mut docker = Self { daemon, folder };
        docker.until_up()?;
        let image = docker.folder.path().join("image.tar");
        archive(&image)?;
        docker.call(&["import", &image.display().to_string(), IMAGE])?;
        fs::remove_file(image).unwrap();
        docker.call(&["run", "--rm", "--network", "none", IMAGE, "true"])?;
        Ok(docker)
    }

    /// Calls the program beside the daemon.
    fn call(&self, arguments: &[&str]) -> Result<String, String> {
        let mut command = Command::new("docker");
        command.args(["--host", &format!("unix://{}", self.socket().display())]).args(arguments);
        let output = command.output().map_err(|error| format!("docker: {error}"))?;
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
            false => {
                Err(format!("docker {arguments:?}: {}", String::from_utf8_lossy(&output.stderr)))
            }
        }
    }

    fn until_up(&mut self) -> Result<(), String> {
        let start = Instant::now();
        while UnixStream::connect(self.socket()).is_err() {
            if self.daemon.try_wait().unwrap().is_some() || start.elapsed() > PATIENCE {
                let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
                return Err(format!("its daemon is not up: {log}"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Daemon for Docker {
    fn socket(&self) -> PathBuf {
        self.folder.path().join("docker.sock")
    }

    fn containers(&self) -> Vec<String> {
        let listed = self.call(&["ps", "--all", "--format", "{{.Names}}"]).unwrap();
        listed.lines().map(str::to_owned).collect()
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        // It ends its own containerd, where it is not killed.
        let _ = kill_process(Pid::from_child(&self.daemon), Signal::TERM);
        let _ = self.daemon.wait();
        clear(self.folder.path());
    }
}

/// Ends what still names a folder, and lets go of the network that the daemon leaves mounted there.
fn clear(folder: &Path) {
    kill_users(&[folder.to_owned()]);
    let network = folder.join("exec/netns/default");
    let _ = Command::new("umount").arg("--lazy").arg(network).stderr(Stdio::null()).status();
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
