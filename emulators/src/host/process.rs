//! The program of one release, in a process group of its own that ends with its owner.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use super::release::Release;

/// A program must listen within this time.
const START_TIMEOUT: Duration = Duration::from_secs(15);
/// How often a starting program is asked.
const ASK_EVERY: Duration = Duration::from_millis(20);
/// A program that is told to end may take this long before it is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);
/// Where a program's output goes, in the release's folder.
const LOG: &str = "output.log";
/// So much of a failed program's output is told, in bytes.
const LOG_TOLD: usize = 2000;

/// A program that listens.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    group: Option<Pid>,
    /// Where it listens.
    pub(super) address: SocketAddr,
}

impl Process {
    /// Starts a written release and waits until it listens; the error is a sentence with the end of its output.
    pub(super) async fn start(release: &Release, folder: &Path) -> Result<Self, String> {
        let mut process = Self::spawn(release, folder).await.map_err(|error| {
            format!("the program {:?} could not be started: {error}", release.program)
        })?;
        match process.wait_until_listening().await {
            Ok(()) => Ok(process),
            Err(reason) => {
                process.stop().await;
                let output = tokio::fs::read(folder.join(LOG)).await.unwrap_or_default();
                let told = &output[output.len().saturating_sub(LOG_TOLD)..];
                Err(format!("{reason}; it printed: {}", String::from_utf8_lossy(told).trim()))
            }
        }
    }

    /// Starts the program with an environment of `PATH` and `PORT` alone.
    async fn spawn(release: &Release, folder: &Path) -> io::Result<Self> {
        let address = free_address().await?;
        let log = std::fs::File::create(folder.join(LOG))?;
        let mut command = Command::new(&release.program);
        command
            .args(&release.arguments)
            .current_dir(folder)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into()))
            .env("PORT", address.port().to_string())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .kill_on_drop(true);
        let child = command.spawn()?;
        let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        Ok(Self { child, group, address })
    }

    async fn wait_until_listening(&mut self) -> Result<(), String> {
        let end = Instant::now() + START_TIMEOUT;
        while Instant::now() < end {
            if TcpStream::connect(self.address).await.is_ok() {
                return Ok(());
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("the program ended before it listened ({status})"));
            }
            sleep(ASK_EVERY).await;
        }
        Err(format!("the program did not listen at its PORT within {} s", START_TIMEOUT.as_secs()))
    }

    /// Whether the program has not ended.
    pub(super) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Ends the program and what it started: politely, then by force.
    pub(super) async fn stop(mut self) {
        self.signal(Signal::TERM);
        let _ = timeout(STOP_TIMEOUT, self.child.wait()).await;
        self.signal(Signal::KILL);
        let _ = self.child.wait().await;
    }

    /// Tells the whole group; that it is gone already is no error.
    fn signal(&self, signal: Signal) {
        if let Some(group) = self.group {
            let _ = kill_process_group(group, signal);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

/// A loopback address that nobody listens at just now.
async fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?.local_addr()
}
