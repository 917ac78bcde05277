//! Figures of running agents: how soon a worktree is ready, how fast a provider's lines are read.
//!
//! `cargo bench --bench agents`. Each figure is the median of several rounds; the worktree is paired with
//! plain `git worktree add` on the same mirror, in turn.

use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use baton::{
    model::{RepositoryId, Role, SessionId, Sha},
    provider::{Launch, by_name},
    workspace::{Checkout, Identity, Settings, WorkspaceKey, Workspaces},
};

const FILES: usize = 25_000;
const ROUNDS: usize = 5;

fn main() {
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    worktrees(folder.path());
    lines();
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
        "worktree ready, {FILES} files: {:?}; plain git worktree add: {:?} (medians of {ROUNDS}, in turn)",
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

fn launch() -> Launch {
    Launch {
        role: Role::Reviewer,
        model: "claude-sonnet-4-5".to_owned(),
        system: String::new(),
        prompt: String::new(),
        schema: None,
        tools: Vec::new(),
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
