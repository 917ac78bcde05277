//! What `/proc` tells about processes: children, start times.

use std::{fs, os::fd::OwnedFd};

use rustix::process::{Pid, PidfdFlags, pidfd_open};

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
    use super::*;

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
