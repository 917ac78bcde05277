//! What folders weigh on disk.

use std::{fs, os::unix::fs::MetadataExt, path::Path};

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
