//! Runs the git program with nothing but what it needs.
//!
//! Its environment is built by name: no configuration of the machine or of an account is read, nothing
//! is asked, no hook, no file system monitor and no housekeeping runs. Settings and the token go in by
//! `GIT_CONFIG_*` (git-config(1)), which no other account can read and which is never on disk.

use std::{
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{ExitStatus, Output, Stdio},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret, SecretString};
use tokio::{io::AsyncWriteExt, process::Command};

use super::{Account, Settings, WorkspaceError};

/// Set for every run.
const ALWAYS: [(&str, &str); 9] = [
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("submodule.recurse", "false"),
    ("checkout.workers", "0"),
    ("credential.helper", ""),
    // Whose a repository is was decided by Baton; this counts only from here, not from a repository.
    ("safe.directory", "*"),
    // What a mirror lacks its remote has: git need not take it for damage.
    ("remote.mirrored.promisor", "true"),
];

/// What the remote is called that mirrors are of. Its address is in no file: repositories are renamed.
pub(super) const REMOTE: &str = "mirrored";

/// One run of git in the making.
pub(super) struct Git {
    command: Command,
    name: String,
    config: Vec<(String, String)>,
}

impl Git {
    /// A run of `git <name>` in a folder.
    pub(super) fn new(settings: &Settings, folder: &Path, name: &str) -> Self {
        let mut command = Command::new(&settings.git);
        command.env_clear().current_dir(folder).kill_on_drop(true).process_group(0);
        for variable in ["PATH", "LD_LIBRARY_PATH"] {
            if let Some(value) = std::env::var_os(variable) {
                command.env(variable, value);
            }
        }
        command
            .env("HOME", "/nonexistent")
            .env("LC_ALL", "C")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_ATTR_NOSYSTEM", "1")
            .env("GIT_NO_REPLACE_OBJECTS", "1")
            // What a mirror leaves out is fetched by name, never in passing.
            .env("GIT_NO_LAZY_FETCH", "1")
            .envs(settings.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .arg(name);
        let config = ALWAYS.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        Self { command, name: name.to_owned(), config }
    }

    pub(super) fn args<I: AsRef<std::ffi::OsStr>>(
        mut self,
        args: impl IntoIterator<Item = I>,
    ) -> Self {
        self.command.args(args);
        self
    }

    pub(super) fn env(mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Runs as another account, with no other groups.
    pub(super) fn owned_by(mut self, owner: Option<Account>) -> Self {
        if let Some(Account { uid, gid }) = owner {
            self.command.uid(uid).gid(gid);
        }
        self
    }

    /// Says where [`REMOTE`] is.
    pub(super) fn remote(mut self, url: &str) -> Self {
        self.config.push((format!("remote.{REMOTE}.url"), url.to_owned()));
        self
    }

    /// Authenticates as a GitHub App's installation does: basic, with the token as password.
    pub(super) fn token(mut self, token: Option<&SecretString>) -> Self {
        if let Some(token) = token {
            let basic = STANDARD.encode(format!("x-access-token:{}", token.expose_secret()));
            self.config.push(("http.extraHeader".into(), format!("Authorization: Basic {basic}")));
        }
        self
    }

    /// Takes its input from a pipe.
    pub(super) fn piped(mut self) -> Self {
        self.command.stdin(Stdio::piped());
        self
    }

    /// The finished command, for whoever handles its streams.
    pub(super) fn into_command(mut self) -> Command {
        self.command.env("GIT_CONFIG_COUNT", self.config.len().to_string());
        for (index, (key, value)) in self.config.iter().enumerate() {
            self.command.env(format!("GIT_CONFIG_KEY_{index}"), key);
            self.command.env(format!("GIT_CONFIG_VALUE_{index}"), value);
        }
        self.command
    }

    /// Runs it to its end, whatever that is; after the limit it is killed, and `None` comes back.
    pub(super) async fn output(self, limit: Duration) -> std::io::Result<Option<Output>> {
        self.output_of(None, limit).await
    }

    /// The same for a run that takes an input: it has to be small, or one that git reads at once.
    pub(super) async fn output_of(
        self,
        input: Option<String>,
        limit: Duration,
    ) -> std::io::Result<Option<Output>> {
        let mut child = self.into_command().spawn()?;
        let group = Group(child.id());
        let output = tokio::time::timeout(limit, async {
            if let (Some(mut stdin), Some(input)) = (child.stdin.take(), input) {
                // A git that does not read it says why, and its exit counts.
                let _ = stdin.write_all(input.as_bytes()).await;
            }
            child.wait_with_output().await
        });
        let output = output.await;
        if output.is_ok() {
            group.forget();
        }
        output.ok().transpose()
    }

    /// Runs it and gives back what it printed.
    ///
    /// # Errors
    /// [`WorkspaceError::Git`] when it ends with anything but 0 or not within two minutes.
    pub(super) async fn run(self) -> Result<String, WorkspaceError> {
        let name = self.name.clone();
        let Some(output) = self.output(Duration::from_secs(120)).await? else {
            return Err(failed(&name, "it took more than two minutes"));
        };
        if !output.status.success() {
            return Err(failed(&name, &complaint(output.status, &output.stderr)));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// The process group of a run: git's helpers for transport are in it too.
pub(super) struct Group(pub Option<u32>);

impl Group {
    /// The run has ended by itself.
    pub(super) fn forget(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let pid = self.0.and_then(|pid| i32::try_from(pid).ok());
        if let Some(pid) = pid.and_then(rustix::process::Pid::from_raw) {
            // It may have ended on its own just now.
            let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
        }
    }
}

pub(super) fn failed(command: &str, complaint: &str) -> WorkspaceError {
    WorkspaceError::Git { command: command.to_owned(), complaint: complaint.to_owned() }
}

/// What git said last, at most 2,000 characters, or how it ended where it said nothing.
pub(super) fn complaint(status: ExitStatus, stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let text = text.trim();
    match (text, status.signal()) {
        ("", Some(signal)) => format!("ended by signal {signal}"),
        ("", None) => format!("ended with code {}", status.code().unwrap_or(-1)),
        (text, _) => {
            let skipped = text.chars().count().saturating_sub(2_000);
            text.chars().skip(skipped).collect()
        }
    }
}
