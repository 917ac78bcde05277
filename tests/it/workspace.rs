//! Mirrors, workspaces, what comes out of them, and what is let out of the house.

#![expect(clippy::unwrap_used, reason = "a test whose set-up fails has failed")]

/// Runs each test both ways: what holds for one holds for the other.
macro_rules! both_ways {
    ($($name:ident)*) => {$(
        mod $name {
            use super::Way;

            #[tokio::test]
            async fn laid_over_a_base() {
                super::$name(Way::Laid).await;
            }

            #[tokio::test]
            async fn checked_out() {
                super::$name(Way::CheckedOut).await;
            }
        }
    )*};
}

mod bases;
mod changes;
mod large;
mod mirrors;
mod pushing;
mod quarantine;

use std::{
    fs, io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use baton::{
    model::{BranchName, Refusal, RepositoryId, Sha},
    sandbox::{self, Bubblewrap, Owner, Sandbox, Spec},
    workspace::{
        Account, BoxFuture, Checkout, Identity, Import, Imported, Inside, Push, PushError, Rules,
        Settings, Stream, Workspace, WorkspaceError, WorkspaceKey, Workspaces,
    },
};
use secrecy::SecretString;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::absent::{Lack, skip};

const REPOSITORY: RepositoryId = RepositoryId(17);
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// A data folder and a remote with one commit, in a folder that sandboxes can pass.
struct House {
    folder: TempDir,
    workspaces: Workspaces,
    base: Sha,
}

/// Runs git as a person at a terminal would, in a folder of the test's own.
fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "user.name=Ada", "-c", "user.email=ada@example.test"])
        .args(["-c", "protocol.file.allow=always", "-c", "init.defaultBranch=main"])
        .args(arguments)
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .output()
        .unwrap();
    assert!(output.status.success(), "git {arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn sha(text: &str) -> Sha {
    Sha::new(text).unwrap()
}

fn key(text: &str) -> WorkspaceKey {
    WorkspaceKey::new(text).unwrap()
}

fn owner() -> Option<Account> {
    let Owner { uid, gid } = Owner::default();
    rustix::process::geteuid().is_root().then_some(Account { uid, gid })
}

async fn house() -> House {
    house_with(|_| ()).await
}

async fn house_with(adjust: impl FnOnce(&mut Settings)) -> House {
    house_of(Way::CheckedOut, adjust).await
}

/// How workspaces are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Over a base that they share.
    Laid,
    /// One by one, as where no overlay can be mounted.
    CheckedOut,
}

async fn house_of(way: Way, adjust: impl FnOnce(&mut Settings)) -> House {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o711)).unwrap();
    let person = folder.path().join("person");
    fs::create_dir(&person).unwrap();
    git(&person, &["init", "--quiet"]);
    fs::write(person.join("README.md"), "one\ntwo\nthree\n").unwrap();
    git(&person, &["add", "."]);
    git(&person, &["commit", "--quiet", "-m", "first"]);
    git(folder.path(), &["clone", "--quiet", "--bare", "person", "remote.git"]);
    let mut settings = Settings::new(folder.path().join("data"), owner());
    adjust(&mut settings);
    let workspaces = Workspaces::new(settings).unwrap();
    let base = sha(&git(&person, &["rev-parse", "HEAD"]));
    let house = House { folder, workspaces, base };
    house.refresh().await;
    if way == Way::Laid
        && let Some(inside) = house.sandbox()
    {
        house.workspaces.try_layers(&inside).await.unwrap();
    }
    house
}

/// Where the files lie that a workspace began with.
fn files(workspace: &Workspace) -> PathBuf {
    workspace.overlay.as_ref().map_or(&workspace.tree, |overlay| &overlay.lower).clone()
}

/// Where the files lie that its agent wrote.
fn written(workspace: &Workspace) -> PathBuf {
    workspace.overlay.as_ref().map_or(&workspace.tree, |overlay| &overlay.upper).clone()
}

impl House {
    fn remote(&self) -> String {
        self.folder.path().join("remote.git").display().to_string()
    }

    fn mirror(&self) -> PathBuf {
        self.folder.path().join("data/mirrors/17.git")
    }

    async fn refresh(&self) {
        self.workspaces.refresh(REPOSITORY, &self.remote(), None).await.unwrap();
    }

    /// A person commits to a branch of the remote.
    fn person_commits(&self, branch: &str, file: &str, text: &str) -> Sha {
        let person = self.folder.path().join("person");
        git(&person, &["checkout", "--quiet", "-B", branch, self.base.as_str()]);
        fs::write(person.join(file), text).unwrap();
        git(&person, &["add", "."]);
        git(&person, &["commit", "--quiet", "-m", "by a person"]);
        git(&person, &["push", "--quiet", "--force", &self.remote(), branch]);
        sha(&git(&person, &["rev-parse", "HEAD"]))
    }

    fn identity(&self) -> Identity {
        Identity { name: "Baton \"the\\bot\" B".into(), email: "1+b[bot]@example.test".into() }
    }

    async fn prepare(&self, name: &str) -> Workspace {
        let identity = self.identity();
        let branch = Some(BranchName::new("baton/17-fix").unwrap());
        let checkout =
            Checkout { repository: REPOSITORY, base: self.base.clone(), branch, identity };
        self.workspaces.prepare(&key(name), &checkout).await.unwrap()
    }

    fn sandbox(&self) -> Option<InSandbox> {
        if Command::new("bwrap").arg("--version").output().is_err() {
            skip(Lack::Bubblewrap, "bubblewrap is not installed");
            return None;
        }
        let settings = sandbox::Settings {
            program: "bwrap".into(),
            bridge: env!("CARGO_BIN_EXE_baton").into(),
            state: self.folder.path().join("sandbox"),
            owner: Owner::default(),
            nested: false,
        };
        Some(InSandbox(Bubblewrap::new(settings).unwrap()))
    }

    async fn import(&self, workspace: &Workspace, inside: &dyn Inside) -> Outcome {
        self.workspaces.import(workspace, inside, &Import::default()).await
    }

    /// The mirror is whole, and no refused pack or half-taken object lies about.
    fn assert_clean(&self) {
        let fsck = git(&self.mirror(), &["fsck", "--full", "--strict"]);
        assert_eq!(fsck, "");
        let incoming = fs::read_dir(self.mirror().join("incoming")).map_or(0, Iterator::count);
        assert_eq!(incoming, 0, "something is left of an import");
    }

    fn packs(&self) -> usize {
        fs::read_dir(self.mirror().join("objects/pack")).map_or(0, Iterator::count)
    }
}

type Outcome = Result<Imported, WorkspaceError>;

/// Joins the two seams as `agent` does.
struct InSandbox(Bubblewrap);

impl InSandbox {
    fn spec(&self, workspace: &Workspace, argv: Vec<String>) -> Spec {
        let mount = |mount: baton::workspace::Mount| sandbox::Mount {
            host: mount.host,
            inside: mount.inside,
            writable: mount.writable,
        };
        let overlay = |laid: baton::workspace::Overlay| sandbox::Overlay {
            lower: laid.lower,
            upper: laid.upper,
            work: laid.work,
            at: laid.at,
        };
        Spec {
            env: vec![("PATH".into(), PATH.into()), ("HOME".into(), sandbox::HOME.into())],
            workdir: workspace.tree.clone(),
            mounts: workspace.mounts().into_iter().map(mount).collect(),
            overlays: workspace.overlay.clone().into_iter().map(overlay).collect(),
            ..Spec::new(argv)
        }
    }

    /// What an agent does with its shell.
    async fn agent(&self, workspace: &Workspace, script: &str) -> String {
        let argv = ["sh", "-ec", script].map(str::to_owned).to_vec();
        let taken = self.0.start(self.spec(workspace, argv)).await.unwrap().finish(1 << 20).await;
        assert!(taken.exit.is_success(), "{}", String::from_utf8_lossy(&taken.stderr));
        String::from_utf8(taken.stdout).unwrap().trim().to_owned()
    }
}

impl Inside for InSandbox {
    fn run(&self, workspace: &Workspace, argv: Vec<String>) -> BoxFuture<'_, io::Result<Stream>> {
        let spec = self.spec(workspace, argv);
        Box::pin(async move {
            let mut running = self.0.start(spec).await.map_err(io::Error::other)?;
            let stdout = running.stdout.take().unwrap();
            let ended = Box::pin(async move {
                let taken = running.finish(4096).await;
                let complaint = String::from_utf8_lossy(&taken.stderr).into_owned();
                if taken.exit.is_success() { Ok(()) } else { Err(complaint) }
            });
            Ok(Stream { stdout, ended })
        })
    }
}

/// A sandbox whose output an attacker has written.
struct Printing(Vec<u8>);

impl Inside for Printing {
    fn run(&self, _: &Workspace, _: Vec<String>) -> BoxFuture<'_, io::Result<Stream>> {
        let stdout = Box::new(io::Cursor::new(self.0.clone()));
        Box::pin(async { Ok(Stream { stdout, ended: Box::pin(async { Ok(()) }) }) })
    }
}

#[tokio::test]
async fn a_refresh_follows_the_remote_prunes_and_keeps_batons_own_references() {
    let house = house().await;
    let side = house.person_commits("side", "side.txt", "x");
    git(Path::new(&house.remote()), &["update-ref", "refs/pull/5/head", side.as_str()]);
    git(&house.mirror(), &["update-ref", "refs/baton/agents/1", house.base.as_str()]);
    // Two at once wait for each other.
    tokio::join!(house.refresh(), house.refresh());
    let references = git(&house.mirror(), &["for-each-ref", "--format=%(refname)"]);
    let expected =
        ["refs/baton/agents/1", "refs/heads/main", "refs/heads/side", "refs/pull/5/head"];
    assert_eq!(references.lines().collect::<Vec<_>>(), expected);

    git(Path::new(&house.remote()), &["branch", "--quiet", "-D", "side"]);
    git(Path::new(&house.remote()), &["update-ref", "-d", "refs/pull/5/head"]);
    house.refresh().await;
    let references = git(&house.mirror(), &["for-each-ref", "--format=%(refname)"]);
    assert_eq!(references, "refs/baton/agents/1\nrefs/heads/main");
    let branch = BranchName::new("main").unwrap();
    let main = house.workspaces.read(REPOSITORY, move |mirror| mirror.branch(&branch)).await;
    assert_eq!(main.unwrap(), Some(house.base));
}

#[tokio::test]
async fn a_commit_that_the_mirror_lacks_is_missing() {
    let house = house().await;
    let identity = Identity { name: "b".into(), email: "b".into() };
    let base = sha(&"a".repeat(40));
    let checkout = Checkout { repository: REPOSITORY, base: base.clone(), branch: None, identity };
    let error = house.workspaces.prepare(&key("x"), &checkout).await.unwrap_err();
    assert!(matches!(error, WorkspaceError::Missing(missing) if missing == base));
}
