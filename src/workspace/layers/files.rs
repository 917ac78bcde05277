//! The files of a layer: taken from whoever made them, copied for whoever writes.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::{MetadataExt, PermissionsExt, lchown, symlink},
    path::Path,
};

/// Takes what a set-up made from the agents' account and gives it plain modes. Follows no link; what is
/// no file, folder or link is deleted. Gives the bytes.
pub(super) fn settle(top: &Path) -> io::Result<u64> {
    let me = rustix::process::geteuid().as_raw();
    let mut bytes = 0;
    let mut left = vec![top.to_owned()];
    while let Some(path) = left.pop() {
        let seen = fs::symlink_metadata(&path)?;
        if !(seen.is_dir() || seen.is_file() || seen.is_symlink()) {
            fs::remove_file(&path)?;
            continue;
        }
        if seen.uid() != me {
            lchown(&path, Some(me), Some(rustix::process::getegid().as_raw()))?;
        }
        if seen.is_symlink() {
            continue;
        }
        let executable = seen.is_dir() || seen.mode() & 0o100 != 0;
        let mode = if executable { 0o755 } else { 0o644 };
        fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
        if seen.is_dir() {
            left.extend(fs::read_dir(&path)?.flatten().map(|entry| entry.path()));
        } else {
            bytes += seen.len();
        }
    }
    Ok(bytes)
}

/// Copies a folder that nobody is changing; times stay, as tools judge by them. `fs::copy` shares the
/// blocks where the file system can.
pub(super) fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    let mut left = vec![(from.to_owned(), to.to_owned())];
    while let Some((from, to)) = left.pop() {
        for entry in fs::read_dir(&from)? {
            let entry = entry?;
            let (from, to) = (entry.path(), to.join(entry.file_name()));
            let kind = entry.file_type()?;
            if kind.is_dir() {
                fs::create_dir(&to)?;
                left.push((from, to));
            } else if kind.is_symlink() {
                symlink(fs::read_link(&from)?, &to)?;
            } else {
                fs::copy(&from, &to)?;
                File::options()
                    .append(true)
                    .open(&to)?
                    .set_modified(entry.metadata()?.modified()?)?;
            }
        }
    }
    Ok(())
}
