//! How soon an agent can begin in a repository of 20,000 files: laid over a checkout that is there, against
//! a worktree that git checks out, in turns within one run.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use baton::{
    agent::try_layers,
    model::{RepositoryId, Sha},
    sandbox::{self, Bubblewrap, Mount, Overlay, Owner, Sandbox, Spec},
    workspace::{Account, Checkout, Identity, Settings, Workspace, WorkspaceKey, Workspaces},
};

const FOLDERS: usize = 200;
const FILES: usize = 100;
const ROUNDS: usize = 7;
const REPOSITORY: RepositoryId = RepositoryId(1);

fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "user.name=a", "-c", "user.email=a@example.test", "-c", "gc.auto=0"])
        .args(arguments)
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .expect("git runs");
    assert!(output.status.success(), "git {arguments:?}: {output:?}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// A repository of many small files; gives its newest commit.
fn repository(folder: &Path) -> Sha {
    fs::create_dir(folder).expect("a folder");
    git(folder, &["init", "--quiet"]);
    for outer in 0..FOLDERS {
        let inner = folder.join(format!("d{outer}"));
        fs::create_dir(&inner).expect("a folder");
        for file in 0..FILES {
            let text = format!("file {file} of {outer}\n").repeat(40);
            fs::write(inner.join(format!("f{file}")), text).expect("a file");
        }
    }
    git(folder, &["add", "."]);
    git(folder, &["commit", "--quiet", "-m", "many"]);
    Sha::new(git(folder, &["rev-parse", "HEAD"])).expect("a commit")
}

fn bubblewrap(folder: &Path) -> std::sync::Arc<dyn Sandbox> {
    let settings = sandbox::Settings {
        program: "bwrap".into(),
        bridge: env!("CARGO_BIN_EXE_baton").into(),
        state: folder.join("sandbox"),
        owner: Owner::default(),
        nested: false,
    };
    std::sync::Arc::new(Bubblewrap::new(settings).expect("a sandbox"))
}

/// Starts a command in the workspace and waits for its end; it looks at a file and lists a folder.
async fn first_look(sandbox: &dyn Sandbox, workspace: &Workspace, script: &str) {
    let mut spec = Spec::new(["sh", "-ec", script].map(str::to_owned).to_vec());
    spec.env = vec![("PATH".into(), "/usr/bin:/bin".into()), ("HOME".into(), "/tmp".into())];
    spec.workdir = workspace.tree.clone();
    let mount = |it: baton::workspace::Mount| Mount {
        host: it.host,
        inside: it.inside,
        writable: it.writable,
    };
    spec.mounts = workspace.mounts().into_iter().map(mount).collect();
    let laid = workspace.overlay.clone().into_iter();
    let overlay = |it: baton::workspace::Overlay| Overlay {
        lower: it.lower,
        upper: it.upper,
        work: it.work,
        at: it.at,
    };
    spec.overlays = laid.map(overlay).collect();
    let taken = sandbox.start(spec).await.expect("a sandbox").finish(1 << 20).await;
    assert!(taken.exit.is_success(), "{}", String::from_utf8_lossy(&taken.stderr));
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

#[tokio::main]
async fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o711)).expect("a mode");
    let person: PathBuf = folder.path().join("person");
    let base = repository(&person);
    let Owner { uid, gid } = Owner::default();
    let account = rustix::process::geteuid().is_root().then_some(Account { uid, gid });
    let workspaces = Workspaces::new(Settings::new(folder.path().join("data"), account));
    let workspaces = workspaces.expect("a data folder");
    let url = person.display().to_string();
    workspaces.refresh(REPOSITORY, &url, None).await.expect("a mirror");
    let sandbox = bubblewrap(folder.path());
    try_layers(&sandbox, &workspaces).await.expect("overlays can be mounted here");
    let identity = Identity { name: "b".into(), email: "b@example.test".into() };
    let checkout = Checkout { repository: REPOSITORY, base: base.clone(), branch: None, identity };
    let key = |name: &str| WorkspaceKey::new(name).expect("a key");
    let begun = Instant::now();
    workspaces.prepare(&key("first"), &checkout).await.expect("a workspace");
    let making = begun.elapsed();

    // The same folder without a trial: its workspaces are checked out in full.
    let in_full = Workspaces::new(Settings::new(folder.path().join("data"), account));
    let in_full = in_full.expect("a data folder");
    let full = in_full.prepare(&key("full"), &checkout).await.expect("a workspace");

    const LOOK: &str = "test -s d7/f7; ls d9 > /dev/null";
    let (mut plain, mut made, mut look, mut first) = (vec![], vec![], vec![], vec![]);
    let mut status = vec![];
    for round in 0..ROUNDS {
        let begun = Instant::now();
        let tree = folder.path().join(format!("plain-{round}")).display().to_string();
        git(&person, &["worktree", "add", "--quiet", "--detach", &tree, base.as_str()]);
        plain.push(begun.elapsed());
        let begun = Instant::now();
        first_look(&*sandbox, &full, LOOK).await;
        look.push(begun.elapsed());
        let begun = Instant::now();
        let name = key(&format!("agent-{round}"));
        let workspace = workspaces.prepare(&name, &checkout).await.expect("a workspace");
        made.push(begun.elapsed());
        let begun = Instant::now();
        first_look(&*sandbox, &workspace, LOOK).await;
        first.push(begun.elapsed());
        let begun = Instant::now();
        first_look(&*sandbox, &workspace, "test -z \"$(git status --porcelain)\"").await;
        status.push(begun.elapsed());
    }
    let [plain, made, look, first, status] = [plain, made, look, first, status].map(median);
    // Every sandbox takes its time to start; what laying costs is what this one takes longer.
    let ready = made + first.saturating_sub(look);
    let line = |what: &str, time: Duration| {
        let part = time.as_secs_f64() / plain.as_secs_f64();
        println!("{what:<44} {:>8.1} ms  {part:.3} ×", time.as_secs_f64() * 1e3);
    };
    println!("{} files, median of {ROUNDS} rounds in turns", FOLDERS * FILES);
    line("git worktree add", plain);
    line("first workspace of a commit", making);
    line("workspace laid over it", made);
    line("a program looks in, checked out in full", look);
    line("a program looks in, laid over", first);
    line("ready: laid, and what looking in takes more", ready);
    line("first git status, with its sandbox", status);
    assert!(ready * 10 <= plain, "a workspace takes more than a tenth of a worktree's time");
}
