//! Taking an agent's commits over: a pack out of the sandbox, checked before the mirror sees it.
//!
//! Nothing the agent can write is opened on the host: planted alternates, a replaced `.git` or a FIFO
//! for an object do their harm inside. What comes out is a stream of bytes, and git's own receiver of
//! hostile packs (`index-pack --strict --fsck-objects`) reads it, with limits on size and time.

use std::{
    fs,
    future::Future,
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    pin::Pin,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    process::Command,
};

use super::{
    Mirror, Workspace, WorkspaceError, WorkspaceKey, Workspaces,
    git::{Git, Group, complaint},
};
use crate::model::{RepositoryId, Sha};

/// A boxed future, so that [`Inside`] can be an object.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Runs a command in a sandbox that shows a workspace's mounts and has no network.
pub trait Inside: Send + Sync {
    /// Starts the command in the workspace's tree, with `PATH` and `HOME` for an environment and an
    /// empty input.
    ///
    /// # Errors
    /// When no sandbox could be started.
    fn run(&self, workspace: &Workspace, argv: Vec<String>) -> BoxFuture<'_, io::Result<Stream>>;
}

/// A command at work in a sandbox. Dropping it has to end the sandbox.
pub struct Stream {
    /// What it prints.
    pub stdout: Box<dyn AsyncRead + Send + Unpin>,
    /// Its end: nothing, or what it complained of when it failed. It is awaited while the output is
    /// read, so it may read the complaints.
    pub ended: BoxFuture<'static, Result<(), String>>,
}

/// What to do with changes that the agent did not commit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Import {
    /// The message under which they are committed, by the agent's identity; none leaves them behind.
    pub commit_leftovers: Option<String>,
}

/// Commits that are in the mirror now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// The agent's last commit, or the base when there is none.
    pub head: Sha,
    /// How many commits are on top of the base.
    pub commits: usize,
    /// The mirror's reference to the head.
    pub reference: String,
}

/// Where the mirror has what was imported of a workspace.
fn reference_of(key: &WorkspaceKey) -> String {
    format!("refs/baton/agents/{}", key.as_str())
}

/// Runs inside. Everything it reads is the agent's, so nothing it prints is trusted.
const PACK: &str = r#"set -e
if [ -n "$2" ] && [ -n "$(git status --porcelain)" ]; then
  git add --all >&2
  git commit --quiet --no-verify --message "$2" >&2
fi
head=$(git rev-parse --verify 'HEAD^{commit}')
echo "$head"
printf '%s\n^%s\n' "$head" "$1" | git pack-objects -q --revs --thin --delta-base-offset --stdout
"#;

impl Workspaces {
    /// Brings the agent's commits into the mirror, under `refs/baton/agents/<key>`.
    ///
    /// # Errors
    /// [`WorkspaceError::Hostile`] for what is no valid history on top of the base,
    /// [`WorkspaceError::TooLarge`] past the limits of size and time, and
    /// [`WorkspaceError::Inside`] when the command in the sandbox failed. The mirror is then as before.
    pub async fn import(
        &self,
        workspace: &Workspace,
        inside: &dyn Inside,
        import: &Import,
    ) -> Result<Imported, WorkspaceError> {
        let limit = self.settings.import_timeout;
        let taken = tokio::time::timeout(limit, self.take(workspace, inside, import)).await;
        let too_long = |_| WorkspaceError::TooLarge(format!("it took more than {limit:?}"));
        let (head, incoming) = taken.map_err(too_long)??;
        let reference = reference_of(&workspace.key);
        let (base, pack) = (workspace.base.clone(), incoming.0.clone());
        let imported = self.read(workspace.repository, move |mirror| {
            let commits = mirror.judge(&pack, &base, &head)?;
            mirror.adopt(&pack, &head, &reference)?;
            Ok(Imported { head, commits, reference })
        });
        imported.await
    }

    /// The commit that an import of this workspace has left in the mirror, if one has.
    ///
    /// # Errors
    /// [`WorkspaceError::Read`] when there is no mirror.
    pub async fn imported(
        &self,
        repository: RepositoryId,
        key: &WorkspaceKey,
    ) -> Result<Option<Sha>, WorkspaceError> {
        let reference = reference_of(key);
        let reading = self.read(repository, move |mirror| {
            let found = mirror.repository.find_reference(&reference).ok();
            found.and_then(|found| found.target()).map(super::read::sha).transpose()
        });
        reading.await
    }

    /// Forgets that commit, which has another name by now or is not wanted.
    ///
    /// # Errors
    /// When the mirror cannot be written.
    pub async fn forget_import(
        &self,
        repository: RepositoryId,
        key: &WorkspaceKey,
    ) -> Result<(), WorkspaceError> {
        let reference = reference_of(key);
        let forgetting = self.read(repository, move |mirror| {
            match mirror.repository.find_reference(&reference) {
                Ok(mut found) => Ok(found.delete()?),
                Err(_) => Ok(()),
            }
        });
        forgetting.await
    }

    /// Gets the pack out of the sandbox and through `index-pack`, into a folder of its own.
    async fn take(
        &self,
        workspace: &Workspace,
        inside: &dyn Inside,
        import: &Import,
    ) -> Result<(Sha, Incoming), WorkspaceError> {
        let message = import.commit_leftovers.clone().unwrap_or_default();
        let base = workspace.base.to_string();
        let argv = ["sh", "-c", PACK, "sh", &base, &message].map(str::to_owned).to_vec();
        let failed = |error: io::Error| WorkspaceError::Inside(error.to_string());
        let Stream { mut stdout, ended } = inside.run(workspace, argv).await.map_err(failed)?;
        let mirror = self.mirror_folder(workspace.repository);
        let incoming = Incoming::new(&mirror)?;
        let index = self.index_pack(&mirror, &incoming.0);
        let reading = async {
            let head = read_head(&mut stdout).await;
            if head.as_ref().is_some_and(|head| *head != workspace.base) {
                receive(index, &mut stdout, self.settings.max_pack_bytes).await?;
            }
            Ok::<_, WorkspaceError>(head)
        };
        // The first that goes wrong says why: a refused pack breaks the pipe of the command inside.
        tokio::pin!(reading, ended);
        let (head, has_ended) = tokio::select! {
            head = &mut reading => (head, false),
            end = &mut ended => {
                end.map_err(WorkspaceError::Inside)?;
                (reading.await, true)
            }
        };
        let broke_off = match &head {
            Ok(head) => head.is_none(),
            Err(error) => error.to_string().contains("early EOF"),
        };
        if broke_off && !has_ended {
            ended.await.map_err(WorkspaceError::Inside)?;
        }
        let nothing = || WorkspaceError::Hostile("no commit was named".to_owned());
        Ok((head?.ok_or_else(nothing)?, incoming))
    }

    fn index_pack(&self, mirror: &Path, incoming: &Path) -> Command {
        Git::new(&self.settings, mirror, "index-pack")
            .args(["--stdin", "--fix-thin", "--strict", "--fsck-objects", "--threads=1"])
            .args([format!("--max-input-size={}", self.settings.max_pack_bytes)])
            .env("GIT_DIR", mirror)
            .env("GIT_OBJECT_DIRECTORY", incoming)
            .env("GIT_ALTERNATE_OBJECT_DIRECTORIES", mirror.join("objects"))
            .piped()
            .into_command()
    }
}

/// The first line, if it is a commit's id.
async fn read_head(stdout: &mut (dyn AsyncRead + Send + Unpin)) -> Option<Sha> {
    let mut line = [0; 41];
    stdout.read_exact(&mut line).await.ok()?;
    let id = line.strip_suffix(b"\n")?;
    Sha::new(std::str::from_utf8(id).ok()?).ok()
}

/// Feeds the pack to `index-pack`.
async fn receive(
    mut index: Command,
    stdout: &mut (dyn AsyncRead + Send + Unpin),
    limit: u64,
) -> Result<(), WorkspaceError> {
    let mut child = index.spawn()?;
    let group = Group(child.id());
    let mut stdin = child.stdin.take().ok_or_else(|| io::Error::other("git has no input"))?;
    let mut pack = stdout.take(limit + 1);
    let feeding = async {
        // git stops reading when it refuses: its own words count, not the broken pipe.
        let fed = tokio::io::copy(&mut pack, &mut stdin).await;
        let _ = stdin.shutdown().await;
        drop(stdin);
        fed.unwrap_or(0)
    };
    let (fed, output) = tokio::join!(feeding, child.wait_with_output());
    let output = output?;
    group.forget();
    if output.status.success() && fed <= limit {
        return Ok(());
    }
    let complaint = complaint(output.status, &output.stderr);
    if fed > limit || complaint.contains("maximum allowed size") {
        return Err(WorkspaceError::TooLarge(format!("the pack has more than {limit} bytes")));
    }
    Err(WorkspaceError::Hostile(complaint))
}

/// A folder for objects that are not the mirror's yet; gone when it is dropped.
struct Incoming(PathBuf);

impl Incoming {
    fn new(mirror: &Path) -> io::Result<Self> {
        let folder = mirror.join("incoming").join(uuid::Uuid::new_v4().simple().to_string());
        fs::create_dir_all(folder.join("pack"))?;
        Ok(Self(folder))
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Mirror {
    /// Checks that the head is a commit on top of the base; counts the commits between.
    ///
    /// `index-pack --strict` has seen that every object's links lead to an object of the right kind.
    fn judge(&self, incoming: &Path, base: &Sha, head: &Sha) -> Result<usize, WorkspaceError> {
        let path = incoming.to_str().ok_or_else(|| io::Error::other("the path is no text"))?;
        self.repository.odb()?.add_disk_alternate(path)?;
        if base == head {
            return Ok(0);
        }
        let hostile = |what: &str| WorkspaceError::Hostile(what.to_owned());
        self.require(head).map_err(|_| hostile("the head is no commit of the pack"))?;
        if !self.is_ancestor(base, head)? {
            return Err(hostile("the head does not descend from the base"));
        }
        Ok(self.between(base, head)?.count())
    }

    /// Moves the checked pack into the mirror, its index last, and sets the reference.
    fn adopt(&self, incoming: &Path, head: &Sha, reference: &str) -> Result<(), WorkspaceError> {
        let packs = self.repository.path().join("objects/pack");
        fs::create_dir_all(&packs)?;
        let mut files: Vec<PathBuf> = Vec::new();
        for entry in fs::read_dir(incoming.join("pack"))? {
            files.push(entry?.path());
        }
        files.sort_by_key(|file| file.extension().is_some_and(|end| end == "idx"));
        for file in files {
            fs::set_permissions(&file, fs::Permissions::from_mode(0o444))?;
            if let Some(name) = file.file_name() {
                fs::rename(&file, packs.join(name))?;
            }
        }
        self.repository.reference(reference, super::read::oid(head)?, true, "import")?;
        Ok(())
    }
}
