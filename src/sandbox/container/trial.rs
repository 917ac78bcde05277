//! Starts one container, looks around in it, and says what an operator has to do if it does not hold.

use std::{io, os::unix::net::UnixStream, path::Path};

use bollard::{errors::Error, models::SystemInfo};

use super::{
    Container, ContainerSettings,
    daemon::{self, Account, Daemon},
};
use crate::sandbox::{Exit, Sandbox, SandboxError, self_test};

/// The self-test of containers.
pub(super) async fn run(container: &Container) -> Result<(), SandboxError> {
    let settings = container.settings();
    let account = Account::of(settings);
    if account.uid == 0 || account.gid == 0 {
        return Err(SandboxError::Leaky { what: "its account is root".to_owned() });
    }
    for path in [&settings.bridge, &settings.state] {
        self_test::reachable(path)?;
    }
    knock(&settings.socket)?;
    let Daemon { docker, is_podman, .. } = container.daemon().await?;
    let lost = |error: Error| no_daemon(&settings.socket, &error.to_string());
    accounts(settings, *is_podman)?;
    limits(&docker.info().await.map_err(lost)?)?;
    let image = docker.inspect_image(&settings.image).await;
    image.map_err(|error| explain(error, &settings.image))?;
    let spec = self_test::look_around(&settings.state, account.uid);
    let taken = container.start(spec).await?.finish(64 << 10).await;
    self_test::judge(&taken, |exit, complaint| broken(&settings.image, exit, complaint))
}

pub(super) fn unavailable(problem: String, remedy: impl Into<String>) -> SandboxError {
    SandboxError::Unavailable { problem, remedy: remedy.into() }
}

/// Looks whether somebody listens.
pub(super) fn knock(socket: &Path) -> Result<(), SandboxError> {
    let shown = socket.display();
    let start = "start Docker (`systemctl start docker`) or Podman's API (`systemctl enable --now \
                 podman.socket`), or name its socket with `socket` under [sandbox]";
    match UnixStream::connect(socket) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(unavailable(format!("there is no {shown}, the socket of Docker or Podman"), start))
        }
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(unavailable(
            format!("Baton's account may not use {shown}"),
            "add it to the socket's group (`usermod -aG docker ACCOUNT`), which is as good as root, or \
             use Podman with an own socket of that account",
        )),
        Err(error) => Err(unavailable(format!("nobody answers at {shown}: {error}"), start)),
    }
}

/// Somebody listens, and it is not what is wanted.
pub(super) fn no_daemon(socket: &Path, said: &str) -> SandboxError {
    let problem = format!("{} does not speak Docker's API: {said}", socket.display());
    unavailable(problem, "see that `socket` under [sandbox] is the one of Docker or Podman")
}

/// Checks that an account of this machine can be the same one inside.
fn accounts(settings: &ContainerSettings, is_podman: bool) -> Result<(), SandboxError> {
    if !daemon::is_rootless(&settings.socket) {
        return Ok(());
    }
    if !is_podman {
        return Err(unavailable(
            "a rootless Docker gives Baton's files to root inside".to_owned(),
            "use Podman, or a Docker that runs as root",
        ));
    }
    if rustix::process::geteuid().is_root() {
        return Err(unavailable(
            "Baton is root, and this Podman belongs to another account".to_owned(),
            "run both under one account, or use root's Podman at /run/podman/podman.sock",
        ));
    }
    Ok(())
}

/// Checks that the daemon can hold a container to its limits.
fn limits(info: &SystemInfo) -> Result<(), SandboxError> {
    let lacking = [
        ("memory", info.memory_limit),
        ("processes", info.pids_limit),
        ("processors", info.cpu_cfs_quota),
    ];
    // An answer that says nothing about a limit is one of a daemon that has it.
    let lacking = lacking.into_iter().filter(|(_, holds)| *holds == Some(false));
    let lacking: Vec<&str> = lacking.map(|(name, _)| name).collect();
    if lacking.is_empty() {
        return Ok(());
    }
    Err(unavailable(
        format!("the daemon cannot limit {}: it lacks those cgroups", lacking.join(", ")),
        "a daemon without root's rights needs cgroups of version 2 that are delegated to its account: put \
         `Delegate=cpu memory pids` under [Service] in /etc/systemd/system/user@.service.d/delegate.conf, \
         run `systemctl daemon-reload` and log in anew; one of root's needs a kernel started with \
         `cgroup_enable=memory`",
    ))
}

/// Puts words to a container that was not started.
pub(super) fn explain(error: Error, image: &str) -> SandboxError {
    match error {
        Error::DockerResponseServerError { status_code: 404, message }
            if message.to_lowercase().contains("image") =>
        {
            unavailable(
                format!("there is no image {image}, and Baton fetches none"),
                format!(
                    "build it in Baton's folder with `docker build --target agent --tag {image} .` (or \
                     `podman build`), or name another with `image` under [sandbox]"
                ),
            )
        }
        Error::IOError { err } => SandboxError::Start(err),
        error => SandboxError::Start(io::Error::other(error.to_string())),
    }
}

/// Puts words to a container that ended before it had looked around.
fn broken(image: &str, exit: Exit, complaint: &str) -> SandboxError {
    let said = complaint.trim();
    let problem = format!("the trial container of {image} ended with {exit:?} and said: {said}");
    let remedy = if said.contains("GLIBC") || said.contains("shared libraries") {
        "Baton's own program runs inside: build the image from a distribution whose C library (glibc) is \
         as new as that of this machine"
    } else if said.contains("/bin/sh") {
        "the image has to hold a shell, the core utilities, grep and git"
    } else {
        "see what it says"
    };
    unavailable(problem, remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_image_is_told_with_the_command_that_builds_it() {
        let message = "no such image".to_owned();
        let error = Error::DockerResponseServerError { status_code: 404, message };
        let said = explain(error, "baton-agent").to_string();
        assert!(said.contains("docker build --target agent --tag baton-agent ."), "{said}");
    }

    #[test]
    fn a_daemon_that_cannot_limit_is_told_what_it_lacks() {
        let info = SystemInfo { pids_limit: Some(false), ..SystemInfo::default() };
        let said = limits(&info).unwrap_err().to_string();
        assert!(said.contains("cannot limit processes: ") && said.contains("Delegate="), "{said}");
        assert!(limits(&SystemInfo::default()).is_ok());
    }

    #[test]
    fn an_image_with_another_c_library_is_told() {
        let said = broken("x", Exit::Code(1), "version `GLIBC_2.36' not found").to_string();
        assert!(said.contains("glibc"), "{said}");
    }
}
