//! Starting, finding and stopping the server.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use rustix::process::{Pid, Signal};
use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};
use tokio::process::{Child, Command};

use super::{
    EmbeddedError, Identity,
    folders::{Folders, give},
    locks, programs,
};

/// The database role, a superuser; the database itself is called `postgres`.
pub const USER: &str = "baton";

/// Between two looks at a server that starts or ends.
const PAUSE: Duration = Duration::from_millis(20);

/// Looks at a server that starts: two minutes, as one that crashed first reads its log again.
const STARTING: u32 = 6_000;

/// Looks at a server that ends, before it is ended harder: thirty seconds.
const ENDING: u32 = 1_500;

/// A log larger than this is put aside at the next start.
const LARGEST_LOG: u64 = 16 << 20;

/// Which server.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Holds everything of the server; made if absent.
    pub folder: PathBuf,
    /// Who the server runs as: [`Identity::of_server`] unless there is a reason.
    pub identity: Option<Identity>,
    /// Whether what is committed survives a crash of the machine. Only tests do without.
    pub durable: bool,
    /// Connections at most.
    pub max_connections: u32,
}

/// A running server, in use by this process.
///
/// Dropped without [`Embedded::stop`], the server goes on and the next start finds it.
#[derive(Debug)]
pub struct Embedded {
    folders: Folders,
    /// Where this process started it.
    child: Option<Child>,
    /// Says that somebody uses the server.
    users: File,
}

/// Starts the server, or goes on with one that runs already.
///
/// # Errors
/// See [`EmbeddedError`]: each variant says what to do about it.
pub async fn start(settings: &Settings) -> Result<Embedded, EmbeddedError> {
    let folders = Folders::of(&settings.folder);
    let starting = locks::exclusive(&folders.starting).await?;
    folders.prepare(settings.identity)?;
    let programs = programs::find(&folders.data)?;
    let child = if answers_or_ends(&folders).await? {
        None
    } else {
        if !folders.data.exists() {
            initialise(&programs.initdb, &folders, settings).await?;
        }
        Some(launch(&programs.postgres, &folders, settings).await?)
    };
    let users = locks::shared(&folders.users).await?;
    drop(starting);
    Ok(Embedded { folders, child, users })
}

/// Names the server program that [`start`] would use; starts nothing.
///
/// # Errors
/// [`EmbeddedError::NotInstalled`] and [`EmbeddedError::OtherVersion`].
pub fn installed(folder: &Path) -> Result<PathBuf, EmbeddedError> {
    Ok(programs::find(&Folders::of(folder).data)?.postgres)
}

impl Embedded {
    /// The folder of the socket; the role is [`USER`].
    #[must_use]
    pub fn socket_folder(&self) -> &Path {
        &self.folders.socket
    }

    /// Stops the server unless another process uses it; tells whether it was stopped.
    ///
    /// # Errors
    /// When it does not end, even when told harder.
    pub async fn stop(self) -> Result<bool, EmbeddedError> {
        let starting = locks::exclusive(&self.folders.starting).await?;
        let stopped = self.stop_if_unused().await?;
        drop(starting);
        Ok(stopped)
    }

    /// Stops the server and deletes its data unless another process uses it; tells whether.
    ///
    /// # Errors
    /// When it does not end, or the folder cannot be deleted.
    pub async fn discard(self) -> Result<bool, EmbeddedError> {
        let folders = self.folders.clone();
        let starting = locks::exclusive(&folders.starting).await?;
        let stopped = self.stop_if_unused().await?;
        if stopped {
            folders.remove()?;
        }
        drop(starting);
        Ok(stopped)
    }

    /// Whoever calls holds the lock for starting, so nobody can begin to use it meanwhile.
    async fn stop_if_unused(self) -> Result<bool, EmbeddedError> {
        let Self { folders, child, users } = self;
        drop(users);
        let Some(unused) = locks::if_unused(&folders.users)? else { return Ok(false) };
        end(&folders, child).await?;
        drop(unused);
        Ok(true)
    }
}

/// Waits for a server that starts or ends; tells whether one answers. A pid file without a server is
/// removed, as Postgres would refuse to start beside one whose number another process has got.
async fn answers_or_ends(folders: &Folders) -> Result<bool, EmbeddedError> {
    for _ in 0..STARTING {
        if answers(folders).await {
            return Ok(true);
        }
        let Some(pid) = pid_in_file(folders) else { return Ok(false) };
        if !is_server(pid).await {
            let file = folders.data.join("postmaster.pid");
            // Its lock on the socket names the same number; without it there is nothing to remove.
            let _ = fs::remove_file(folders.socket_lock());
            return match fs::remove_file(&file) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    Err(EmbeddedError::Folder { path: file, source: error })
                }
                _ => Ok(false),
            };
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err(EmbeddedError::Timeout { what: "answer", log: folders.log.clone() })
}

async fn answers(folders: &Folders) -> bool {
    let options = PgConnectOptions::new_without_pgpass()
        .socket(&folders.socket)
        .username(USER)
        .database("postgres");
    match PgConnection::connect_with(&options).await {
        Ok(connection) => connection.close().await.is_ok(),
        Err(_) => false,
    }
}

/// The first line of the pid file, as Postgres writes it.
fn pid_in_file(folders: &Folders) -> Option<Pid> {
    let file = fs::read_to_string(folders.data.join("postmaster.pid")).ok()?;
    Pid::from_raw(file.lines().next()?.trim().parse().ok()?)
}

/// Tells whether a process is a Postgres, and not another that got the number of one that died.
async fn is_server(pid: Pid) -> bool {
    let mut command = Command::new("ps");
    let output = command.args(["-o", "stat=,args=", "-p"]).arg(pid.as_raw_nonzero().to_string());
    match output.output().await {
        Ok(output) => {
            let line = String::from_utf8_lossy(&output.stdout);
            line.contains("postgres") && !line.trim_start().starts_with('Z')
        }
        // Without `ps` nobody knows: Postgres itself will judge.
        Err(_) => rustix::process::test_kill_process(pid).is_ok(),
    }
}

/// Makes the data folder beside its place and moves it there, so that a half-made one is never used.
async fn initialise(
    initdb: &Path,
    folders: &Folders,
    settings: &Settings,
) -> Result<(), EmbeddedError> {
    let new = &folders.unfinished;
    if new.exists() {
        fs::remove_dir_all(new).map_err(EmbeddedError::folder(new))?;
    }
    fs::create_dir(new).map_err(EmbeddedError::folder(new))?;
    give(new, settings.identity)?;
    let mut command = as_server(initdb, settings);
    command.arg("-D").arg(new).args(["-A", "trust", "-E", "UTF8", "--locale=C", "-U", USER]);
    if !settings.durable {
        command.arg("--no-sync");
    }
    let failed = |output: String| EmbeddedError::Program { program: "initdb", output };
    let output = command.output().await.map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    fs::rename(new, &folders.data).map_err(EmbeddedError::folder(&folders.data))
}

async fn launch(
    postgres: &Path,
    folders: &Folders,
    settings: &Settings,
) -> Result<Child, EmbeddedError> {
    let log = open_log(&folders.log)?;
    let mut command = as_server(postgres, settings);
    command.arg("-D").arg(&folders.data).arg("-k").arg(&folders.socket);
    for setting in configuration(settings) {
        command.arg("-c").arg(setting);
    }
    let failed = |output: String| EmbeddedError::Program { program: "postgres", output };
    // A process group of its own: a Ctrl-C for Baton must not reach the server before Baton ends.
    command.process_group(0).stdout(log.try_clone().map_err(EmbeddedError::folder(&folders.log))?);
    let mut child = command.stderr(log).spawn().map_err(|error| failed(error.to_string()))?;
    for _ in 0..STARTING {
        if answers(folders).await {
            return Ok(child);
        }
        if let Ok(Some(_)) = child.try_wait() {
            return Err(failed(last_lines(&folders.log)));
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err(EmbeddedError::Timeout { what: "answer", log: folders.log.clone() })
}

fn configuration(settings: &Settings) -> Vec<String> {
    let mut lines = vec![
        "listen_addresses=".to_owned(),
        "port=5432".to_owned(),
        "unix_socket_permissions=0700".to_owned(),
        format!("max_connections={}", settings.max_connections),
        "timezone=UTC".to_owned(),
        "log_timezone=UTC".to_owned(),
    ];
    if !settings.durable {
        lines.extend(
            ["fsync=off", "synchronous_commit=off", "full_page_writes=off"].map(Into::into),
        );
    }
    lines
}

/// A program as the server's user, with nothing of Baton's environment but where to find things.
fn as_server(program: &Path, settings: &Settings) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("LC_ALL", "C").current_dir("/").stdin(Stdio::null());
    for name in ["PATH", "LD_LIBRARY_PATH", "TMPDIR"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    if let Some(Identity { uid, gid }) = settings.identity {
        command.uid(uid).gid(gid);
    }
    command
}

fn open_log(path: &Path) -> Result<File, EmbeddedError> {
    if fs::metadata(path).is_ok_and(|seen| seen.len() > LARGEST_LOG) {
        fs::rename(path, path.with_extension("old")).map_err(EmbeddedError::folder(path))?;
    }
    File::options().create(true).append(true).open(path).map_err(EmbeddedError::folder(path))
}

fn last_lines(path: &Path) -> String {
    let log = fs::read(path).unwrap_or_default();
    let log = String::from_utf8_lossy(&log);
    let mut lines: Vec<_> = log.lines().rev().take(5).collect();
    lines.reverse();
    lines.join("; ")
}

/// Ends the server: fast (clients are cut, everything is written), then at once.
async fn end(folders: &Folders, mut child: Option<Child>) -> Result<(), EmbeddedError> {
    for signal in [Signal::INT, Signal::QUIT] {
        let Some(pid) = pid_in_file(folders) else { return reap(child).await };
        if !is_server(pid).await {
            return reap(child).await;
        }
        // It may be gone by now, which is what is wanted.
        let _ = rustix::process::kill_process(pid, signal);
        for _ in 0..ENDING {
            if let Some(child) = &mut child {
                let _ = child.try_wait();
            }
            if pid_in_file(folders) != Some(pid) || !is_alive(pid) {
                return reap(child).await;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
    Err(EmbeddedError::Timeout { what: "end", log: folders.log.clone() })
}

fn is_alive(pid: Pid) -> bool {
    rustix::process::test_kill_process(pid).is_ok()
}

async fn reap(child: Option<Child>) -> Result<(), EmbeddedError> {
    if let Some(mut child) = child {
        let failed = |error: io::Error| EmbeddedError::Program {
            program: "postgres",
            output: error.to_string(),
        };
        child.wait().await.map_err(failed)?;
    }
    Ok(())
}
