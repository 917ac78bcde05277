//! What the processes of a sandbox use, as `/proc` tells it from outside.
//!
//! A control group counts more exactly, and a container's does (`container::group`); others have none without
//! privileges, and `/proc` is always there. What processes that have ended used is in the figures of whoever reaped
//! them, and every reaper of a sandbox is one of its own processes, up to the one that Baton started.

use std::{
    fs,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rustix::process::Pid;

use super::running::Control;
use crate::model::Footprint;

/// Milliseconds in one of the ticks in which `/proc/PID/stat` counts: a hundred a second on every machine
/// that Rust's standard library runs on (`sysconf(_SC_CLK_TCK)`).
const TICK_MS: u64 = 10;

/// Looks at what one sandbox uses. Cheap to clone.
#[derive(Clone)]
pub struct Meter {
    pub(super) control: Arc<dyn Control>,
}

impl Meter {
    /// Looks now, and gives the figures up to here. A few dozen small reads, so not for an async thread.
    #[must_use]
    pub fn read(&self) -> Footprint {
        self.control.look()
    }

    /// The figures of the last look; those at the end are taken in once the end is told.
    #[must_use]
    pub fn last(&self) -> Footprint {
        self.control.last()
    }
}

/// What looking at one sandbox's processes has shown.
#[derive(Default)]
pub(super) struct Seen(Mutex<Looks>);

#[derive(Default)]
struct Looks {
    footprint: Footprint,
    /// Whether the last look was taken.
    over: bool,
}

impl Seen {
    /// Looks at a process and all below it; after the last look nothing changes any more.
    pub(super) fn look(&self, first: Pid) -> Footprint {
        self.look_with(first, |seen| seen)
    }

    /// The same, with what somebody knows better than the processes tell.
    pub(super) fn look_with(
        &self,
        first: Pid,
        amend: impl FnOnce(Footprint) -> Footprint,
    ) -> Footprint {
        let mut looks = self.looks();
        if !looks.over {
            looks.footprint = looks.footprint.then(amend(below(first)));
        }
        looks.footprint
    }

    /// Looks once more, at the end.
    pub(super) fn look_last(&self, first: Pid) {
        self.look(first);
        self.end();
    }

    /// Nothing that is seen later counts.
    pub(super) fn end(&self) {
        let mut looks = self.looks();
        looks.footprint.memory = 0;
        looks.over = true;
    }

    /// The figures of the last look.
    pub(super) fn last(&self) -> Footprint {
        self.looks().footprint
    }

    fn looks(&self) -> MutexGuard<'_, Looks> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a process and all below it use now.
fn below(first: Pid) -> Footprint {
    let mut sum = Footprint::default();
    let mut left = vec![first.as_raw_nonzero().get()];
    while let Some(pid) = left.pop() {
        // A parent is read before its children: one that is reaped meanwhile is missed and not counted twice.
        sum.cpu_ms += cpu_ticks(pid).unwrap_or(0) * TICK_MS;
        sum.memory += own_memory(pid).unwrap_or(0);
        sum.written += written(pid).unwrap_or(0);
        left.extend(children(pid));
    }
    sum.memory_peak = sum.memory;
    sum
}

/// The children of all threads of a process.
fn children(pid: i32) -> Vec<i32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists =
        threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    lists.flat_map(|list| numbers(&list)).collect()
}

fn numbers(list: &str) -> Vec<i32> {
    list.split_ascii_whitespace().filter_map(|number| number.parse().ok()).collect()
}

/// Fields 14 to 17 of `/proc/PID/stat` (proc(5)): in user and system mode, by itself and by the children
/// that it has waited for. Zombies have them too.
fn cpu_ticks(pid: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in field 2 may hold anything, a ')' too.
    let fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    Some(fields.skip(11).take(4).filter_map(|field| field.parse::<u64>().ok()).sum())
}

/// Memory that is backed by no file, in RAM or swapped out, in bytes.
fn own_memory(pid: i32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let kib = |name: &str| -> Option<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().ok()
    };
    Some((kib("RssAnon")? + kib("VmSwap").unwrap_or(0)) << 10)
}

/// Bytes that it, and the children that it has waited for, had sent to a disk. Kernels can be built without.
fn written(pid: i32) -> Option<u64> {
    let io = fs::read_to_string(format!("/proc/{pid}/io")).ok()?;
    io.lines().find_map(|line| line.strip_prefix("write_bytes: "))?.parse().ok()
}
