//! What the daemon is asked to make.

use std::{collections::HashMap, path::Path};

use bollard::models::{
    ContainerCreateBody, HealthConfig, HostConfig, HostConfigCgroupnsModeEnum, HostConfigLogConfig,
    Mount, MountType,
};

use super::{ContainerSettings, daemon::Account, lifeline};
use crate::sandbox::{
    self, HOME, Network, ResourceLimits, SandboxError, Spec,
    bridge::{BRIDGE, Bridge, EGRESS, EGRESS_FOLDER, LIFELINE, LINE_FOLDER, SOCKET, SOCKET_FOLDER},
    etc,
};

/// The label with the data folder of the Baton that a container is of.
pub(super) const INSTALLATION: &str = "baton.installation";
/// The label with its process: number and start.
pub(super) const PROCESS: &str = "baton.process";
/// The label that says who it is for.
const NAME: &str = "baton.name";

/// What is written on a container.
pub(super) struct Labels {
    pub installation: String,
    pub process: String,
    pub name: String,
}

/// One container for a spec; its lifeline is shown to it later.
pub(super) fn of(
    settings: &ContainerSettings,
    account: &Account,
    spec: &Spec,
    labels: &Labels,
) -> Result<ContainerCreateBody, SandboxError> {
    // The kernel would count every process that the account has on the machine: the cgroup counts.
    let limits = ResourceLimits { processes: None, ..spec.limits.clone() };
    let bridge = match settings.survival(spec) {
        None => Bridge { lifeline: Some(LIFELINE.into()), limits, ..Bridge::of(spec) },
        Some(seconds) => Bridge { limits, ..apart(spec, seconds) },
    };
    let arguments = bridge.arguments().into_iter().map(std::ffi::OsString::into_string);
    let arguments: Result<Vec<String>, _> = arguments.collect();
    let arguments = arguments.map_err(|_| not_text("an argument"))?;
    let labels =
        [(INSTALLATION, &labels.installation), (PROCESS, &labels.process), (NAME, &labels.name)];
    Ok(ContainerCreateBody {
        hostname: Some("baton".to_owned()),
        user: Some(format!("{}:{}", account.uid, account.gid)),
        image: Some(spec.image.as_ref().unwrap_or(&settings.image).clone()),
        entrypoint: Some(vec![BRIDGE.to_owned()]),
        cmd: Some(arguments),
        working_dir: Some(text(&spec.workdir)?),
        attach_stdin: Some(true),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        open_stdin: Some(true),
        stdin_once: Some(true),
        tty: Some(false),
        // What the image would run beside the command.
        healthcheck: Some(HealthConfig {
            test: Some(vec!["NONE".to_owned()]),
            ..HealthConfig::default()
        }),
        labels: Some(labels.map(|(name, value)| (name.to_owned(), value.clone())).into()),
        // Baton interrupts by itself; whoever else stops a container means its end.
        stop_signal: Some("SIGKILL".to_owned()),
        stop_timeout: Some(0),
        host_config: Some(host(settings, account, spec)?),
        ..ContainerCreateBody::default()
    })
}

/// What the bridge of a container that may outlive its Baton is told: each socket is in a folder of its own.
fn apart(spec: &Spec, seconds: u64) -> Bridge {
    let bridge = Bridge::of(spec);
    let inside = |way: &Option<sandbox::Gateway>, folder: &str| {
        let way = way.as_ref()?;
        let socket = Path::new(folder).join(way.socket.file_name()?);
        Some(sandbox::Gateway { socket, port: way.port })
    };
    Bridge {
        gateway: inside(&spec.gateway, SOCKET_FOLDER),
        egress: inside(&spec.egress, EGRESS_FOLDER),
        lifeline: Some(Path::new(LINE_FOLDER).join(lifeline::SOCKET)),
        survive_seconds: Some(seconds),
        ..bridge
    }
}

/// Shows the folder of the lifeline, where nothing can be written from inside.
pub(super) fn show_line(body: &mut ContainerCreateBody, folder: &Path) {
    let mounts = body.host_config.as_mut().and_then(|host| host.mounts.as_mut());
    if let Some(mounts) = mounts {
        mounts.push(bind(folder.to_string_lossy().into_owned(), LINE_FOLDER.to_owned(), false));
    }
}

/// The folder of a socket, which may hold nothing else: all of it is shown.
fn folder_of(socket: &Path) -> Result<&Path, SandboxError> {
    let alone = |folder: &Path| std::fs::read_dir(folder).is_ok_and(|entries| entries.count() == 1);
    socket.parent().filter(|folder| alone(folder)).ok_or_else(|| {
        SandboxError::InvalidSpec(format!("{} is not alone in its folder", socket.display()))
    })
}

/// Shows the socket of the lifeline.
pub(super) fn show_lifeline(body: &mut ContainerCreateBody, socket: &Path) {
    let mounts = body.host_config.as_mut().and_then(|host| host.mounts.as_mut());
    if let Some(mounts) = mounts {
        mounts.push(bind(socket.to_string_lossy().into_owned(), LIFELINE.to_owned(), true));
    }
}

/// Names a profile of system calls in the place of the daemon's own.
pub(super) fn restrict(body: &mut ContainerCreateBody, profile: &Path) {
    let options = body.host_config.as_mut().and_then(|host| host.security_opt.as_mut());
    if let Some(options) = options {
        options.push(format!("seccomp={}", profile.display()));
    }
}

fn host(
    settings: &ContainerSettings,
    account: &Account,
    spec: &Spec,
) -> Result<HostConfig, SandboxError> {
    let network = match spec.network {
        Network::None => "none",
        Network::Host => "host",
    };
    let memory = spec.limits.memory_bytes.map(bytes);
    Ok(HostConfig {
        network_mode: Some(network.to_owned()),
        readonly_rootfs: Some(true),
        mounts: Some(mounts(settings, spec)?),
        tmpfs: Some(scratch(spec)),
        shm_size: Some(bytes(spec.tmp_bytes)),
        cap_drop: Some(vec!["ALL".to_owned()]),
        security_opt: Some(vec!["no-new-privileges".to_owned()]),
        privileged: Some(false),
        userns_mode: Some(account.namespace.to_owned()),
        ipc_mode: Some("private".to_owned()),
        cgroupns_mode: Some(HostConfigCgroupnsModeEnum::PRIVATE),
        // One more for the bridge.
        pids_limit: spec.limits.processes.map(|processes| bytes(processes.saturating_add(1))),
        memory,
        // As much with swap as without: none.
        memory_swap: memory,
        nano_cpus: settings.cpus.map(nano),
        oom_score_adj: Some(800),
        // Nothing is kept of what it prints: it is read.
        log_config: Some(HostConfigLogConfig { typ: Some("none".to_owned()), config: None }),
        auto_remove: Some(true),
        init: Some(false),
        ..HostConfig::default()
    })
}

fn mounts(settings: &ContainerSettings, spec: &Spec) -> Result<Vec<Mount>, SandboxError> {
    let mut mounts = vec![bind(text(&settings.bridge)?, BRIDGE.to_owned(), false)];
    // The daemon has its own idea of the hosts.
    for name in etc::FILES.into_iter().filter(|name| *name != "hosts") {
        let path = settings.state.join("etc").join(name);
        mounts.push(bind(text(&path)?, format!("/etc/{name}"), false));
    }
    let survives = settings.survival(spec).is_some();
    for (way, socket, folder) in
        [(&spec.gateway, SOCKET, SOCKET_FOLDER), (&spec.egress, EGRESS, EGRESS_FOLDER)]
    {
        match way {
            Some(way) if survives => {
                mounts.push(bind(text(folder_of(&way.socket)?)?, folder.to_owned(), false));
            }
            Some(way) => mounts.push(bind(text(&way.socket)?, socket.to_owned(), true)),
            None => {}
        }
    }
    for mount in &spec.mounts {
        make_place(mount, &spec.mounts)?;
        mounts.push(bind(text(&mount.host)?, text(&mount.inside)?, mount.writable));
    }
    Ok(mounts)
}

/// Makes the place of a mount that lies in another one, as its daemon could not where that is read-only.
/// Nothing is followed out of the outer folder, whose content an agent may have written.
fn make_place(inner: &sandbox::Mount, all: &[sandbox::Mount]) -> Result<(), SandboxError> {
    use rustix::fs::{Mode, OFlags, ResolveFlags, mkdirat, open, openat2};
    let outer = all.iter().filter(|outer| {
        outer.inside != inner.inside
            && inner.inside.starts_with(&outer.inside)
            && outer.host.is_dir()
    });
    let Some(outer) = outer.max_by_key(|outer| outer.inside.as_os_str().len()) else {
        return Ok(());
    };
    if !inner.host.is_dir() {
        return Ok(());
    }
    let (flags, mode) = (OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::from(0o755));
    let within = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let mut folder = open(&outer.host, flags, Mode::empty()).map_err(std::io::Error::from)?;
    let path = inner.inside.strip_prefix(&outer.inside).unwrap_or(&inner.inside);
    for name in path {
        match mkdirat(&folder, name, mode) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => {}
            Err(error) => return Err(SandboxError::Start(error.into())),
        }
        let opened = openat2(&folder, name, flags, Mode::empty(), within);
        folder = opened.map_err(|error| {
            let place = inner.inside.display();
            SandboxError::InvalidSpec(format!("{place} is no folder of its own: {error}"))
        })?;
    }
    Ok(())
}

fn bind(source: String, target: String, writable: bool) -> Mount {
    Mount {
        typ: Some(MountType::BIND),
        source: Some(source),
        target: Some(target),
        read_only: Some(!writable),
        ..Mount::default()
    }
}

/// The folders in memory, where nothing else is put.
fn scratch(spec: &Spec) -> HashMap<String, String> {
    let taken = |folder: &str| spec.mounts.iter().any(|mount| mount.inside == Path::new(folder));
    let options = format!("rw,nosuid,nodev,exec,size={},mode=1777", spec.tmp_bytes);
    let folders = ["/tmp", HOME].into_iter().filter(|folder| !taken(folder));
    folders.map(|folder| (folder.to_owned(), options.clone())).collect()
}

/// A number as the API takes it.
fn bytes(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Processors in billionths.
fn nano(cpus: f64) -> i64 {
    (cpus * 1e9) as i64
}

fn text(path: &Path) -> Result<String, SandboxError> {
    path.to_str().map(str::to_owned).ok_or_else(|| not_text(&path.display().to_string()))
}

fn not_text(what: &str) -> SandboxError {
    SandboxError::InvalidSpec(format!("{what} is no text, as the daemon wants it"))
}
