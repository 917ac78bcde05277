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
mod large;

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

both_ways! {
    what_an_agent_commits_and_leaves_uncommitted_comes_out_under_its_identity
    the_mirror_is_read_only_for_the_agent_and_a_workspace_belongs_to_it
    what_a_hostile_agent_plants_is_never_run_on_the_host
    another_repositorys_content_cannot_be_had_by_naming_it
    a_pipe_in_the_place_of_an_object_ends_in_time_and_leaves_no_process
    a_history_that_does_not_begin_at_the_base_is_refused
    preparing_again_starts_afresh_and_removing_leaves_nothing
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
            eprintln!("SKIPPED: bubblewrap is not installed, this test showed nothing");
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

async fn what_an_agent_commits_and_leaves_uncommitted_comes_out_under_its_identity(way: Way) {
    let house = house_of(way, |_| ()).await;
    let Some(inside) = house.sandbox() else { return };
    let workspace = house.prepare("agent-1").await;
    let printed = inside
        .agent(
            &workspace,
            "git branch --show-current; echo four >> README.md; git commit -qam 'Adds four'; \
             mkdir new; echo new > new/file; git stash -qu; git stash pop -q > /dev/null; git tag t; git status -s",
        )
        .await;
    assert_eq!(printed, "baton/17-fix\n?? new/");
    let import = Import { commit_leftovers: Some("Leftovers of 17".into()) };
    let imported = house.workspaces.import(&workspace, &inside, &import).await.unwrap();
    assert_eq!((imported.commits, imported.reference.as_str()), (2, "refs/baton/agents/agent-1"));
    let at = git(&house.mirror(), &["rev-parse", &imported.reference]);
    assert_eq!(at, imported.head.as_str());
    let (base, head) = (house.base.clone(), imported.head.clone());
    let commits = house.workspaces.read(REPOSITORY, move |mirror| mirror.commits(&base, &head));
    let commits = commits.await.unwrap();
    let messages: Vec<_> = commits.iter().map(|commit| commit.message.trim()).collect();
    assert_eq!(messages, ["Leftovers of 17", "Adds four"]);
    assert_eq!(commits[0].author, "Baton \"the\\bot\" B");
    assert_eq!(commits[1].email, "1+b[bot]@example.test");
    house.assert_clean();

    // Without anything new the base comes back, and the same again is fine.
    let untouched = house.prepare("agent-2").await;
    let imported = house.import(&untouched, &inside).await.unwrap();
    assert_eq!((imported.head, imported.commits), (house.base.clone(), 0));
    house.assert_clean();
}

async fn the_mirror_is_read_only_for_the_agent_and_a_workspace_belongs_to_it(way: Way) {
    let house = house_of(way, |_| ()).await;
    let Some(inside) = house.sandbox() else { return };
    let workspace = house.prepare("agent-1").await;
    if let Some(Account { uid, .. }) = owner() {
        assert_eq!(fs::metadata(files(&workspace).join("README.md")).unwrap().uid(), uid);
        assert_eq!(fs::metadata(house.mirror().join("objects")).unwrap().uid(), 0);
    }
    let script = format!(
        "touch {0}/objects/x 2>/dev/null && echo wrote; ls {0}; ls {1}; git gc -q; git log --oneline | wc -l",
        house.mirror().display(),
        house.mirror().parent().unwrap().display()
    );
    assert_eq!(inside.agent(&workspace, &script).await, "objects\n17.git\n1");
    house.assert_clean();
}

async fn what_a_hostile_agent_plants_is_never_run_on_the_host(way: Way) {
    let house = house_of(way, |_| ()).await;
    let Some(inside) = house.sandbox() else { return };
    let workspace = house.prepare("agent-1").await;
    // Visible on the host only: the planted program tells where it ran.
    let host_only = house.folder.path().join("host-only");
    fs::write(&host_only, "x").unwrap();
    let script = r#"
        quarantine=$(git rev-parse --git-common-dir)
        printf '#!/bin/sh\ntest -e HOST && touch "%s/ran-on-host"\ntouch "%s/ran"\nexit 1\n' \
            "$quarantine" "$quarantine" > "$quarantine/evil"
        chmod +x "$quarantine/evil"; mkdir -p "$quarantine/hooks"
        for hook in pre-commit post-checkout post-rewrite reference-transaction pre-push; do
          printf '#!/bin/sh\n%s/evil || true\n' "$quarantine" > "$quarantine/hooks/$hook"
          chmod +x "$quarantine/hooks/$hook"; done
        git config core.hooksPath "$quarantine/hooks"
        git config core.fsmonitor "$quarantine/evil"; git config core.pager "$quarantine/evil"
        git config filter.x.clean "$quarantine/evil"; git config filter.x.smudge "$quarantine/evil"
        git config diff.external "$quarantine/evil"; git config core.sshCommand "$quarantine/evil"
        echo '* filter=x diff=x' > .gitattributes
        ln -s /etc/shadow link; echo change > change; git add --all; git commit -qm 'evil' || true
        cp -r "$quarantine" own.git; rm .git; echo "gitdir: $PWD/own.git/worktrees/tree" > .git
    "#;
    let script = script.replace("HOST", &host_only.display().to_string());
    inside.agent(&workspace, &script).await;
    let imported = house.import(&workspace, &inside).await;
    assert!(workspace.quarantine.join("ran").exists(), "nothing was planted: the test is broken");

    // A second workspace of what it committed, a refresh and a push run nothing either.
    let imported = imported.unwrap();
    let identity = Identity { name: "b".into(), email: "b".into() };
    let base = imported.head.clone();
    let checkout = Checkout { repository: REPOSITORY, base, branch: None, identity };
    let next = house.workspaces.prepare(&key("next"), &checkout).await.unwrap();
    assert!(fs::symlink_metadata(files(&next).join("link")).unwrap().is_symlink());
    let push = house.push("evil", &imported.head, None);
    house.workspaces.push(&push, None).await.unwrap();
    house.refresh().await;
    house.workspaces.remove(&workspace.key).unwrap();
    for folder in ["data", "person", "remote.git"] {
        let found = Command::new("find")
            .arg(house.folder.path().join(folder))
            .args(["-name", "ran-on-host"])
            .output()
            .unwrap();
        assert!(found.stdout.is_empty(), "{found:?}");
    }
    house.assert_clean();
}

async fn another_repositorys_content_cannot_be_had_by_naming_it(way: Way) {
    let house = house_of(way, |_| ()).await;
    let Some(inside) = house.sandbox() else { return };
    let other = house.folder.path().join("data/mirrors/18.git");
    git(house.folder.path(), &["init", "--quiet", "--bare", "data/mirrors/18.git"]);
    fs::write(house.folder.path().join("secret"), "of another repository\n").unwrap();
    let secret = house.folder.path().join("secret");
    let blob = git(&other, &["hash-object", "-w", secret.to_str().unwrap()]);
    let workspace = house.prepare("agent-1").await;
    let plant = format!(
        "echo {}/objects >> $(git rev-parse --git-common-dir)/objects/info/alternates; \
         git update-index --add --cacheinfo 100644,{blob},stolen; \
         git commit-tree -m stolen -p HEAD $(git write-tree --missing-ok) > commit; \
         git update-ref HEAD $(cat commit); cat commit; rm commit",
        other.display()
    );
    let head = inside.agent(&workspace, &plant).await;
    let error = house.import(&workspace, &inside).await.unwrap_err();
    assert!(matches!(error, WorkspaceError::Inside(_)), "{error}");

    // The agent may as well pack by itself, and leave the missing content out.
    let pack = format!(
        "echo {head}; (echo {head}; git rev-parse {head}^{{tree}}) | git pack-objects -q --stdout"
    );
    let running = inside
        .0
        .start(inside.spec(&workspace, ["sh", "-c", &pack].map(str::to_owned).to_vec()))
        .await;
    let printed = running.unwrap().finish(1 << 20).await.stdout;
    assert!(printed.len() > 100);
    let error = house.import(&workspace, &Printing(printed)).await.unwrap_err();
    assert!(matches!(error, WorkspaceError::Hostile(_)), "{error}");
    let missing = house.workspaces.read(REPOSITORY, move |mirror| mirror.require(&sha(&head)));
    assert!(matches!(missing.await, Err(WorkspaceError::Missing(_))));
    house.assert_clean();
}

async fn a_pipe_in_the_place_of_an_object_ends_in_time_and_leaves_no_process(way: Way) {
    let house = house_of(way, |settings| settings.import_timeout = Duration::from_secs(2)).await;
    let Some(inside) = house.sandbox() else { return };
    let workspace = house.prepare("agent-1").await;
    inside
        .agent(
            &workspace,
            "echo x > x; git add x; git commit -qm x; cd $(git rev-parse --git-common-dir)/objects; \
             for object in ??/*; do rm -f $object; mkfifo $object; done",
        )
        .await;
    let error = house.import(&workspace, &inside).await.unwrap_err();
    assert!(matches!(error, WorkspaceError::TooLarge(_)), "{error}");
    let tree = workspace.tree.display().to_string();
    let start = Instant::now();
    while processes_that_name(&tree) > 0 {
        assert!(start.elapsed() < Duration::from_secs(30), "a process is left");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    house.workspaces.remove(&workspace.key).unwrap();
    house.assert_clean();
}

fn processes_that_name(text: &str) -> usize {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
    lines.filter(|line| String::from_utf8_lossy(line).contains(text)).count()
}

#[tokio::test]
async fn a_pack_that_is_too_large_or_broken_is_refused_and_leaves_nothing() {
    let house = house_with(|settings| settings.max_pack_bytes = 50_000).await;
    let Some(inside) = house.sandbox() else { return };
    let before = house.packs();
    let workspace = house.prepare("agent-1").await;
    inside
        .agent(&workspace, "head -c 200000 /dev/urandom > big; git add big; git commit -qm big")
        .await;
    let error = house.import(&workspace, &inside).await.unwrap_err();
    assert!(matches!(error, WorkspaceError::TooLarge(_)), "{error}");

    let line = |rest: &[u8]| [&[b'a'; 40][..], b"\n", rest].concat();
    for bytes in [line(b""), line(b"PACK nonsense"), b"no commit".to_vec(), vec![]] {
        let error = house.import(&workspace, &Printing(bytes)).await.unwrap_err();
        assert!(matches!(error, WorkspaceError::Hostile(_)), "{error}");
    }
    assert_eq!(house.packs(), before);
    house.assert_clean();
}

async fn a_history_that_does_not_begin_at_the_base_is_refused(way: Way) {
    let house = house_of(way, |_| ()).await;
    let Some(inside) = house.sandbox() else { return };
    let workspace = house.prepare("agent-1").await;
    inside.agent(&workspace, "git checkout -q --orphan new; git commit -qm new").await;
    let error = house.import(&workspace, &inside).await.unwrap_err();
    assert!(error.to_string().contains("does not descend"), "{error}");
    house.assert_clean();
}

async fn preparing_again_starts_afresh_and_removing_leaves_nothing(way: Way) {
    let house = house_of(way, |_| ()).await;
    let workspace = house.prepare("agent-1").await;
    fs::write(written(&workspace).join("old"), "x").unwrap();
    let closed = written(&workspace).join("closed/in");
    fs::create_dir_all(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
    let again = house.prepare("agent-1").await;
    assert_eq!(again, workspace);
    assert!(!written(&again).join("old").exists());
    house.prepare("agent-2").await;
    assert_eq!(house.workspaces.list().unwrap(), [key("agent-1"), key("agent-2")]);
    let base = house.base.clone();
    assert_eq!(
        house.workspaces.existing(&again.key, REPOSITORY, base.clone()),
        Some(again.clone())
    );
    for name in ["agent-1", "agent-2", "agent-1", "never-there"] {
        house.workspaces.remove(&key(name)).unwrap();
    }
    assert!(house.workspaces.list().unwrap().is_empty());
    assert_eq!(house.workspaces.existing(&again.key, REPOSITORY, base), None);
    house.workspaces.empty_trash().unwrap();
    let trash = fs::read_dir(house.folder.path().join("data/trash")).unwrap();
    assert_eq!(trash.count(), 0);
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

impl House {
    fn push(&self, branch: &str, sha: &Sha, expected: Option<&Sha>) -> Push {
        Push {
            repository: REPOSITORY,
            url: self.remote(),
            sha: sha.clone(),
            branch: BranchName::new(branch).unwrap(),
            expected: expected.cloned(),
        }
    }
}

#[tokio::test]
async fn a_push_creates_updates_repeats_and_respects_what_somebody_else_pushed() {
    let house = house().await;
    let one = house.person_commits("one", "file", "1");
    let two = house.person_commits("two", "file", "2");
    house.refresh().await;
    let workspaces = &house.workspaces;
    let created = workspaces.push(&house.push("b/x", &one, None), None).await.unwrap();
    assert!(!created.already);
    let repeated = workspaces.push(&house.push("b/x", &one, None), None).await.unwrap();
    assert!(repeated.already);
    let exists = workspaces.push(&house.push("b/x", &two, None), None).await;
    assert!(matches!(exists, Err(PushError::Moved)), "{exists:?}");
    // Neither commit descends from the other: the lease is what counts.
    workspaces.push(&house.push("b/x", &two, Some(&one)), None).await.unwrap();
    let moved = workspaces.push(&house.push("b/x", &one, Some(&house.base)), None).await;
    assert!(matches!(moved, Err(PushError::Moved)), "{moved:?}");
    let at = git(Path::new(&house.remote()), &["rev-parse", "refs/heads/b/x"]);
    assert_eq!(at, two.as_str());
}

#[tokio::test]
async fn a_refused_push_tells_the_remotes_reason_and_a_lost_remote_can_be_tried_again() {
    let house = house().await;
    let hook = Path::new(&house.remote()).join("hooks/pre-receive");
    fs::create_dir_all(hook.parent().unwrap()).unwrap();
    fs::write(&hook, "#!/bin/sh\necho 'no permission for workflows' >&2\nexit 1\n").unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    let refused = house.workspaces.push(&house.push("x", &house.base, None), None).await;
    let Err(PushError::Refused(reason)) = refused else { panic!("{refused:?}") };
    assert!(reason.contains("declined") && reason.contains("for workflows"), "{reason}");

    // A port that was just free answers nobody.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut push = house.push("x", &house.base, None);
    push.url = format!("http://127.0.0.1:{port}/a.git");
    let lost = house.workspaces.push(&push, None).await;
    assert!(matches!(lost, Err(PushError::Transport(_))), "{lost:?}");
    let lost = house.workspaces.refresh(REPOSITORY, &push.url, None).await;
    assert!(matches!(lost, Err(WorkspaceError::Remote(_))), "{lost:?}");
}

#[tokio::test]
async fn the_token_reaches_the_remote_and_is_on_no_command_line_and_no_disk() {
    let house = house().await;
    let token = "ghs_only-in-memory-7731";
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/a.git", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = vec![0; 4096];
        let length = stream.read(&mut request).await.unwrap();
        // While git waits for the answer, every command line of the machine is looked at.
        let seen = processes_that_name(token) + processes_that_name("x-access-token");
        let answer = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n";
        stream.write_all(answer).await.unwrap();
        (String::from_utf8_lossy(&request[..length]).into_owned(), seen)
    });
    let secret = SecretString::from(token);
    let denied = house.workspaces.refresh(REPOSITORY, &url, Some(&secret)).await;
    assert!(matches!(denied, Err(WorkspaceError::Denied(_))), "{denied:?}");
    let (request, seen) = server.await.unwrap();
    use base64::{Engine, engine::general_purpose::STANDARD};
    let basic = STANDARD.encode(format!("x-access-token:{token}"));
    assert!(request.contains(&format!("Authorization: Basic {basic}")), "{request}");
    assert_eq!(seen, 0, "a command line shows the token");
    for word in [token, &basic] {
        let folder = house.folder.path().join("data");
        let found = Command::new("grep").args(["-r", "-l", word]).arg(folder).output().unwrap();
        assert!(found.stdout.is_empty(), "{found:?}");
    }
}

/// Commits on top of the base, by a person on a side branch, each by a shell script.
async fn change(house: &House, scripts: &[&str]) -> Sha {
    let person = house.folder.path().join("person");
    git(&person, &["checkout", "--quiet", "-B", "change", house.base.as_str()]);
    for script in scripts {
        let status = Command::new("sh").args(["-ec", script]).current_dir(&person).status();
        assert!(status.unwrap().success(), "{script}");
        git(&person, &["add", "--all"]);
        git(&person, &["commit", "--quiet", "--allow-empty", "-m", "change"]);
    }
    git(&person, &["push", "--quiet", "--force", &house.remote(), "change"]);
    house.refresh().await;
    sha(&git(&person, &["rev-parse", "HEAD"]))
}

async fn refusal(house: &House, rules: &Rules, scripts: &[&str]) -> Option<Refusal> {
    let head = change(house, scripts).await;
    let (base, rules) = (house.base.clone(), rules.clone());
    let judged =
        house.workspaces.read(REPOSITORY, move |mirror| mirror.refusal(&base, &head, &rules));
    judged.await.unwrap()
}

#[tokio::test]
async fn a_change_is_refused_for_what_any_of_its_commits_does() {
    let house = house().await;
    let rules = Rules {
        protected: vec![".github/**".into(), "*.lock".into()],
        max_files: 3,
        max_bytes: 10_000,
        secrets: vec![SecretString::from("correct-horse-battery")],
    };
    let path = |path: &str| path.to_owned();
    let secret = |path: &str| Some(Refusal::Secret { path: path.to_owned() });
    let base64 = ["printf 'user:correct-horse-battery' | base64 > conf"];
    let token = [
        "printf 'gh''s_0123456789abcdefghijABCDEFGHIJ456789' > t; echo '* -diff' > .gitattributes",
    ];
    let cases: Vec<(&[&str], Option<Refusal>)> = vec![
        (&["echo x > x", "echo y > y"], None),
        (&["true"], Some(Refusal::Nothing)),
        (&["echo x > x", "rm x"], Some(Refusal::Nothing)),
        (
            &[
                "mkdir -p .github/workflows; echo x > .github/workflows/a.yml",
                "git rm -qr .github; echo y > y",
            ],
            Some(Refusal::Workflows(path(".github/workflows/a.yml"))),
        ),
        (&["mkdir .github; echo x > .github/a"], Some(Refusal::ProtectedPath(path(".github/a")))),
        (&["mkdir a; echo x > a/Cargo.LOCK"], Some(Refusal::ProtectedPath(path("a/Cargo.LOCK")))),
        (&["ln -s /etc/passwd link"], Some(Refusal::Symlink(path("link")))),
        (
            &[
                "git init -q sub; git -C sub -c user.name=a -c user.email=a commit -q --allow-empty -m x; git add sub 2>/dev/null",
            ],
            Some(Refusal::Submodule(path("sub"))),
        ),
        (&["rm -rf sub; echo x > .gitmodules"], Some(Refusal::Submodule(path(".gitmodules")))),
        (
            &["for n in 1 2 3 4; do echo $n > f$n; done"],
            Some(Refusal::TooLarge { what: path("4 files, at most 3 are allowed") }),
        ),
        (
            &["head -c 20000 /dev/zero > big", "rm big; echo y > y"],
            Some(Refusal::TooLarge { what: path("more than 10000 bytes of new contents") }),
        ),
        (&base64, secret("conf")),
        (&["echo correct-horse-battery > s", "rm s; echo y > y"], secret("s")),
        (&token, secret("t")),
        (&["echo x > correct-horse-battery"], secret("correct-horse-battery")),
    ];
    for (scripts, expected) in cases {
        assert_eq!(refusal(&house, &rules, scripts).await, expected, "{scripts:?}");
    }
}

#[tokio::test]
async fn a_change_is_read_file_by_file_and_as_text() {
    let house = house().await;
    let head = change(
        &house,
        &["echo four >> README.md; printf '\\000\\001' > bin; ln -s README.md link; \
           echo x > run; chmod +x run"],
    )
    .await;
    let base = house.base.clone();
    let read = house.workspaces.read(REPOSITORY, move |mirror| {
        assert!(mirror.is_ancestor(&base, &head)? && !mirror.is_ancestor(&head, &base)?);
        assert_eq!(mirror.merge_base(&base, &head)?.as_ref(), Some(&base));
        assert_eq!(mirror.file(&head, "run", 10)?.as_deref(), Some(&b"x\n"[..]));
        for absent in [("run", 1), ("link", 100), ("none", 100), ("", 100)] {
            assert_eq!(mirror.file(&head, absent.0, absent.1).ok().flatten(), None, "{absent:?}");
        }
        let changes = mirror.changes(&base, &head)?;
        let text = mirror.diff_text(&base, &head, 10_000)?;
        let cut = mirror.diff_text(&base, &head, 60)?;
        Ok((changes, text, cut))
    });
    let (changes, text, cut) = read.await.unwrap();
    let short: Vec<_> = changes
        .iter()
        .map(|change| {
            let kind = (change.is_binary, change.is_symlink, change.is_submodule);
            (change.path.as_str(), change.old_mode, change.new_mode, change.added, kind)
        })
        .collect();
    let plain = (false, false, false);
    assert_eq!(
        short,
        [
            ("README.md", 0o100_644, 0o100_644, 1, plain),
            ("bin", 0, 0o100_644, 0, (true, false, false)),
            ("link", 0, 0o120_000, 1, (false, true, false)),
            ("run", 0, 0o100_755, 1, plain),
        ]
    );
    assert_eq!(changes[0].size, 19);
    assert!(text.contains("@@ -1,3 +1,4 @@\n one\n two\n three\n+four\n"), "{text}");
    assert!(cut.ends_with("is cut after 60 bytes)\n"), "{cut}");
}

#[tokio::test]
async fn a_workspace_of_two_thousand_files_is_made() {
    let house = house().await;
    let many =
        "for d in $(seq 40); do mkdir d$d; for f in $(seq 50); do echo $d $f > d$d/f$f; done; done";
    let head = change(&house, &[many]).await;
    let start = Instant::now();
    let identity = Identity { name: "b".into(), email: "b".into() };
    let checkout = Checkout { repository: REPOSITORY, base: head, branch: None, identity };
    let workspace = house.workspaces.prepare(&key("many"), &checkout).await.unwrap();
    println!("2,000 files are ready after {:?}", start.elapsed());
    assert_eq!(fs::read_dir(workspace.tree.join("d40")).unwrap().count(), 50);
}
