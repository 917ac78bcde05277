//! What can go wrong with the private server, by what a person can do about it.

use std::{io, path::PathBuf};

/// Why there is no private server.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// Postgres's server programs are not on this machine.
    #[error("no Postgres server programs were found; {hint}, or set DATABASE_URL")]
    NotInstalled {
        /// What to run here.
        hint: String,
    },
    /// The data was written by another major version than those that are installed.
    #[error(
        "the data in {} was written by Postgres {wanted}, which is not installed; {hint}, or move \
         the folder away to start anew",
        folder.display()
    )]
    OtherVersion {
        /// The data.
        folder: PathBuf,
        /// The version that wrote it.
        wanted: String,
        /// What to run here.
        hint: String,
    },
    /// The user that the server runs as cannot enter a folder above its data.
    #[error(
        "user id {uid}, which Postgres has to run as, cannot enter {}; choose a data folder \
         elsewhere, such as /var/lib/baton",
        folder.display()
    )]
    Unreachable {
        /// The folder that stands in the way.
        folder: PathBuf,
        /// The user.
        uid: u32,
    },
    /// A folder for the socket is there already and is somebody else's.
    #[error("{} is not the server's own private folder", folder.display())]
    NotOurs {
        /// The folder.
        folder: PathBuf,
    },
    /// A folder or file could not be made or read.
    #[error("{} could not be used", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A program could not be started or failed.
    #[error("{program} failed: {output}")]
    Program {
        /// Which.
        program: &'static str,
        /// What it printed last.
        output: String,
    },
    /// The server does not answer, or does not end.
    #[error("the private Postgres did not {what} in time; its log is {}", log.display())]
    Timeout {
        /// What it should have done.
        what: &'static str,
        /// Where it says why.
        log: PathBuf,
    },
}

impl EmbeddedError {
    pub(super) fn folder(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Folder { path, source }
    }
}
