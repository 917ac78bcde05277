//! The small step before a sandbox whose folders are laid over others.
//!
//! It is Baton's own executable, started as `baton layers … -- bwrap …` by the account that the sandbox
//! will have. It takes a user and mount namespace of its own, mounts each overlay there, and becomes
//! bubblewrap: no process stays beside it, and the kernel undoes the mounts when the last process
//! of the sandbox is gone, however it went. Nothing of this needs privileges (overlayfs with `userxattr`,
//! Linux 5.11; see the kernel's `Documentation/filesystems/overlayfs.rst`).

use std::{
    ffi::{CString, OsStr, OsString},
    fs, io,
    os::unix::{ffi::OsStrExt, process::CommandExt},
    path::{Path, PathBuf},
    process::Command,
};

use rustix::{
    mount::{MountFlags, mount},
    process::{getegid, geteuid},
    thread::UnshareFlags,
};

use super::Overlay;

/// What to mount, and what to become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layers {
    /// The overlays, in order.
    pub overlays: Vec<Overlay>,
    /// The program and its arguments.
    pub argv: Vec<OsString>,
}

/// Why the program was not started.
#[derive(Debug, thiserror::Error)]
pub enum LayersError {
    /// The command line is not one that Baton writes.
    #[error("read the command line: {0}")]
    Usage(&'static str),
    /// The kernel gives this account no user namespace.
    #[error("take a namespace: {0}")]
    Namespace(io::Error),
    /// The kernel or the file system takes no overlay.
    #[error("lay {} over its base: {error}", at.display())]
    Mount {
        /// Where.
        at: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The program cannot be started.
    #[error("start {program:?}: {error}")]
    Program {
        /// Its name.
        program: OsString,
        /// Why.
        error: io::Error,
    },
}

impl Layers {
    /// The arguments after `baton`; [`Layers::parse`] reads them back (without the first).
    #[must_use]
    pub fn arguments(&self) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = vec!["layers".into()];
        for Overlay { lower, upper, work, at } in &self.overlays {
            arguments.push("--overlay".into());
            arguments.extend([lower, upper, work, at].map(|path| path.clone().into_os_string()));
        }
        arguments.push("--".into());
        arguments.extend(self.argv.iter().cloned());
        arguments
    }

    /// Reads what [`Layers::arguments`] wrote, from after the word `layers`.
    ///
    /// # Errors
    /// [`LayersError::Usage`] for anything else, a missing program included.
    pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, LayersError> {
        let mut arguments = arguments.into_iter();
        let mut overlays = Vec::new();
        loop {
            match arguments.next() {
                Some(flag) if flag == "--overlay" => {
                    let mut path = || arguments.next().map(PathBuf::from);
                    let paths = (path(), path(), path(), path());
                    let (Some(lower), Some(upper), Some(work), Some(at)) = paths else {
                        return Err(LayersError::Usage("an overlay has four folders"));
                    };
                    overlays.push(Overlay { lower, upper, work, at });
                }
                Some(flag) if flag == "--" => break,
                Some(_) => return Err(LayersError::Usage("a flag is unknown")),
                None => return Err(LayersError::Usage("there is no program")),
            }
        }
        let argv: Vec<OsString> = arguments.collect();
        if argv.is_empty() {
            return Err(LayersError::Usage("there is no program"));
        }
        Ok(Self { overlays, argv })
    }

    /// Mounts and becomes the program; comes back only when that failed.
    #[must_use]
    pub fn run(&self) -> LayersError {
        if let Err(error) = own_namespace() {
            return LayersError::Namespace(error);
        }
        for overlay in &self.overlays {
            if let Err(error) = lay(overlay) {
                return LayersError::Mount { at: overlay.at.clone(), error };
            }
        }
        let program = self.argv[0].clone();
        let error = Command::new(&program).args(&self.argv[1..]).exec();
        LayersError::Program { program, error }
    }
}

/// A user namespace in which this account may mount, and mounts that nobody else sees.
#[expect(
    deprecated,
    reason = "its replacement is unsafe; no table of descriptors is unshared here"
)]
fn own_namespace() -> io::Result<()> {
    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    rustix::thread::unshare(UnshareFlags::NEWUSER | UnshareFlags::NEWNS)?;
    // The kernel takes a map of groups only from who gave up changing them (user_namespaces(7)).
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("0 {uid} 1"))?;
    fs::write("/proc/self/gid_map", format!("0 {gid} 1"))
}

fn lay(overlay: &Overlay) -> io::Result<()> {
    let Overlay { lower, upper, work, at } = overlay;
    // The kernel refuses a second mount after a volatile one until this is gone, for it cannot know whether
    // the machine went down in between; after that no workspace is used again.
    match fs::remove_dir_all(work.join("work/incompat")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    // Volatile: else the end of each sandbox would write out the whole file system.
    let mut options = b"userxattr,index=off,volatile".to_vec();
    for (name, path) in [("lowerdir", lower), ("upperdir", upper), ("workdir", work)] {
        options.extend_from_slice(format!(",{name}=").as_bytes());
        options.extend(escaped(path));
    }
    let options = CString::new(options)?;
    let flags = MountFlags::NODEV | MountFlags::NOSUID;
    Ok(mount(c"overlay", at.as_path(), c"overlay", flags, Some(options.as_c_str()))?)
}

/// A path as overlayfs reads it back from its options.
fn escaped(path: &Path) -> Vec<u8> {
    let bytes = OsStr::as_bytes(path.as_os_str());
    let mut escaped = Vec::with_capacity(bytes.len());
    for byte in bytes {
        if matches!(byte, b',' | b':' | b'\\') {
            escaped.push(b'\\');
        }
        escaped.push(*byte);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_read_back_as_it_was_written() {
        let path = |name: &str| PathBuf::from(format!("/data/{name}"));
        let overlay =
            Overlay { lower: path("l"), upper: path("u"), work: path("w"), at: path("--") };
        let layers = Layers { overlays: vec![overlay; 2], argv: vec!["bwrap".into(), "--".into()] };
        assert_eq!(Layers::parse(layers.arguments().into_iter().skip(1)).unwrap(), layers);
    }

    #[test]
    fn a_command_line_of_somebody_else_is_refused() {
        for bad in [&["--"][..], &["--overlay", "/a", "/b", "--", "sh"], &["--x", "--", "sh"], &[]]
        {
            let arguments = bad.iter().map(OsString::from);
            assert!(Layers::parse(arguments).is_err(), "{bad:?} was taken");
        }
    }

    #[test]
    fn what_parts_options_is_escaped() {
        assert_eq!(escaped(Path::new("/a,b:c\\d")), b"/a\\,b\\:c\\\\d");
    }
}
