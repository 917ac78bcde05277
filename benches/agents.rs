//! Figures of running agents: how soon a worktree is ready, how fast a provider's lines are read, what an idle
//! one costs.
//!
//! `cargo bench --bench agents`. Each figure is the median of several rounds; the worktree is paired with
//! plain `git worktree add` on the same mirror, in turn.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use baton::{
    agent::{Assignment, Note, Order, Patience, Programs, Rendered, Runtime, Wires},
    clock::Clock,
    logs::{LineStore, LogLine, LogSettings, LogWriter, Logs, Redactor, Stored},
    model::{AgentId, RepositoryId, Role, SessionId, Sha},
    provider::{Launch, by_name},
    sandbox::{self, Bubblewrap, Host, Owner, Sandbox},
    workspace::{Account, Checkout, Identity, Settings, WorkspaceKey, Workspaces},
};

use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
};

const FILES: usize = 25_000;
const ROUNDS: usize = 5;

fn main() {
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    worktrees(folder.path());
    lines();
    idle(folder.path());
}

fn git(at: &Path, arguments: &[&str]) -> String {
    let out = Command::new("git")
        .arg("-C")
        .arg(at)
        .args(arguments)
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .envs([("GIT_AUTHOR_NAME", "b"), ("GIT_AUTHOR_EMAIL", "b@localhost")])
        .envs([("GIT_COMMITTER_NAME", "b"), ("GIT_COMMITTER_EMAIL", "b@localhost")])
        .output()
        .expect("git runs");
    assert!(out.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).trim().to_owned()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn worktrees(folder: &Path) {
    let source = folder.join("source");
    fs::create_dir(&source).expect("a fresh folder");
    git(&source, &["init", "-q", "-b", "main"]);
    for index in 0..FILES {
        let place = source.join(format!("d{:03}", index % 250));
        fs::create_dir_all(&place).expect("a fresh folder");
        fs::write(place.join(format!("f{index}.txt")), format!("{index}\n").repeat(40))
            .expect("a small file");
    }
    git(&source, &["add", "--all"]);
    git(&source, &["commit", "-q", "-m", "files"]);
    let head = Sha::new(git(&source, &["rev-parse", "HEAD"])).expect("git prints a commit");
    let runtime = tokio::runtime::Runtime::new().expect("threads");
    let workspaces = Workspaces::new(Settings::new(folder.join("data"), None)).expect("folders");
    let repository = RepositoryId(1);
    let url = format!("file://{}", source.display());
    runtime.block_on(workspaces.refresh(repository, &url, None)).expect("a mirror");
    let (mut ours, mut plain) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let key = WorkspaceKey::new(&format!("bench-{round}")).expect("a key");
        let identity = Identity { name: "b".to_owned(), email: "b@localhost".to_owned() };
        let checkout = Checkout { repository, base: head.clone(), branch: None, identity };
        let begun = Instant::now();
        runtime.block_on(workspaces.prepare(&key, &checkout)).expect("a workspace");
        ours.push(begun.elapsed());
        let tree = folder.join(format!("plain-{round}"));
        let begun = Instant::now();
        git(
            &source,
            &["worktree", "add", "-q", "--detach", &tree.display().to_string(), head.as_str()],
        );
        plain.push(begun.elapsed());
    }
    println!(
        "checked out in full, {FILES} files: {:?}; plain git worktree add: {:?} (medians of {ROUNDS}, in turn)",
        median(ours),
        median(plain)
    );
}

/// The lines of every captured run of the pinned program, many times over.
fn lines() {
    let captures = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/captures");
    let files = fs::read_dir(captures).expect("the captures are there");
    let named = files.filter_map(|entry| Some(entry.ok()?.path()));
    let texts: Vec<String> = named
        .filter(|path| {
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("claude_"))
        })
        .filter_map(|path| fs::read_to_string(path).ok())
        .collect();
    let lines: Vec<&str> = texts.iter().flat_map(|text| text.lines()).collect();
    let mut rates = Vec::new();
    for _ in 0..ROUNDS {
        let mut provider = by_name("claude").expect("it is built in").begin(launch());
        let begun = Instant::now();
        let mut read = 0_u64;
        while begun.elapsed() < Duration::from_secs(1) {
            for line in &lines {
                std::hint::black_box(provider.line(line.as_bytes()));
                read += 1;
            }
        }
        let micros = begun.elapsed().as_secs_f64() * 1e6;
        rates.push(Duration::from_nanos((micros * 1000.0 / read.max(1) as f64) as u64));
    }
    println!("protocol line read: {:?} each (median of {ROUNDS})", median(rates));
}

/// Agents that were started and say nothing.
const IDLE: i64 = 100;

/// What each idle agent costs: Baton itself, the bridges where they stay, and bubblewrap's own processes. Not
/// its program.
fn idle(folder: &Path) {
    let runtime = tokio::runtime::Runtime::new().expect("threads");
    let bare = Arc::new(Host::new(BRIDGE.into(), Owner::default()));
    runtime.block_on(idle_in("the bare machine", bare, &place(folder, "bare")));
    let settings = sandbox::Settings {
        program: "bwrap".into(),
        bridge: BRIDGE.into(),
        state: place(folder, "bubblewrap").join("sandbox"),
        owner: Owner::default(),
        nested: false,
    };
    let bubblewrap = Arc::new(Bubblewrap::new(settings).expect("a folder"));
    match runtime.block_on(bubblewrap.self_test()) {
        Ok(()) => {
            runtime.block_on(idle_in("bubblewrap", bubblewrap, &place(folder, "bubblewrap")));
        }
        Err(error) => println!("idle agents in bubblewrap: not measured, {error}"),
    }
}

/// Baton's own program.
const BRIDGE: &str = env!("CARGO_BIN_EXE_baton");

/// A folder that every account may pass.
fn place(folder: &Path, name: &str) -> PathBuf {
    let place = folder.join(name);
    fs::create_dir_all(&place).expect("a folder");
    for path in [folder, &place] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o711)).expect("it is ours");
    }
    place
}

async fn idle_in(kind: &str, sandbox: Arc<dyn Sandbox>, folder: &Path) {
    let source = folder.join("small");
    fs::create_dir(&source).expect("a fresh folder");
    git(&source, &["init", "-q", "-b", "main"]);
    fs::write(source.join("a"), "a\n").expect("a small file");
    git(&source, &["add", "--all"]);
    git(&source, &["commit", "-q", "-m", "a"]);
    let head = Sha::new(git(&source, &["rev-parse", "HEAD"])).expect("git prints a commit");
    let root = rustix::process::geteuid().is_root();
    let account = root.then(|| Account { uid: Owner::default().uid, gid: Owner::default().gid });
    let workspaces = Workspaces::new(Settings::new(folder.join("idle"), account)).expect("folders");
    let url = format!("file://{}", source.display());
    workspaces.refresh(RepositoryId(2), &url, None).await.expect("a mirror");
    let agents = Arc::new(Runtime::new(
        sandbox,
        workspaces,
        Programs { command: vec!["sleep".into(), "600".into()], ..Programs::default() },
        folder.join("gateway.sock"),
        None,
        Box::new(|| Clock::system().now()),
        Box::new(|_| None),
    ));
    let store = Arc::new(Nowhere);
    let redactor = Redactor::new(["a-secret-of-the-usual-length"]);
    let logs = Logs::start(store, redactor, Clock::system(), LogSettings::default());
    // The first ones also start threads and fill caches.
    let warm = start(&agents, &logs, &head, 0..10).await;
    let before = own_memory();
    let started = start(&agents, &logs, &head, 10..10 + IDLE).await;
    let after = own_memory();
    let each = after.saturating_sub(before) / IDLE.unsigned_abs();
    let all = (started.len() + warm.len()) as u64;
    let mut beside = std::collections::BTreeMap::<String, u64>::new();
    for pid in below(std::process::id()) {
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        *beside.entry(name.trim().to_owned()).or_default() += memory_of(pid);
    }
    let of = |name: &str| beside.get(name).copied().unwrap_or(0) / all;
    let (bridge, bubblewrap) = (of("baton"), of("bwrap"));
    println!(
        "an idle agent in {kind}: {each} KiB of Baton's own memory, {bridge} KiB of bridges, {bubblewrap} KiB of \
         bubblewrap (each of {IDLE} at once)"
    );
    drop((warm, started));
}

/// All processes below one.
fn below(first: u32) -> Vec<u32> {
    let mut found = Vec::new();
    let mut left = vec![first];
    while let Some(pid) = left.pop() {
        let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
        let lists =
            threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
        let children: Vec<u32> = lists
            .flat_map(|list| list.split_whitespace().map(str::parse).collect::<Vec<_>>())
            .filter_map(Result::ok)
            .collect();
        found.extend(&children);
        left.extend(children);
    }
    found
}

/// A process's share of memory that is backed by no file, in KiB: what several have in common is counted once.
fn memory_of(pid: u32) -> u64 {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss_Anon:")).unwrap_or("0 kB");
    line.trim().trim_end_matches(" kB").parse().unwrap_or(0)
}

/// An agent's life and its log, as the pipeline holds them. Ended when it is dropped.
struct Started {
    _orders: mpsc::Sender<Order>,
    _log: LogWriter,
    _playing: JoinSet<()>,
}

async fn start(
    agents: &Arc<Runtime>,
    logs: &Logs,
    head: &Sha,
    ids: std::ops::Range<i64>,
) -> Vec<Started> {
    let mut all = Vec::new();
    for id in ids {
        let (notes, mut heard) = mpsc::channel(1024);
        let (orders, wanted) = mpsc::channel(16);
        let (agents, assignment) = (Arc::clone(agents), assignment(id, head));
        let (up, is_up) = oneshot::channel();
        let mut playing = JoinSet::new();
        playing.spawn(async move {
            let _ = agents.play(&assignment, Wires { notes, orders: wanted }).await;
        });
        playing.spawn(async move {
            let mut up = Some(up);
            while let Some(note) = heard.recv().await {
                if let (Note::Started { .. }, Some(up)) = (note, up.take()) {
                    let _ = up.send(());
                }
            }
        });
        is_up.await.expect("the agent starts");
        let log = logs.open(AgentId(id));
        all.push(Started { _orders: orders, _log: log, _playing: playing });
    }
    all
}

fn assignment(id: i64, head: &Sha) -> Assignment {
    let hour = Duration::from_secs(3600);
    Assignment {
        agent: AgentId(id),
        role: Role::Reviewer,
        provider: "command".to_owned(),
        model: "claude-sonnet-4-5".to_owned(),
        session: SessionId(uuid::Uuid::from_u128(id.unsigned_abs().into())),
        resume: None,
        rendered: Rendered {
            system: String::new(),
            prompt: "wait".to_owned(),
            schema: serde_json::json!({}),
            tools: Vec::new(),
            baton: Vec::new(),
            minutes: 60,
            silence_minutes: 60,
            max_turns: 1,
            effort: None,
            without: Vec::new(),
            web: false,
            hash: String::new(),
        },
        repository: RepositoryId(2),
        base: head.clone(),
        supplies: None,
        token: "token".into(),
        patience: Patience { total: hour, silence: hour, linger: hour },
        identity: Identity { name: "b".to_owned(), email: "b@localhost".to_owned() },
        trailers: Vec::new(),
        protected: Vec::new(),
        lines_before: None,
    }
}

/// This process's own memory that is backed by no file, in KiB.
fn own_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("Linux 4.5");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// Lines that nobody keeps.
struct Nowhere;

impl LineStore for Nowhere {
    fn insert_batch<'a>(&'a self, _: &'a [LogLine]) -> Stored<'a> {
        Box::pin(async { Ok(()) })
    }
}

fn launch() -> Launch {
    Launch {
        role: Role::Reviewer,
        model: "claude-sonnet-4-5".to_owned(),
        effort: None,
        system: String::new(),
        prompt: String::new(),
        schema: None,
        tools: Vec::new(),
        web: false,
        protected: baton::model::Protected::default(),
        tool_server: None,
        session: SessionId(uuid::Uuid::nil()),
        resume: false,
        gateway_url: "http://127.0.0.1:4000".to_owned(),
        token: "token".into(),
        workdir: "/".into(),
        config_dir: "/".into(),
        home: "/".into(),
        scratch: "/".into(),
        search_path: String::new(),
        max_turns: None,
    }
}
