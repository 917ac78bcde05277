//! Namespaces and control groups that something of a test is still in, holds, or has made.
//!
//! A namespace lives as long as a process is in it, a descriptor holds it or a mount shows it (namespaces(7)).
//! All of a test's own are looked at: many tests share a machine, and what others hold is theirs.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use rustix::process::Pid;

use super::absent::{Lack, skip};

/// The kinds, as descriptors and links name them.
const KINDS: [&str; 8] = ["cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"];

/// Where control groups are seen.
const GROUPS: &str = "/sys/fs/cgroup";

/// Namespaces that a process is not in by birth, but holds open, is in all the same or has mounted below
/// a folder. Names of namespaces are used again; so each is named by how it is held.
pub fn namespaces(holder: Pid, folder: &Path) -> Vec<String> {
    let pid = holder.as_raw_nonzero();
    let of = |process: &str, part: &str| {
        let entries =
            fs::read_dir(format!("/proc/{process}/{part}")).into_iter().flatten().flatten();
        let links = entries.filter_map(|entry| fs::read_link(entry.path()).ok());
        links.map(|link| link.to_string_lossy().into_owned()).collect::<Vec<String>>()
    };
    let is_namespace =
        |link: &String| KINDS.iter().any(|kind| link.starts_with(&format!("{kind}:[")));
    let own = of("self", "ns");
    let entered = of(&pid.to_string(), "ns").into_iter().filter(|link| !own.contains(link));
    let held = of(&pid.to_string(), "fd").into_iter().filter(is_namespace);
    let mounts = fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap_or_default();
    let folder = folder.display().to_string();
    let shown = mounts.lines().filter(|line| line.contains(" - nsfs ") && line.contains(&folder));
    let entered = entered.map(|link| format!("a namespace: {pid} is in {link}"));
    let held = held.map(|link| format!("a namespace: {pid} holds {link}"));
    let shown = shown.map(|line| format!("a namespace: mounted, {line}"));
    entered.chain(held).chain(shown).collect()
}

/// Control groups below those that a process is in, and all of some containers, by their paths.
pub fn groups(process: Pid, containers: &BTreeSet<String>) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let pid = process.as_raw_nonzero();
    let listed = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    // Each line is `number:controllers:path`; the second version has no controllers (cgroups(7)).
    for line in listed.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        let controllers = controllers.strip_prefix("name=").unwrap_or(controllers);
        for root in [controllers, "unified"] {
            let own = Path::new(GROUPS).join(root).join(path.trim_start_matches('/'));
            below(&own, &mut found);
        }
    }
    let mut all = BTreeSet::new();
    below(Path::new(GROUPS), &mut all);
    let names = |path: &PathBuf, id: &str| {
        path.file_name().is_some_and(|name| name.to_string_lossy().contains(id))
    };
    // Those of a container that is not named here are another test's.
    found.retain(|path| !path.components().any(|part| is_of_a_container(part.as_os_str())));
    found.extend(all.into_iter().filter(|path| containers.iter().any(|id| names(path, id))));
    found
}

/// Whether a group has the name of a container, or of what holds those of a daemon.
fn is_of_a_container(name: &std::ffi::OsStr) -> bool {
    let name = name.to_string_lossy();
    let longest = name.split(|c: char| !c.is_ascii_hexdigit()).map(str::len).max().unwrap_or(0);
    longest >= 64 || ["libpod_parent", "docker"].contains(&&*name)
}

fn below(folder: &Path, found: &mut BTreeSet<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.insert(entry.path());
            below(&entry.path(), found);
        }
    }
}

#[test]
fn a_namespace_that_is_held_or_mounted_is_seen() {
    let own = rustix::process::getpid();
    let folder = tempfile::tempdir().unwrap();
    let before = namespaces(own, folder.path());
    let held = fs::File::open("/proc/self/ns/net").unwrap();
    let after = namespaces(own, folder.path());
    assert_eq!(after.len(), before.len() + 1, "{after:?}");
    drop(held);
    if !rustix::process::geteuid().is_root() {
        skip(Lack::Machine, "only root can mount a namespace");
        return;
    }
    let place = folder.path().join("net");
    fs::write(&place, "").unwrap();
    let call = |program: &str, arguments: &[&Path]| {
        let output = std::process::Command::new(program).args(arguments).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    };
    call("mount", &[Path::new("--bind"), Path::new("/proc/self/ns/net"), &place]);
    let seen = namespaces(own, folder.path());
    call("umount", &[&place]);
    assert!(seen.iter().any(|line| line.contains("mounted")), "{seen:?}");
}

#[test]
fn a_group_below_ones_own_and_one_of_a_named_container_are_seen() {
    let own = rustix::process::getpid();
    let Some(place) = writable_group(own) else {
        skip(Lack::Machine, "no control group can be made here");
        return;
    };
    let id = format!("{:064x}", std::process::id());
    let [plain, contained] = [format!("baton-{}", std::process::id()), format!("libpod-{id}")];
    let none = BTreeSet::new();
    let made = [&plain, &contained].map(|name| place.join(name));
    made.iter().for_each(|path| fs::create_dir(path).unwrap());
    let (of_anybody, of_it) = (groups(own, &none), groups(own, &BTreeSet::from([id])));
    made.iter().for_each(|path| fs::remove_dir(path).unwrap());
    let [plain, contained] = made;
    assert!(of_anybody.contains(&plain) && !of_anybody.contains(&contained), "{of_anybody:?}");
    assert!(of_it.contains(&contained), "{of_it:?}");
}

/// A group of a process in which others can be made.
fn writable_group(process: Pid) -> Option<PathBuf> {
    let pid = process.as_raw_nonzero();
    let listed = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    let mut places = listed.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?);
        let root = Path::new(GROUPS).join(controllers.strip_prefix("name=").unwrap_or(controllers));
        Some(root.join(path.trim_start_matches('/')))
    });
    places.find(|place| {
        let trial = place.join(format!("trial-{pid}"));
        fs::create_dir(&trial).is_ok() && fs::remove_dir(&trial).is_ok()
    })
}
