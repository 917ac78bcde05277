//! Reading files that hold secrets.

use std::{fs, io, os::unix::fs::MetadataExt, path::Path};

/// Reads a file that nobody but its owner may read.
///
/// # Errors
/// When it cannot be read, or others could read it too.
pub(super) fn read_private(path: &Path) -> io::Result<String> {
    let mode = fs::metadata(path)?.mode() & 0o777;
    if mode & 0o077 != 0 {
        let advice =
            format!("others may read it (mode {mode:o}): run chmod 600 {}", path.display());
        return Err(io::Error::other(advice));
    }
    fs::read_to_string(path)
}
