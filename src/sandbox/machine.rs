//! What this machine has left, as its kernel tells it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::model::Machine;

/// Where the kernel's figures are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gauge {
    proc: PathBuf,
    cgroups: PathBuf,
}

impl Default for Gauge {
    fn default() -> Self {
        Self::at("/proc", "/sys/fs/cgroup")
    }
}

impl Gauge {
    /// Reads below other folders than `/proc` and `/sys/fs/cgroup`, as where a container shows the machine's
    /// elsewhere.
    pub fn at(proc: impl Into<PathBuf>, cgroups: impl Into<PathBuf>) -> Self {
        Self { proc: proc.into(), cgroups: cgroups.into() }
    }

    /// Looks now; none where the kernel does not tell how much memory there is.
    #[must_use]
    pub fn read(&self) -> Option<Machine> {
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let processors = u32::try_from(processors).unwrap_or(u32::MAX);
        let free = kib(&self.text("meminfo")?, "MemAvailable:")?;
        let groups = self.text("self/cgroup").unwrap_or_default();
        let within = self.groups(&groups).iter().filter_map(|group| left(group)).min();
        let available = within.map_or(free, |within| within.min(free));
        let pressure = self.pressure(&groups).or_else(|| self.load(processors)).unwrap_or(0);
        Some(Machine { available, processors, pressure })
    }

    fn text(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.proc.join(name)).ok()
    }

    /// The folders of the memory's control groups that Baton is in, its own first.
    fn groups(&self, groups: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for line in groups.lines() {
            let mut fields = line.splitn(3, ':').skip(1);
            let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { continue };
            let root = match controllers {
                "" => self.cgroups.clone(),
                "memory" => self.cgroups.join("memory"),
                _ => continue,
            };
            let own = root.join(path.trim_start_matches('/'));
            let up = own.ancestors().take_while(|folder| folder.starts_with(&root));
            found.extend(up.map(Path::to_owned));
        }
        found
    }

    /// How much of the last ten seconds somebody waited for a processor: in Baton's own control group, or
    /// on the whole machine. Kernels can be built without.
    fn pressure(&self, groups: &str) -> Option<u32> {
        let unified = groups.lines().find_map(|line| line.strip_prefix("0::/"));
        let own = unified
            .filter(|path| !path.is_empty())
            .and_then(|path| fs::read_to_string(self.cgroups.join(path).join("cpu.pressure")).ok());
        let text = own.or_else(|| self.text("pressure/cpu"))?;
        let some = text.lines().find_map(|line| line.strip_prefix("some "))?;
        let share = some.split(' ').find_map(|field| field.strip_prefix("avg10="))?;
        Some((share.parse::<f64>().ok()? * 10.0) as u32)
    }

    /// Who waits by the load of the last minute: as many as there are beyond the processors.
    fn load(&self, processors: u32) -> Option<u32> {
        let load = self.text("loadavg")?.split(' ').next()?.parse::<f64>().ok()?;
        Some(((load / f64::from(processors) - 1.0) * 1000.0).clamp(0.0, 1000.0) as u32)
    }
}

/// Bytes that a control group's processes can still have; none where it has no limit. Version 2 and 1.
fn left(group: &Path) -> Option<u64> {
    let read = |name: &str| fs::read_to_string(group.join(name)).ok();
    let number = |name: &str| read(name)?.trim().parse::<u64>().ok();
    let limit = number("memory.max").or_else(|| number("memory.limit_in_bytes"))?;
    let used = number("memory.current").or_else(|| number("memory.usage_in_bytes"))?;
    let stat = read("memory.stat").unwrap_or_default();
    let cached = ["total_inactive_file ", "inactive_file "].iter().find_map(|name| {
        stat.lines().find_map(|line| line.strip_prefix(name))?.trim().parse::<u64>().ok()
    });
    Some(limit.saturating_sub(used.saturating_sub(cached.unwrap_or(0))))
}

/// The number of KiB in a line of that name, in bytes.
fn kib(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.trim().trim_end_matches(" kB").parse::<u64>().ok()? << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gauge(files: &[(&str, &str)]) -> (tempfile::TempDir, Gauge) {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let gauge = Gauge::at(folder.path().join("proc"), folder.path().join("cgroup"));
        (folder, gauge)
    }

    const MEMORY: (&str, &str) = ("proc/meminfo", "MemTotal: 9000 kB\nMemAvailable:   8000 kB\n");
    const PRESSURE: &str = "some avg10=61.53 avg60=2.00 avg300=0.10 total=9\nfull avg10=0.00\n";

    #[test]
    fn this_machine_tells_what_it_has() {
        let machine = Gauge::default().read().unwrap();
        assert!(machine.available > 1 << 20 && machine.processors > 0, "{machine:?}");
    }

    #[test]
    fn the_smallest_limit_of_all_groups_above_counts_without_what_is_only_cached() {
        let (_folder, gauge) = gauge(&[
            MEMORY,
            ("proc/self/cgroup", "0::/a/b\n"),
            ("proc/pressure/cpu", PRESSURE),
            ("cgroup/a/b/memory.max", "max\n"),
            ("cgroup/a/b/memory.current", "100\n"),
            ("cgroup/a/memory.max", "5000\n"),
            ("cgroup/a/memory.current", "4000\n"),
            ("cgroup/a/memory.stat", "anon 1\ninactive_file 1500\n"),
        ]);
        let machine = gauge.read().unwrap();
        assert_eq!((machine.available, machine.pressure), (2500, 615));
    }

    #[test]
    fn a_group_of_the_first_version_counts_and_its_own_pressure_comes_first() {
        let (_folder, gauge) = gauge(&[
            MEMORY,
            ("proc/self/cgroup", "4:memory:/m\n0::/u\n"),
            ("proc/pressure/cpu", PRESSURE),
            ("cgroup/u/cpu.pressure", "some avg10=1.00 avg60=0.00\n"),
            ("cgroup/memory/m/memory.limit_in_bytes", "7000000\n"),
            ("cgroup/memory/m/memory.usage_in_bytes", "1000000\n"),
        ]);
        let machine = gauge.read().unwrap();
        assert_eq!((machine.available, machine.pressure), (6_000_000, 10));
    }

    #[test]
    fn without_pressure_the_load_tells_who_waits() {
        let (_folder, gauge) = gauge(&[MEMORY, ("proc/loadavg", "0.00 0.0 0.0 1/1 1\n")]);
        assert_eq!(gauge.read().unwrap().pressure, 0);
        assert_eq!(gauge.read().unwrap().available, 8000 << 10);
        assert_eq!(gauge.load(2), Some(0));
        assert_eq!(Gauge::at("/nowhere", "/nowhere").read(), None);
    }
}
