//! Where agents for somebody at the command line work: folders of a repository that stay among the temporary files.
//!
//! Such a folder holds what a later command on the same repository has use for: the copy of its commits, what
//! set-ups brought, and, where a command was killed, what its agents were at. One command has it at a time; another
//! one beside it gets another.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Write},
    os::unix::{
        ffi::OsStrExt,
        fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::model::{AgentId, Role, Sha};

/// How many commands work on one repository at the same time, at most.
const MOST: u32 = 32;
/// The folder of requests that are under way.
const BEGUN: &str = "begun";

/// A folder that this command has, as long as this lives.
pub(super) struct Quarters {
    folder: PathBuf,
    /// The kernel lets go of it when the process dies, however it dies.
    _lock: File,
}

/// A request that an agent is at, as it is written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Begun {
    /// Its agent, by whose number its workspace is found.
    pub agent: AgentId,
    /// What the agent is.
    pub role: Role,
    /// What was asked for.
    pub text: String,
    /// The commit that the agent began with.
    pub base: Sha,
}

impl Quarters {
    /// Takes a folder for a repository: one that a killed command left something in before all others.
    ///
    /// # Errors
    /// When none can be had.
    pub(super) fn take(temporary: &Path, repository: &Path) -> io::Result<Self> {
        let all = temporary.join(format!("baton-runs-{}", rustix::process::geteuid().as_raw()));
        make_own(&all)?;
        let hash = Sha256::digest(repository.as_os_str().as_bytes());
        let name: String = hash[..6].iter().map(|byte| format!("{byte:02x}")).collect();
        let mut free = None;
        for number in 1..=MOST {
            let folder = all.join(format!("{name}-{number}"));
            if free.is_some() && !folder.is_dir() {
                break;
            }
            let Some(quarters) = Self::lock(folder)? else { continue };
            if !quarters.begun()?.is_empty() {
                return Ok(quarters);
            }
            free = free.or(Some(quarters));
        }
        free.ok_or_else(|| {
            io::Error::other(format!("{MOST} commands work on this repository already"))
        })
    }

    /// Takes one folder, unless another command has it.
    fn lock(folder: PathBuf) -> io::Result<Option<Self>> {
        make_own(&folder)?;
        make_own(&folder.join(BEGUN))?;
        let mut options = File::options();
        options.create(true).truncate(false).write(true).mode(0o600);
        let lock = options.open(folder.join("lock"))?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(Self { folder, _lock: lock })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// What was begun here and never struck off, in order.
    pub(super) fn begun(&self) -> io::Result<Vec<Begun>> {
        let mut all = Vec::new();
        for entry in fs::read_dir(self.folder.join(BEGUN))? {
            // One that was just being written has no agent yet.
            let read = fs::read(entry?.path())?;
            all.extend(serde_json::from_slice::<Begun>(&read).ok());
        }
        all.sort_by_key(|begun: &Begun| begun.agent);
        Ok(all)
    }

    /// Writes down what is about to begin.
    pub(super) fn begin(&self, begun: &Begun) -> io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(self.folder.join(BEGUN))?;
        file.write_all(&serde_json::to_vec(begun)?)?;
        file.as_file().sync_all()?;
        file.persist(self.place(begun.agent))?;
        Ok(())
    }

    /// Strikes off what came to its end.
    pub(super) fn strike(&self, agent: AgentId) -> io::Result<()> {
        fs::remove_file(self.place(agent))
    }

    fn place(&self, agent: AgentId) -> PathBuf {
        self.folder.join(BEGUN).join(format!("{agent}.json"))
    }
}

/// Makes a folder that agents' account can pass and only this one can write; the folder above may be everybody's.
fn make_own(folder: &Path) -> io::Result<()> {
    match fs::DirBuilder::new().mode(0o711).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let seen = fs::symlink_metadata(folder)?;
    let is_own = seen.is_dir() && seen.uid() == rustix::process::geteuid().as_raw();
    if is_own && seen.mode() & 0o022 == 0 {
        return Ok(());
    }
    let what = format!("{} is somebody else's: take it away, or set TMPDIR", folder.display());
    Err(io::Error::other(what))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn begun(agent: i64) -> Begun {
        let base = Sha::new("a".repeat(40)).unwrap();
        Begun { agent: AgentId(agent), role: Role::Generic, text: "Do it".to_owned(), base }
    }

    #[test]
    fn commands_at_once_have_folders_of_their_own_and_later_ones_the_first() {
        let temporary = tempfile::tempdir().unwrap();
        let take =
            |repository: &str| Quarters::take(temporary.path(), Path::new(repository)).unwrap();
        let first = take("/a");
        let beside = take("/a");
        assert_ne!(first.folder(), beside.folder());
        assert_ne!(first.folder(), take("/b").folder());
        let place = first.folder().to_owned();
        drop((first, beside));
        assert_eq!(take("/a").folder(), place);
        let own = place.parent().unwrap();
        assert_eq!(fs::read_dir(own).unwrap().count(), 3, "two of one repository, one of another");
    }

    #[test]
    fn what_was_begun_and_not_ended_is_found_by_the_next_command_before_anything_else() {
        let temporary = tempfile::tempdir().unwrap();
        let take = || Quarters::take(temporary.path(), Path::new("/a")).unwrap();
        let (first, second) = (take(), take());
        second.begin(&begun(2)).unwrap();
        second.begin(&begun(1)).unwrap();
        second.begin(&begun(3)).unwrap();
        second.strike(AgentId(3)).unwrap();
        let place = second.folder().to_owned();
        drop((first, second));
        let next = take();
        assert_eq!((next.folder(), next.begun().unwrap()), (&*place, vec![begun(1), begun(2)]));
    }

    #[test]
    fn a_folder_that_others_can_write_is_not_used() {
        let temporary = tempfile::tempdir().unwrap();
        drop(Quarters::take(temporary.path(), Path::new("/a")).unwrap());
        let own = fs::read_dir(temporary.path()).unwrap().next().unwrap().unwrap().path();
        fs::set_permissions(&own, fs::Permissions::from_mode(0o777)).unwrap();
        let refused = Quarters::take(temporary.path(), Path::new("/a")).err().unwrap();
        assert!(refused.to_string().contains("somebody else's"), "{refused}");
    }
}
