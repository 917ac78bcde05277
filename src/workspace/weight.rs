//! What folders weigh on disk.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// Bytes that all files take up; follows no link, and what cannot be read counts nothing.
#[must_use]
pub fn weight(folder: &Path) -> u64 {
    let mut bytes = 0;
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let Ok(seen) = entry.metadata() else { continue };
            // A block has 512 bytes, whatever the file system's own are (stat(2)).
            bytes += seen.blocks() * 512;
            if seen.is_dir() {
                folders.push(entry.path());
            }
        }
    }
    bytes
}

/// Bytes that folders take up which somebody writes to who may want to hide it; each file once. Blocks.
///
/// The programs go deeper than a path can be long, and follow no folder that becomes a link meanwhile. A folder
/// that its owner has closed is opened, where Baton's account is that owner's: nothing is kept uncounted.
#[must_use]
pub fn held(folders: &[PathBuf]) -> u64 {
    let (bytes, whole) = counted(folders);
    if whole {
        return bytes;
    }
    let opened = on(folders, &["chmod", "-R", "u+rX", "--"]);
    // What cannot be opened either has been counted as far as it was seen.
    if opened.is_some() { counted(folders).0.max(bytes) } else { bytes }
}

/// Bytes, and whether everything was counted.
fn counted(folders: &[PathBuf]) -> (u64, bool) {
    let Some(output) = on(folders, &["du", "-skx", "--"]) else { return (0, true) };
    let text = String::from_utf8_lossy(&output.stdout);
    let kibibytes = text.lines().filter_map(|line| line.split('\t').next()?.parse::<u64>().ok());
    (kibibytes.sum::<u64>() << 10, output.status.success())
}

fn on(folders: &[PathBuf], words: &[&str]) -> Option<Output> {
    let there = folders.iter().filter(|folder| folder.exists());
    Command::new(words[0]).args(&words[1..]).args(there).output().ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_lies_deep_or_in_a_closed_folder_counts_and_what_a_link_leads_to_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let (top, other) = (folder.path().join("top"), folder.path().join("other"));
        // Longer than a path can be, made step by step.
        let script = "mkdir top other && head -c 3000000 /dev/zero > other/large && cd top && ln -s ../other link
            for n in $(seq 30); do d=$(printf 'd%.0s' $(seq 200)); mkdir $d && cd -P $d || exit; done
            head -c 1000000 /dev/zero > deep";
        let made = Command::new("sh").args(["-c", script]).current_dir(folder.path()).status();
        assert!(made.unwrap().success());
        fs::create_dir(top.join("closed")).unwrap();
        fs::write(top.join("closed/file"), vec![1; 2_000_000]).unwrap();
        fs::set_permissions(top.join("closed"), fs::Permissions::from_mode(0o311)).unwrap();
        let bytes = held(&[top.clone(), folder.path().join("absent")]);
        assert!((3_000_000..3_500_000).contains(&bytes), "{bytes}");
        assert!(held(&[top, other]) > 6_000_000);
        let removed = Command::new("rm").arg("-rf").arg(folder.path().join("top")).status();
        assert!(removed.unwrap().success());
    }
}
