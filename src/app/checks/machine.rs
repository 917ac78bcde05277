//! The data folder, its disk, and git.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use tokio::process::Command;

use super::Check;
use crate::{app::place, model::size};

/// Mirrors and worktrees of a middling repository, and the database of some months: 2 GiB.
pub const LEAST_FREE: u64 = 2 << 30;

/// The oldest git that takes all the options that Baton gives: `GIT_CONFIG_COUNT` came with it.
const LEAST_GIT: (u32, u32) = (2, 31);

/// Looks at the data folder and its disk; gives the folder where it can be used.
pub(super) fn data(
    folder: &Path,
    least_free: u64,
    tell: &mut (dyn FnMut(Check) + Send),
) -> Option<PathBuf> {
    let data = match place::prepare(folder).and_then(|data| Ok(writable(&data).map(|()| data)?)) {
        Ok(data) => data,
        Err(error) => {
            let remedy = format!(
                "give it to Baton's account (mkdir -p {0}; chown baton {0}), or name another folder with \
                 BATON_DATA",
                folder.display()
            );
            tell(Check::fails("data folder", format!("{error:#}"), remedy));
            return None;
        }
    };
    let shown = data.display();
    if let Some(closed) = closed(&data) {
        let seen = format!("{} is closed to the accounts of agents and Postgres", closed.display());
        let remedy = format!(
            "run chmod o+x {}, or name another folder with BATON_DATA, such as /var/lib/baton",
            closed.display()
        );
        tell(Check::fails("data folder", seen, remedy));
    } else {
        tell(Check::holds("data folder", format!("{shown} can be written, agents get to it")));
    }
    tell(space(&data, least_free));
    Some(data)
}

fn writable(data: &Path) -> io::Result<()> {
    tempfile::tempfile_in(data).map(drop)
}

/// The first folder on the way that other accounts cannot pass.
fn closed(data: &Path) -> Option<&Path> {
    let passes = |path: &Path| fs::metadata(path).is_ok_and(|seen| seen.mode() & 0o001 != 0);
    data.ancestors().find(|part| !passes(part))
}

fn space(data: &Path, least: u64) -> Check {
    const NAME: &str = "disk space";
    match rustix::fs::statvfs(data) {
        Ok(disk) => {
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            let seen = format!("{} free", size(free));
            if free >= least {
                return Check::holds(NAME, seen);
            }
            let remedy = format!(
                "free some on the disk of {} (at least {}), or name a folder on another with BATON_DATA",
                data.display(),
                size(least)
            );
            Check::fails(NAME, seen, remedy)
        }
        Err(error) => Check::skipped(NAME, format!("cannot be told: {error}")),
    }
}

/// The git program.
pub(super) async fn git() -> Check {
    const NAME: &str = "git";
    let install = "install it with `apt-get install git` or your system's own tool";
    let said = match Command::new("git").arg("--version").output().await {
        Ok(output) => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        Err(error) => return Check::fails(NAME, format!("not to be started: {error}"), install),
    };
    match version(&said) {
        Some(version) if version >= LEAST_GIT => Check::holds(NAME, said),
        _ => {
            let (major, minor) = LEAST_GIT;
            let remedy = format!("bring git to {major}.{minor} or newer: {install}");
            Check::fails(NAME, format!("{said:?}"), remedy)
        }
    }
}

/// `git version 2.39.5 (Apple Git-154)` is 2.39.
fn version(said: &str) -> Option<(u32, u32)> {
    let mut numbers = said.strip_prefix("git version ")?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_git_is_read_from_what_it_says() {
        assert_eq!(version("git version 2.39.5 (Apple Git-154)"), Some((2, 39)));
        assert_eq!(version("git version 2.48.windows.1"), Some((2, 48)));
        assert_eq!(version("hub version 2"), None);
    }
}
