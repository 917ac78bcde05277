//! The bare machine, for trying Baton out where no sandbox can be had. It protects nothing.
//!
//! Never chosen for work that came from GitHub. A root Baton still drops to the unprivileged account,
//! and where a PID namespace can be had nothing that was started is left behind.

use std::{ffi::OsString, os::unix::process::CommandExt, path::PathBuf, process::Command};

use super::{
    BoxFuture, Kind, Owner, ResourceLimits, Running, Sandbox, SandboxError, Spec,
    bridge::Bridge,
    spawner::{self, Inside},
};

/// Starts commands on the machine itself.
#[derive(Debug, Clone)]
pub struct Host {
    bridge: PathBuf,
    owner: Owner,
    is_root: bool,
    has_namespace: bool,
}

impl Host {
    /// Looks whether PID namespaces can be had, and warns that this is no sandbox.
    ///
    /// `bridge` is Baton's own executable; `owner` is dropped to when Baton is root.
    #[must_use]
    pub fn new(bridge: PathBuf, owner: Owner) -> Self {
        tracing::warn!(
            "agents run on the bare machine: they see its files, processes and network, as far as \
             their account may; this is for trying Baton out, not for work"
        );
        let is_root = rustix::process::geteuid().is_root();
        let mut host = Self { bridge, owner, is_root, has_namespace: true };
        let mut probe = host.launcher();
        probe.arg("true").env_clear();
        host.has_namespace = probe.output().is_ok_and(|output| output.status.success());
        host
    }

    /// The programs between Baton and the bridge, which make and end the namespace.
    fn launcher(&self) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]);
        if self.has_namespace {
            command.args(["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]);
            if !self.is_root {
                command.args(["--user", "--map-current-user"]);
            }
            command.arg("--");
            if self.is_root {
                let (uid, gid) = (self.owner.uid.to_string(), self.owner.gid.to_string());
                command.args(["setpriv", "--reuid", &uid, "--regid", &gid, "--clear-groups"]);
                command.args(["--no-new-privs", "--pdeathsig", "KILL", "--"]);
            }
        } else if self.is_root {
            command.uid(self.owner.uid).gid(self.owner.gid);
        }
        command
    }

    fn command(&self, spec: &Spec) -> Command {
        let mut command = self.launcher();
        // The kernel would count every process that the account has on the machine.
        let limits = ResourceLimits { processes: None, ..spec.limits.clone() };
        let argv = spec.argv.iter().map(OsString::from).collect();
        let (gateway, egress) = (spec.gateway.clone(), spec.egress.clone());
        let bridge = Bridge { gateway, egress, limits, argv, ..Bridge::of(spec) };
        command.arg(&self.bridge).args(bridge.arguments()).current_dir(&spec.workdir).env_clear();
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        command
    }
}

impl Sandbox for Host {
    fn kind(&self) -> Kind {
        Kind::Host
    }

    /// Always refuses: it does not hold, by its nature.
    fn self_test(&self) -> BoxFuture<'_, Result<(), SandboxError>> {
        let what = "the bare machine is no sandbox".to_owned();
        Box::pin(async { Err(SandboxError::Leaky { what }) })
    }

    fn start(&self, spec: Spec) -> BoxFuture<'_, Result<Running, SandboxError>> {
        Box::pin(async move {
            spec.check()?;
            if let Some(moved) = spec.mounts.iter().find(|mount| mount.host != mount.inside) {
                let path = moved.inside.display();
                let what = format!("{path} cannot be somewhere else on the bare machine");
                return Err(SandboxError::InvalidSpec(what));
            }
            if let Some(image) = &spec.image {
                let what = format!("the bare machine has no image {image}");
                return Err(SandboxError::InvalidSpec(what));
            }
            if !spec.overlays.is_empty() {
                let what = "the bare machine lays no folder over another".to_owned();
                return Err(SandboxError::InvalidSpec(what));
            }
            let inside = Inside::Bridge { generations: u8::from(self.has_namespace) };
            Ok(spawner::spawn(self.command(&spec), inside, &spec.env, None).await?)
        })
    }
}
