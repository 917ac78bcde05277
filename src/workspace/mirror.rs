//! Keeping mirrors equal to their remotes.

use std::{fs, path::Path};

use secrecy::SecretString;

use super::{
    WorkspaceError, Workspaces,
    git::{Git, REMOTE, complaint},
};
use crate::model::{RepositoryId, Sha};

/// What is mirrored: branches and the heads of pull requests, forks' included. Commits of agents are
/// under `refs/baton/`, where nothing prunes.
const MIRRORED: [&str; 2] = ["+refs/heads/*:refs/heads/*", "+refs/pull/*/head:refs/pull/*/head"];

/// Files above this size are fetched for the commits that are checked out, and not for all of history,
/// where the remote can leave them out (GitHub can).
const LARGE: &str = "--filter=blob:limit=2m";

impl Workspaces {
    /// Makes a mirror equal to its remote, creating it first where it is not there.
    ///
    /// One at a time per mirror: across tasks by a lock in memory, across processes by a lock on a
    /// file, which the kernel lets go when its holder dies.
    ///
    /// # Errors
    /// [`WorkspaceError::Remote`] to try again later, [`WorkspaceError::Denied`] not to.
    pub async fn refresh(
        &self,
        repository: RepositoryId,
        url: &str,
        token: Option<&SecretString>,
    ) -> Result<(), WorkspaceError> {
        let lock = self.lock(repository);
        let _in_process = lock.lock().await;
        let mirror = self.mirror_folder(repository);
        let _on_machine = lock_file(&mirror.with_extension("lock")).await?;
        self.create(&mirror).await?;
        let fetch = Git::new(&self.settings, &mirror, "fetch")
            .args(["--quiet", "--prune", "--no-tags", "--no-write-fetch-head"])
            .args(["--no-recurse-submodules", "--no-auto-maintenance", LARGE, "--", REMOTE])
            .args(MIRRORED)
            .remote(url)
            .token(token);
        self.reach(fetch, None).await
    }

    /// Fetches the large files of a commit that the mirror does not hold yet, so that it can be checked out.
    /// Whoever checks it out finds whether the commit itself is there.
    ///
    /// # Errors
    /// [`WorkspaceError::Remote`] to try again later, [`WorkspaceError::Denied`] not to.
    pub async fn complete(
        &self,
        repository: RepositoryId,
        sha: &Sha,
        url: &str,
        token: Option<&SecretString>,
    ) -> Result<(), WorkspaceError> {
        let (mirror, commit) = (self.mirror_folder(repository), sha.clone());
        let here = self.read(repository, move |mirror| mirror.require(&commit)).await;
        if matches!(here, Err(WorkspaceError::Missing(_))) {
            return Ok(());
        }
        let listed = Git::new(&self.settings, &mirror, "rev-list")
            .args(["--objects", "--no-walk", "--missing=print", sha.as_str()])
            .run()
            .await?;
        let missing: String = listed
            .lines()
            .filter_map(|line| line.strip_prefix('?'))
            .flat_map(|id| [id, "\n"])
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let lock = self.lock(repository);
        let _in_process = lock.lock().await;
        let _on_machine = lock_file(&mirror.with_extension("lock")).await?;
        let fetch = Git::new(&self.settings, &mirror, "fetch")
            .args(["--quiet", "--no-tags", "--no-write-fetch-head", "--filter=blob:none"])
            .args(["--no-recurse-submodules", "--no-auto-maintenance", "--stdin", "--", REMOTE])
            .piped()
            .remote(url)
            .token(token);
        self.reach(fetch, Some(missing)).await
    }

    /// Runs a fetch to its end and says what its failure means.
    async fn reach(&self, fetch: Git, input: Option<String>) -> Result<(), WorkspaceError> {
        let Some(output) = fetch.output_of(input, self.settings.remote_timeout).await? else {
            return Err(WorkspaceError::Remote("it did not finish in time".to_owned()));
        };
        if output.status.success() {
            return Ok(());
        }
        let complaint = complaint(output.status, &output.stderr);
        Err(if is_denied(&complaint) {
            WorkspaceError::Denied(complaint)
        } else {
            WorkspaceError::Remote(complaint)
        })
    }

    /// Making a repository that is there already changes nothing, so a half-made one is completed.
    pub(super) async fn create(&self, mirror: &Path) -> Result<(), WorkspaceError> {
        if mirror.join("HEAD").is_file() {
            return Ok(());
        }
        fs::create_dir_all(mirror)?;
        // Readable for the agents' account; the folder above lets nobody else pass.
        Git::new(&self.settings, mirror, "init")
            .args(["--quiet", "--bare", "--template=", "--shared=0644", "."])
            .run()
            .await?;
        Ok(())
    }
}

/// Whether a remote's complaint is about the credential or the repository, so that no repetition helps.
///
/// The texts are those of git's HTTP transport (`http.c`, `remote-curl.c`) in the C locale.
pub(super) fn is_denied(complaint: &str) -> bool {
    [
        "Authentication failed",
        "error: 401",
        "error: 403",
        "error: 404",
        "not found",
        "not appear to be",
    ]
    .iter()
    .chain(&["could not read Username", "does not exist"])
    .any(|words| complaint.contains(words))
}

/// Waits for the file's lock on a thread of its own; it is let go when the file is dropped.
async fn lock_file(path: &Path) -> std::io::Result<fs::File> {
    let path = path.to_owned();
    let locked = tokio::task::spawn_blocking(move || {
        let file = fs::File::create(path)?;
        file.lock()?;
        Ok(file)
    });
    locked.await.unwrap_or_else(|_| Err(std::io::Error::other("the wait for a lock was ended")))
}
