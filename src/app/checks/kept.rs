//! What lies in the data folder, what it weighs, and why it is there.

use std::{fs, path::Path, time::SystemTime};

use super::Check;
use crate::{
    model::{Keep, size},
    workspace::{Base, KeptMirror, WorkspaceKey, bases_in, mirrors_in, weight},
};

/// How many checkouts and workspaces are told one by one.
const TOLD: usize = 20;

/// Looks at everything that is kept; never wrong by itself.
pub(super) fn kept(data: &Path, keep: &Keep, now: SystemTime) -> Check {
    let mut seen = folders(data);
    let bases = bases_in(data).unwrap_or_default();
    let reasons = bases.iter().rev().map(|base| checkout(base, keep, now));
    let mirrors = mirrors_in(data).unwrap_or_default();
    let mirrors = mirrors.iter().rev().map(|mirror| mirrored(mirror, keep, now));
    for reason in reasons.chain(mirrors).chain(workspaces(data)).take(TOLD) {
        seen.push('\n');
        seen.push_str(&reason);
    }
    Check::holds("kept on disk", seen)
}

/// Each folder with what is in it.
fn folders(data: &Path) -> String {
    let parts: Vec<String> = ["mirrors", "bases", "workspaces", "trash", "postgres"]
        .iter()
        .filter_map(|name| {
            let folder = data.join(name);
            let entries = match *name {
                "bases" => bases_in(data).ok()?.len(),
                "mirrors" => mirrors_in(data).ok()?.len(),
                _ => fs::read_dir(&folder).ok()?.count(),
            };
            let count = if *name == "postgres" { String::new() } else { format!(" ({entries})") };
            Some(format!("{name}{count} {}", size(weight(&folder))))
        })
        .collect();
    if parts.is_empty() { "nothing yet".to_owned() } else { parts.join(", ") }
}

fn checkout(base: &Base, keep: &Keep, now: SystemTime) -> String {
    let why = if base.users.is_empty() {
        let hours = now.duration_since(base.used).unwrap_or_default().as_secs() / 3600;
        format!(
            "used {hours} h ago; goes after {} days, or earlier when all of it is above {}",
            keep.days,
            size(keep.bytes)
        )
    } else {
        let users: Vec<&str> = base.users.iter().map(WorkspaceKey::as_str).collect();
        format!("shown by {}", users.join(", "))
    };
    let (sha, repository) = (base.sha.short(), base.repository);
    format!("checkout of {sha} of repository {repository}: {}, {why}", size(base.bytes))
}

fn mirrored(mirror: &KeptMirror, keep: &Keep, now: SystemTime) -> String {
    let hours = now.duration_since(mirror.used).unwrap_or_default().as_secs() / 3600;
    let (repository, bytes) = (mirror.repository, size(mirror.bytes));
    format!(
        "mirror of repository {repository}: {bytes}, used {hours} h ago; goes when Baton no longer serves \
         it, and, while no task of it is open, after {} days, or after a day when all mirrors are above {}",
        keep.days,
        size(keep.bytes)
    )
}

fn workspaces(data: &Path) -> Vec<String> {
    let entries = fs::read_dir(data.join("workspaces")).into_iter().flatten().flatten();
    let told = entries.map(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        let bytes = size(weight(&entry.path()));
        format!("workspace {name}: {bytes}, as long as its agent or run is not over")
    });
    told.collect()
}
