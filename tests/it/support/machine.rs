//! What is on this machine of one Baton: to be compared before and after.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use rustix::process::Pid;

/// What a Baton that has nothing to do holds.
#[derive(Debug, Clone)]
pub struct Held {
    /// Files and folders of its data folder, save what is kept of repositories on purpose.
    pub files: BTreeSet<String>,
    /// Open descriptors, by what they are.
    pub descriptors: BTreeMap<String, usize>,
    /// Its own memory that is backed by no file, in KiB.
    pub memory: u64,
}

/// What lies below these grows with what was fetched, and is collected by its own rules.
const KEPT: [&str; 3] = ["mirrors", "bases", "postgres"];

impl Held {
    /// Looks at a process and its data folder.
    pub fn by(baton: Pid, data: &Path) -> Self {
        let mut files = BTreeSet::new();
        walk(data, data, &mut files);
        let pid = baton.as_raw_nonzero();
        let mut descriptors = BTreeMap::new();
        for entry in fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten() {
            let target = fs::read_link(entry.path()).unwrap_or_default();
            let kind = target.to_string_lossy().split(':').next().unwrap_or_default().to_owned();
            *descriptors.entry(kind).or_default() += 1;
        }
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
        let memory = line.trim().trim_end_matches(" kB").parse().unwrap();
        Self { files, descriptors, memory }
    }
}

fn walk(root: &Path, folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = path.strip_prefix(root).unwrap().display().to_string();
        if KEPT.contains(&name.as_str()) {
            continue;
        }
        found.insert(name);
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            walk(root, &path, found);
        }
    }
}

/// Mounts that name a folder, as this process and another one see them.
pub fn mounts(folder: &Path, other: Pid) -> Vec<String> {
    let name = folder.display().to_string();
    let own = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let theirs = fs::read_to_string(format!("/proc/{}/mountinfo", other.as_raw_nonzero())).unwrap();
    let named = own.lines().chain(theirs.lines()).filter(|line| line.contains(&name));
    named.map(|line| format!("a mount: {line}")).collect()
}

/// Unix sockets at a path below a folder; a path that nobody listens at any more is among its files.
pub fn sockets(folder: &Path) -> BTreeSet<String> {
    let name = folder.display().to_string();
    let table = fs::read_to_string("/proc/net/unix").unwrap();
    let paths = table.lines().filter_map(|line| line.split_ascii_whitespace().nth(7));
    paths.filter(|path| path.starts_with(&name)).map(str::to_owned).collect()
}
