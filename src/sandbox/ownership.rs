//! Whose the folders are that an agent writes to.

use std::{io, os::fd::OwnedFd, path::Path};

use rustix::{
    fs::{AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, Uid, chownat, openat},
    io::Errno,
};

/// The unprivileged account that agents run as when Baton is root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// Its user id, never 0.
    pub uid: u32,
    /// Its group id, never 0.
    pub gid: u32,
}

impl Default for Owner {
    /// `nobody` and `nogroup` on every common distribution.
    fn default() -> Self {
        Self { uid: 65534, gid: 65534 }
    }
}

/// Gives a file, or a folder with all that is in it, to the account; follows no symbolic link.
///
/// # Errors
/// When something cannot be opened or given away; without root nothing can be given to others.
pub fn own(path: &Path, owner: Owner) -> io::Result<()> {
    let (uid, gid) = (Uid::from_raw(owner.uid), Gid::from_raw(owner.gid));
    let give = |at: &OwnedFd, name: &std::ffi::CStr| {
        chownat(at, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
    };
    chownat(CWD, path, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
    let top = match openat(CWD, path, FOLDER, Mode::empty()) {
        Ok(folder) => folder,
        Err(Errno::NOTDIR | Errno::LOOP) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    // A list instead of recursion: no depth of folders can use up the stack.
    let mut folders = vec![top];
    while let Some(folder) = folders.pop() {
        for entry in Dir::read_from(&folder)? {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            give(&folder, name)?;
            if matches!(entry.file_type(), FileType::Directory | FileType::Unknown) {
                match openat(&folder, name, FOLDER, Mode::empty()) {
                    Ok(inner) => folders.push(inner),
                    Err(Errno::NOTDIR | Errno::LOOP) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
    }
    Ok(())
}

/// Opens folders only, and never through a symbolic link.
const FOLDER: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, symlink};

    use super::*;

    #[test]
    fn owning_a_folder_reaches_all_in_it_and_nothing_behind_a_link() {
        if !rustix::process::geteuid().is_root() {
            eprintln!("SKIPPED: only root can give files away");
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let (inside, outside) = (folder.path().join("in"), folder.path().join("out"));
        std::fs::create_dir_all(inside.join("deep/er")).unwrap();
        std::fs::create_dir(&outside).unwrap();
        std::fs::write(inside.join("deep/er/file"), "x").unwrap();
        std::fs::write(outside.join("file"), "x").unwrap();
        symlink(&outside, inside.join("link")).unwrap();
        own(&inside, Owner { uid: 4711, gid: 4712 }).unwrap();
        let meta = std::fs::metadata(inside.join("deep/er/file")).unwrap();
        assert_eq!((meta.uid(), meta.gid()), (4711, 4712));
        assert_eq!(std::fs::symlink_metadata(inside.join("link")).unwrap().uid(), 4711);
        assert_eq!(std::fs::metadata(&outside).unwrap().uid(), 0);
        assert_eq!(std::fs::metadata(outside.join("file")).unwrap().uid(), 0);
    }
}
