//! Where the server's files are.

use std::{
    env, fs,
    hash::{DefaultHasher, Hash, Hasher},
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown},
    path::{Path, PathBuf},
};

use super::{EmbeddedError, Identity};

/// Longest path of a Unix socket, its closing zero left out (`sun_path` of `unix(7)`; macOS has 103).
const LONGEST_SOCKET: usize = if cfg!(target_os = "macos") { 103 } else { 107 };

/// What Postgres calls its socket.
const SOCKET: &str = ".s.PGSQL.5432";

/// The files of one private server.
#[derive(Debug, Clone)]
pub(super) struct Folders {
    /// All the others but the socket are in it.
    pub base: PathBuf,
    /// What `initdb` makes.
    pub data: PathBuf,
    /// What `initdb` is making.
    pub unfinished: PathBuf,
    /// Where the socket is.
    pub socket: PathBuf,
    /// What the server prints.
    pub log: PathBuf,
    /// Held while the server is started or stopped.
    pub starting: PathBuf,
    /// Shared by all who use the server.
    pub users: PathBuf,
}

impl Folders {
    /// Names the files; makes nothing.
    pub fn of(base: &Path) -> Self {
        let base = std::path::absolute(base).unwrap_or_else(|_| base.into());
        let near = base.join("socket");
        let socket = if near.join(SOCKET).as_os_str().len() <= LONGEST_SOCKET {
            near
        } else {
            let mut hasher = DefaultHasher::new();
            base.hash(&mut hasher);
            env::temp_dir().join(format!("baton-{:016x}", hasher.finish()))
        };
        Self {
            data: base.join("data"),
            unfinished: base.join("data.new"),
            log: base.join("log"),
            starting: base.join("starting.lock"),
            users: base.join("users.lock"),
            socket,
            base,
        }
    }

    /// By which a server holds its socket.
    pub fn socket_lock(&self) -> PathBuf {
        self.socket.join(format!("{SOCKET}.lock"))
    }

    /// Makes the folders, private to the server's user.
    pub fn prepare(&self, identity: Option<Identity>) -> Result<(), EmbeddedError> {
        fs::create_dir_all(&self.base).map_err(EmbeddedError::folder(&self.base))?;
        give(&self.base, identity)?;
        if let Some(identity) = identity {
            identity.can_reach(&self.base)?;
        }
        self.prepare_socket(identity)
    }

    /// The folder may be under the common temp folder, where others could have made it first.
    fn prepare_socket(&self, identity: Option<Identity>) -> Result<(), EmbeddedError> {
        let folder = &self.socket;
        if fs::DirBuilder::new().mode(0o700).create(folder).is_ok() {
            return give(folder, identity);
        }
        let seen = fs::symlink_metadata(folder).map_err(EmbeddedError::folder(folder))?;
        let owner = identity.map_or_else(|| rustix::process::geteuid().as_raw(), |it| it.uid);
        if seen.is_dir() && seen.uid() == owner && seen.mode() & 0o077 == 0 {
            Ok(())
        } else {
            Err(EmbeddedError::NotOurs { folder: folder.clone() })
        }
    }

    /// Deletes everything.
    pub fn remove(&self) -> Result<(), EmbeddedError> {
        fs::remove_dir_all(&self.base).map_err(EmbeddedError::folder(&self.base))?;
        if self.socket.starts_with(&self.base) {
            return Ok(());
        }
        fs::remove_dir_all(&self.socket).map_err(EmbeddedError::folder(&self.socket))
    }
}

/// Lets only the server's user in.
pub(super) fn give(folder: &Path, identity: Option<Identity>) -> Result<(), EmbeddedError> {
    if let Some(Identity { uid, gid }) = identity {
        chown(folder, Some(uid), Some(gid)).map_err(EmbeddedError::folder(folder))?;
    }
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
        .map_err(EmbeddedError::folder(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_near_the_data_unless_its_path_is_too_long() {
        assert!(Folders::of(Path::new("/var/lib/baton")).socket.starts_with("/var/lib/baton"));
        let long = PathBuf::from(format!("/var/lib/{}", "x".repeat(90)));
        let folders = Folders::of(&long);
        assert!(!folders.socket.starts_with(&long));
        assert!(folders.socket.join(SOCKET).as_os_str().len() <= LONGEST_SOCKET);
        assert_eq!(folders.socket, Folders::of(&long).socket);
    }

    #[test]
    fn a_socket_folder_that_others_can_enter_is_refused() {
        let base = tempfile::tempdir().unwrap();
        let folders = Folders::of(base.path());
        fs::create_dir(&folders.socket).unwrap();
        fs::set_permissions(&folders.socket, fs::Permissions::from_mode(0o755)).unwrap();
        assert!(matches!(folders.prepare(None), Err(EmbeddedError::NotOurs { .. })));
    }
}
