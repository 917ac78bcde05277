//! What `/proc` tells about processes: children, start times.

use std::{
    ffi::OsStr,
    fs,
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    path::{Path, PathBuf},
};

use rustix::process::{Pid, PidfdFlags, Signal, getpid, pidfd_open, pidfd_send_signal};

/// The children of a process's first thread, which is the only one bubblewrap and `unshare` have.
pub(super) fn children(pid: Pid) -> Vec<Pid> {
    let pid = pid.as_raw_nonzero();
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_ascii_whitespace().filter_map(|child| Pid::from_raw(child.parse().ok()?)).collect()
}

/// The process that is `generations` below, by first children.
pub(super) fn descendant(pid: Pid, generations: u8) -> Option<Pid> {
    (0..generations).try_fold(pid, |pid, _| children(pid).first().copied())
}

/// All processes below one, parents before their children.
pub(super) fn descendants(pid: Pid) -> Vec<Pid> {
    let mut found = children(pid);
    let mut next = 0;
    while let Some(pid) = found.get(next) {
        found.extend(children(*pid));
        next += 1;
    }
    found
}

/// A handle that keeps meaning the same process, whatever happens to its number.
pub(super) fn handle(pid: Pid) -> Option<OwnedFd> {
    pidfd_open(pid, PidfdFlags::empty()).ok()
}

/// Kills every process that was started with the path of one of these folders, or of something below, among
/// its arguments; gives how many.
///
/// For folders of sandboxes that are over: one whose Baton was killed at the wrong moment is without a parent,
/// and so without anybody who would end it.
pub fn kill_users(folders: &[PathBuf]) -> usize {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let pids = numbers.filter_map(Pid::from_raw).filter(|pid| *pid != getpid());
    let killed = pids.filter(|pid| {
        // The handle first: if the number is another's by then, so is the command line.
        let Some(handle) = handle(*pid) else { return false };
        names(*pid, folders) && pidfd_send_signal(&handle, Signal::KILL).is_ok()
    });
    killed.count()
}

fn names(pid: Pid, folders: &[PathBuf]) -> bool {
    let line = fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero())).unwrap_or_default();
    let mut arguments =
        line.split(|byte| *byte == 0).map(|word| Path::new(OsStr::from_bytes(word)));
    arguments.any(|word| folders.iter().any(|folder| word.starts_with(folder)))
}

/// `pid:start`, the start in the kernel's ticks since boot: names one process for ever.
pub(super) fn reference(pid: Pid) -> String {
    let pid = pid.as_raw_nonzero().get();
    format!("{pid}:{}", start_ticks(pid).unwrap_or(0))
}

/// Whether the process behind a [`Running`](super::Running)'s reference still runs.
///
/// A restarted Baton asks this about the agents of its predecessor. Zombies count as ended.
#[must_use]
pub fn is_alive(reference: &str) -> bool {
    let Some((pid, start)) = reference.split_once(':') else { return false };
    let (Ok(pid), Ok(start)) = (pid.parse::<i32>(), start.parse::<u64>()) else { return false };
    start_ticks(pid) == Some(start)
}

/// Field 22 of `/proc/PID/stat` (proc(5)); absent for a process that is gone or a zombie.
fn start_ticks(pid: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in field 2 may hold anything, a ')' too.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use super::*;

    #[test]
    fn who_uses_a_folder_is_killed_and_nobody_else() {
        let folder = tempfile::tempdir().unwrap();
        let used = folder.path().join("agent-1");
        let start = |word: PathBuf| {
            let mut command = std::process::Command::new("sh");
            // Waits for its input, which does not end.
            command.args(["-c", "read _; :"]).arg(word).stdin(Stdio::piped()).spawn().unwrap()
        };
        let mut user = start(used.join("tree"));
        let mut other = start(folder.path().join("agent-10/tree"));
        while !names(Pid::from_child(&user), std::slice::from_ref(&used)) {
            std::thread::yield_now();
        }
        assert_eq!(kill_users(std::slice::from_ref(&used)), 1);
        assert!(!user.wait().unwrap().success());
        assert!(other.try_wait().unwrap().is_none(), "it uses another folder");
        other.kill().unwrap();
        other.wait().unwrap();
    }

    #[test]
    fn a_reference_means_this_process_and_no_other() {
        let own = reference(rustix::process::getpid());
        assert!(is_alive(&own));
        assert!(!is_alive(&format!("{own}0")));
        for nonsense in ["", "x:y", "1", "0:0"] {
            assert!(!is_alive(nonsense), "{nonsense:?} counts as alive");
        }
    }
}
