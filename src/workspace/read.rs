//! Reading a mirror with libgit2, which runs no program whatever a repository says.
//!
//! Only mirrors are read so, never what an agent could have written.

use std::{fmt::Write as _, path::Path};

use git2::{Delta, DiffFormat, DiffOptions, ErrorCode, FileMode, Oid, Patch, Repository};

use super::{WorkspaceError, Workspaces};
use crate::model::{BranchName, RepositoryId, Sha};

/// Files above this many bytes are compared as a whole and not by lines.
const MAX_TEXT: i64 = 4 << 20;

/// The files in which a repository instructs agents.
const INSTRUCTIONS: [&str; 2] = ["AGENTS.md", "CLAUDE.md"];

/// How much of such a file a prompt holds, in bytes.
const MAX_INSTRUCTIONS: usize = 32_000;

/// An open mirror. Its functions block; [`Workspaces::read`] runs them where that is fine.
pub struct Mirror {
    pub(super) repository: Repository,
}

/// One file that differs between two commits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// From the repository's root; bytes that are no text are replaced.
    pub path: String,
    /// git's mode before (`0o100644`, …), 0 where there was no file.
    pub old_mode: u32,
    /// git's mode after, 0 where there is no file.
    pub new_mode: u32,
    /// Bytes after.
    pub size: u64,
    /// Lines that came, 0 for what is not compared by lines.
    pub added: usize,
    /// Lines that went.
    pub removed: usize,
    /// Whether it is not compared by lines.
    pub is_binary: bool,
    /// Whether it is a submodule, before or after.
    pub is_submodule: bool,
    /// Whether it is a symbolic link afterwards.
    pub is_symlink: bool,
}

/// One commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Its id.
    pub sha: Sha,
    /// Its author's name, by the author's own word.
    pub author: String,
    /// Its author's address, by the author's own word.
    pub email: String,
    /// The whole message.
    pub message: String,
}

impl Workspaces {
    /// Opens a mirror on a thread that may block and reads from it.
    ///
    /// # Errors
    /// What the reader says; [`WorkspaceError::Read`] when there is no mirror.
    pub async fn read<T: Send + 'static>(
        &self,
        repository: RepositoryId,
        reader: impl FnOnce(&Mirror) -> Result<T, WorkspaceError> + Send + 'static,
    ) -> Result<T, WorkspaceError> {
        let path = self.mirror_folder(repository);
        let reading = tokio::task::spawn_blocking(move || {
            let repository = Repository::open_bare(path)?;
            reader(&Mirror { repository })
        });
        let ended = |_| WorkspaceError::Disk(std::io::Error::other("the reader was ended"));
        reading.await.map_err(ended)?
    }
}

impl Mirror {
    /// Fails when the commit is not there.
    ///
    /// # Errors
    /// [`WorkspaceError::Missing`].
    pub fn require(&self, sha: &Sha) -> Result<(), WorkspaceError> {
        self.commit(sha).map(|_| ())
    }

    /// Where a branch of the remote stood at the last refresh.
    ///
    /// # Errors
    /// When the mirror cannot be read.
    pub fn branch(&self, branch: &BranchName) -> Result<Option<Sha>, WorkspaceError> {
        match self.repository.refname_to_id(&format!("refs/heads/{branch}")) {
            Ok(id) => Ok(Some(sha(id)?)),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether `head` is `base` or has it among its ancestors.
    ///
    /// # Errors
    /// When one of them is not there.
    pub fn is_ancestor(&self, base: &Sha, head: &Sha) -> Result<bool, WorkspaceError> {
        self.require(base)?;
        self.require(head)?;
        Ok(base == head || self.repository.graph_descendant_of(oid(head)?, oid(base)?)?)
    }

    /// The commit that a merge was made on top of: what was there before.
    ///
    /// # Errors
    /// [`WorkspaceError::Missing`] when the mirror does not hold the commit.
    pub fn first_parent(&self, of: &Sha) -> Result<Option<Sha>, WorkspaceError> {
        match self.commit(of)?.parent_id(0) {
            Ok(id) => Ok(Some(sha(id)?)),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The best common ancestor, if they have one.
    ///
    /// # Errors
    /// When one of them is not there.
    pub fn merge_base(&self, one: &Sha, other: &Sha) -> Result<Option<Sha>, WorkspaceError> {
        self.require(one)?;
        self.require(other)?;
        match self.repository.merge_base(oid(one)?, oid(other)?) {
            Ok(id) => Ok(Some(sha(id)?)),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The commits that `head` has and `base` has not, newest first.
    ///
    /// # Errors
    /// When one of them is not there.
    pub fn commits(&self, base: &Sha, head: &Sha) -> Result<Vec<Commit>, WorkspaceError> {
        let commit = |id: Result<Oid, git2::Error>| {
            let commit = self.repository.find_commit(id?)?;
            let author = commit.author();
            Ok(Commit {
                sha: sha(commit.id())?,
                author: lossy(author.name_bytes()),
                email: lossy(author.email_bytes()),
                message: lossy(commit.message_bytes()),
            })
        };
        self.between(base, head)?.map(commit).collect()
    }

    /// The files that differ, by path. Renamed files are one that went and one that came.
    ///
    /// # Errors
    /// When one of the commits is not there.
    pub fn changes(&self, base: &Sha, head: &Sha) -> Result<Vec<Change>, WorkspaceError> {
        let diff = self.diff(base, head)?;
        (0..diff.deltas().len()).map(|index| self.change(&diff, index)).collect()
    }

    /// The difference as unified text; what is more than `max_bytes` is cut, and said to be.
    ///
    /// # Errors
    /// When one of the commits is not there.
    pub fn diff_text(
        &self,
        base: &Sha,
        head: &Sha,
        max_bytes: usize,
    ) -> Result<String, WorkspaceError> {
        let mut text = Vec::new();
        let printed = self.diff(base, head)?.print(DiffFormat::Patch, |_, _, line| {
            if matches!(line.origin(), '+' | '-' | ' ') {
                text.push(line.origin() as u8);
            }
            text.extend_from_slice(line.content());
            text.len() <= max_bytes
        });
        match printed {
            Err(error) if error.code() != ErrorCode::User => return Err(error.into()),
            Ok(()) | Err(_) => {}
        }
        let is_cut = text.len() > max_bytes;
        text.truncate(max_bytes);
        let mut text = lossy(&text);
        if is_cut {
            // Writing to a string cannot fail.
            let _ = write!(text, "\n… (the difference is cut after {max_bytes} bytes)\n");
        }
        Ok(text)
    }

    /// What a repository says to agents at a commit, in `AGENTS.md` and `CLAUDE.md`; a file above 32,000
    /// bytes is left out.
    ///
    /// # Errors
    /// When the commit is not there.
    pub fn instructions(&self, at: &Sha) -> Result<Option<String>, WorkspaceError> {
        let mut instructions = String::new();
        for name in INSTRUCTIONS {
            if let Some(text) = self.file(at, name, MAX_INSTRUCTIONS)? {
                instructions.push_str(&lossy(&text));
                instructions.push('\n');
            }
        }
        Ok((!instructions.is_empty()).then_some(instructions))
    }

    /// A file's content at a commit; `None` where there is no such file or it is above `max_bytes`.
    ///
    /// # Errors
    /// When the commit is not there.
    pub fn file(
        &self,
        at: &Sha,
        path: &str,
        max_bytes: usize,
    ) -> Result<Option<Vec<u8>>, WorkspaceError> {
        let entry = match self.commit(at)?.tree()?.get_path(Path::new(path)) {
            Ok(entry) => entry,
            Err(error) if error.code() == ErrorCode::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let is_file = matches!(entry.filemode(), 0o100_644 | 0o100_755);
        if !is_file || self.repository.odb()?.read_header(entry.id())?.0 > max_bytes {
            return Ok(None);
        }
        Ok(Some(self.repository.find_blob(entry.id())?.content().to_vec()))
    }

    pub(super) fn commit(&self, sha: &Sha) -> Result<git2::Commit<'_>, WorkspaceError> {
        self.repository.find_commit(oid(sha)?).map_err(|_| WorkspaceError::Missing(sha.clone()))
    }

    pub(super) fn between(
        &self,
        base: &Sha,
        head: &Sha,
    ) -> Result<git2::Revwalk<'_>, WorkspaceError> {
        self.require(base)?;
        self.require(head)?;
        let mut walk = self.repository.revwalk()?;
        walk.set_sorting(git2::Sort::TOPOLOGICAL)?;
        walk.push(oid(head)?)?;
        walk.hide(oid(base)?)?;
        Ok(walk)
    }

    fn diff(&self, base: &Sha, head: &Sha) -> Result<git2::Diff<'_>, WorkspaceError> {
        let (old, new) = (self.commit(base)?.tree()?, self.commit(head)?.tree()?);
        let options = &mut diff_options();
        Ok(self.repository.diff_tree_to_tree(Some(&old), Some(&new), Some(options))?)
    }

    fn change(&self, diff: &git2::Diff<'_>, index: usize) -> Result<Change, WorkspaceError> {
        let gone = || WorkspaceError::Disk(std::io::Error::other("a difference has vanished"));
        let patch = Patch::from_diff(diff, index)?;
        let delta = diff.get_delta(index).ok_or_else(gone)?;
        let (old, new) = (delta.old_file(), delta.new_file());
        // Without a patch it is binary; with one libgit2 has looked at the content.
        let is_binary = patch.as_ref().is_none_or(|patch| patch.delta().flags().is_binary());
        let (_, added, removed) = patch.map_or(Ok((0, 0, 0)), |patch| patch.line_stats())?;
        let path =
            if delta.status() == Delta::Deleted { old.path_bytes() } else { new.path_bytes() };
        Ok(Change {
            path: lossy(path.unwrap_or_default()),
            old_mode: old.mode().into(),
            new_mode: new.mode().into(),
            size: self.size(&new)?,
            added,
            removed,
            is_binary,
            is_submodule: [old.mode(), new.mode()].contains(&FileMode::Commit),
            is_symlink: new.mode() == FileMode::Link,
        })
    }

    /// Bytes of a file's content, without reading it.
    pub(super) fn size(&self, file: &git2::DiffFile<'_>) -> Result<u64, WorkspaceError> {
        if file.id().is_zero() || file.mode() == FileMode::Commit {
            return Ok(0);
        }
        Ok(self.repository.odb()?.read_header(file.id())?.0 as u64)
    }
}

pub(super) fn diff_options() -> DiffOptions {
    let mut options = DiffOptions::new();
    options.include_typechange(true).max_size(MAX_TEXT);
    options
}

pub(super) fn oid(sha: &Sha) -> Result<Oid, git2::Error> {
    Oid::from_str(sha.as_str())
}

pub(super) fn sha(id: Oid) -> Result<Sha, WorkspaceError> {
    Sha::new(id.to_string()).map_err(|error| std::io::Error::other(error).into())
}

pub(super) fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
