//! How work on repositories fails; a variant is what the caller can do about it.

use std::io;

use crate::model::Sha;

/// Why a mirror or a workspace could not be had.
#[derive(Debug, thiserror::Error)]
pub enum WorkspaceError {
    /// The remote could not be reached or did not answer in time: again later.
    #[error("reach the remote: {0}")]
    Remote(String),
    /// The remote refused the credential or does not know the repository: a person has to act.
    #[error("read the remote: {0}")]
    Denied(String),
    /// The mirror does not hold this commit: refresh it, or it is gone for good.
    #[error("find commit {0}")]
    Missing(Sha),
    /// What the agent gave back is no valid history on top of its base. Never again as it is.
    #[error("take over the agent's commits: {0}")]
    Hostile(String),
    /// What the agent gave back is larger than allowed, or took too long.
    #[error("take over the agent's commits: {0}")]
    TooLarge(String),
    /// The sandbox in which the commits should have been packed failed.
    #[error("pack the agent's commits: {0}")]
    Inside(String),
    /// A glob among the rules is none.
    #[error("read the protected paths: {0}")]
    Rules(String),
    /// The git program failed in a way that has no better name.
    #[error("run git {command}: {complaint}")]
    Git {
        /// Its first word.
        command: String,
        /// The end of what it said.
        complaint: String,
    },
    /// A mirror could not be read.
    #[error("read the mirror: {0}")]
    Read(#[from] git2::Error),
    /// The disk failed, or the git program is missing.
    #[error("use the data folder: {0}")]
    Disk(#[from] io::Error),
}

/// Why a push did not happen.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// The remote refused, in its own words: again is of no use.
    #[error("push: refused: {0}")]
    Refused(String),
    /// The branch is not where it was expected: look again before deciding.
    #[error("push: the branch has moved")]
    Moved,
    /// The remote was not reached or did not finish: the same push may be tried again.
    #[error("push: {0}")]
    Transport(String),
}
