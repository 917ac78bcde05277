//! What the kernel counts for a container: the figures of its control group (cgroups(7)).
//!
//! More exact than a look at each process: what came and went between two looks is in it, and memory files that no
//! process has mapped. Where a container has no group of its own, or this Baton does not see it, processes are looked
//! at alone.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rustix::process::Pid;

use crate::model::Footprint;

/// Where control groups are.
const ROOT: &str = "/sys/fs/cgroup";

/// The control group of one container, in either version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    /// Microseconds on a processor in version 2, nanoseconds in version 1.
    cpu: PathBuf,
    memory: PathBuf,
    /// What a line of the memory's figures begins with: version 1 tells those with all groups below apart.
    total: &'static str,
}

impl Group {
    /// The group of a container's first process, which is not Baton's own.
    pub(super) fn of(first: Pid) -> Option<Self> {
        let pid = first.as_raw_nonzero();
        let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
        let own = fs::read_to_string("/proc/self/cgroup").ok()?;
        Self::under(Path::new(ROOT), &groups, &own)
    }

    fn under(root: &Path, groups: &str, own: &str) -> Option<Self> {
        // A line is `number:controllers:path`; version 2 has number 0 and names none (cgroups(7)).
        let apart = |controller: &str| {
            let path = path_of(groups, controller)?;
            (path != "/" && path_of(own, controller) != Some(path))
                .then(|| path.trim_start_matches('/'))
        };
        let found = match (apart("memory"), apart("cpuacct"), apart("")) {
            (Some(memory), Some(cpu), _) => Self {
                cpu: root.join("cpuacct").join(cpu).join("cpuacct.usage"),
                memory: root.join("memory").join(memory).join("memory.stat"),
                total: "total_",
            },
            (_, _, Some(both)) => Self {
                cpu: root.join(both).join("cpu.stat"),
                memory: root.join(both).join("memory.stat"),
                total: "",
            },
            _ => return None,
        };
        (found.cpu.is_file() && found.memory.is_file()).then_some(found)
    }

    /// What was seen of the processes, with what the group knows better.
    pub(super) fn amend(&self, seen: Footprint) -> Footprint {
        let cpu_ms = self.cpu_ms().unwrap_or(seen.cpu_ms);
        let memory = self.held_memory().unwrap_or(seen.memory);
        Footprint { cpu_ms, memory, memory_peak: memory, ..seen }
    }

    fn cpu_ms(&self) -> Option<u64> {
        let text = fs::read_to_string(&self.cpu).ok()?;
        match text.trim().parse::<u64>() {
            Ok(nanoseconds) => Some(nanoseconds / 1_000_000),
            Err(_) => Some(field(&text, "usage_usec")? / 1000),
        }
    }

    /// Bytes that no file backs: what the kernel cannot take back.
    fn held_memory(&self) -> Option<u64> {
        let text = fs::read_to_string(&self.memory).ok()?;
        let of = |name: &str| field(&text, &format!("{}{name}", self.total));
        Some(of("anon").or_else(|| of("rss"))? + of("shmem").unwrap_or(0) + of("swap").unwrap_or(0))
    }
}

/// The path of a controller's group, among the lines of `/proc/PID/cgroup`.
fn path_of<'a>(groups: &'a str, controller: &str) -> Option<&'a str> {
    groups.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?);
        controllers.split(',').any(|name| name == controller).then_some(path)
    })
}

/// The number behind a name.
fn field(text: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().filter_map(|line| line.split_once(' '));
    lines.find(|(found, _)| *found == name)?.1.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    }

    const SEEN: Footprint = Footprint { cpu_ms: 5, memory: 6, memory_peak: 6, written: 7, held: 0 };

    #[test]
    fn a_group_of_version_2_tells_time_and_memory() {
        let root = root(&[
            ("pod/one/cpu.stat", "usage_usec 2500000\nuser_usec 1\n"),
            ("pod/one/memory.stat", "anon 4000\nfile 900000\nshmem 500\n"),
        ]);
        let group = Group::under(root.path(), "0::/pod/one\n", "0::/system/baton\n").unwrap();
        let told = Footprint { cpu_ms: 2500, memory: 4500, memory_peak: 4500, ..SEEN };
        assert_eq!(group.amend(SEEN), told);
    }

    #[test]
    fn groups_of_version_1_tell_it_with_all_that_is_below() {
        let root = root(&[
            ("cpuacct/pod/one/cpuacct.usage", "2500000000\n"),
            (
                "memory/pod/one/memory.stat",
                "rss 1\ntotal_rss 4000\ntotal_shmem 500\ntotal_swap 9\n",
            ),
        ]);
        let groups = "4:memory:/pod/one\n2:cpu,cpuacct:/pod/one\n0::/\n";
        let group =
            Group::under(root.path(), groups, "4:memory:/x\n2:cpu,cpuacct:/\n0::/\n").unwrap();
        let told = Footprint { cpu_ms: 2500, memory: 4509, memory_peak: 4509, ..SEEN };
        assert_eq!(group.amend(SEEN), told);
    }

    #[test]
    fn a_group_that_is_not_the_containers_own_or_not_there_counts_nothing() {
        let root = root(&[("pod/cpu.stat", "usage_usec 1\n"), ("pod/memory.stat", "anon 1\n")]);
        let under = |groups, own| Group::under(root.path(), groups, own);
        assert!(under("0::/pod\n", "0::/\n").is_some());
        assert_eq!(under("0::/pod\n", "0::/pod\n"), None, "it is Baton's, too");
        assert_eq!(under("0::/\n", "0::/baton\n"), None, "it is everybody's");
        assert_eq!(under("0::/away\n", "0::/\n"), None, "it is not seen from here");
        fs::remove_file(root.path().join("pod/cpu.stat")).unwrap();
        assert_eq!(under("0::/pod\n", "0::/\n"), None);
    }
}
