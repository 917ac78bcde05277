//! Which system calls a Podman lets through.
//!
//! Podman's own profile is a list of what is allowed, and has on it what containers in a container need:
//! namespaces and mounts. With these a command without rights reaches parts of the kernel that are otherwise
//! for root. So they are taken off that list, as they are not on Docker's for a container without capabilities.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use super::trial::unavailable;
use crate::sandbox::SandboxError;

/// Where Podman has its profile: what the machine's owner put there goes before what the package did.
const PROFILES: [&str; 2] = ["/etc/containers/seccomp.json", "/usr/share/containers/seccomp.json"];

/// What makes namespaces and mounts.
const REFUSED: [&str; 15] = [
    "clone",
    "clone3",
    "fsconfig",
    "fsmount",
    "fsopen",
    "fspick",
    "mount",
    "mount_setattr",
    "move_mount",
    "open_tree",
    "pivot_root",
    "setns",
    "umount",
    "umount2",
    "unshare",
];

/// The flags by which `clone` makes namespaces: `CLONE_NEW*` (clone(2)).
const NAMESPACES: u64 = 0x7E02_0000;

/// The error that makes a C library use `clone`: function not implemented.
const ENOSYS: u32 = 38;

/// Writes Podman's profile without these to the state folder.
pub(super) fn write(state: &Path) -> Result<PathBuf, SandboxError> {
    let found = PROFILES.iter().find_map(|path| fs::read_to_string(path).ok());
    let profile = found.ok_or_else(|| {
        let problem = format!("Podman's seccomp profile is not at {}", PROFILES.join(" or "));
        unavailable(
            problem,
            "install the package containers-common (golang-github-containers-common)",
        )
    })?;
    let mut profile: Value = serde_json::from_str(&profile).map_err(io::Error::from)?;
    tighten(&mut profile);
    let path = state.join("seccomp.json");
    // Renamed into its place, for containers may be starting.
    let mut file = tempfile::NamedTempFile::new_in(state)?;
    serde_json::to_writer(&mut file, &profile).map_err(io::Error::from)?;
    file.persist(&path).map_err(|error| error.error)?;
    Ok(path)
}

fn tighten(profile: &mut Value) {
    let Some(rules) = profile["syscalls"].as_array_mut() else { return };
    for rule in rules.iter_mut() {
        if let Some(names) = rule["names"].as_array_mut() {
            names.retain(|name| !REFUSED.iter().any(|refused| name == refused));
        }
    }
    rules.retain(|rule| rule["names"].as_array().is_some_and(|names| !names.is_empty()));
    let argument = json!({
        "index": 0, "value": NAMESPACES, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ",
    });
    rules.push(json!({ "names": ["clone"], "action": "SCMP_ACT_ALLOW", "args": [argument] }));
    // Its flags are behind a pointer, where no filter sees them.
    rules.push(json!({ "names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": ENOSYS }));
    rules.push(json!({ "names": REFUSED[2..], "action": "SCMP_ACT_ERRNO", "errnoRet": 1 }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_namespaces_is_allowed_by_no_rule() {
        let allowed = json!({ "names": ["read", "clone", "unshare"], "action": "SCMP_ACT_ALLOW" });
        let mut profile = json!({
            "defaultAction": "SCMP_ACT_ERRNO",
            "syscalls": [allowed, { "names": ["mount"], "action": "SCMP_ACT_ALLOW" }],
        });
        tighten(&mut profile);
        let rules = profile["syscalls"].as_array().unwrap();
        assert_eq!(rules.len(), 4, "{rules:?}");
        assert_eq!(rules[0]["names"], json!(["read"]));
        let refused = rules.iter().filter(|rule| rule["action"] == "SCMP_ACT_ERRNO");
        let names: Vec<_> = refused.flat_map(|rule| rule["names"].as_array().unwrap()).collect();
        assert!(names.iter().any(|name| **name == "unshare"), "{names:?}");
    }
}
