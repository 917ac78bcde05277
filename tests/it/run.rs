//! `baton run`: what somebody gets who has a repository and a request, and no GitHub.

mod building;
mod killed;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::Arc,
};

use emulators::{
    models::{AGENT_PROGRAM, Anthropic, Brain, Crew, Hang, OpenAi, RecordedRequest, Settings},
    sample,
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{
    containers::{IMAGE, Podman},
    leftovers,
};

/// The key that the scripted model takes; agents never see it.
const KEY: &str = "the-operators-own-key";
/// What is asked for.
const REQUEST: &str = "Serve open ranges to the last byte";
const BRANCH: &str = "baton/serve-open-ranges-to-the";

/// Somebody's desk: a repository with the sample's program, and a model.
struct Desk {
    folder: TempDir,
    models: Anthropic,
    openai: OpenAi,
}

impl Desk {
    async fn with(brain: impl Brain + 'static) -> Self {
        let folder = tempfile::Builder::new().prefix("baton-desk-").tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o711)).unwrap();
        let brain: Arc<dyn Brain> = Arc::new(brain);
        let settings = || Settings::local(KEY, Arc::clone(&brain));
        let models = Anthropic::start(settings()).await.unwrap();
        let openai = OpenAi::start(settings()).await.unwrap();
        let desk = Self { folder, models, openai };
        fs::write(desk.path("agent.mjs"), AGENT_PROGRAM).unwrap();
        fs::set_permissions(desk.path("agent.mjs"), fs::Permissions::from_mode(0o644)).unwrap();
        let agent = desk.path("agent.mjs");
        let file = format!("[agents]\ncommand = [\"node\", \"{}\"]\n", agent.display());
        fs::write(desk.path("baton.toml"), file).unwrap();
        desk.fill();
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn repository(&self) -> PathBuf {
        self.path("files")
    }

    /// Makes the repository, with one change that is not committed.
    fn fill(&self) {
        for file in sample::files() {
            let path = self.repository().join(file.path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file.contents).unwrap();
        }
        self.git(&["init", "--quiet", "--initial-branch=main"]);
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message=Begin"]);
        fs::write(self.repository().join("notes.txt"), "not committed\n").unwrap();
    }

    /// What git prints in the repository.
    fn git(&self, arguments: &[&str]) -> String {
        let output = Command::new("git")
            .args(["-c", "user.name=mara", "-c", "user.email=mara@example.test"])
            .args(arguments)
            .current_dir(self.repository())
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .output()
            .unwrap();
        assert!(output.status.success(), "git {arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    /// Lets agents run in containers from now on.
    fn take_containers_of(&self, podman: &Podman) {
        let mut file = fs::read_to_string(self.path("baton.toml")).unwrap();
        let socket = podman.socket();
        file +=
            &format!("[sandbox]\nkind = \"container\"\nimage = \"{IMAGE}\"\nsocket = {socket:?}\n");
        fs::write(self.path("baton.toml"), file).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_baton"));
        command
            .arg("run")
            .args(arguments)
            .current_dir(self.repository().join("src"))
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("TMPDIR", self.folder.path())
            .env("BATON_CONFIG", self.path("baton.toml"))
            .env("BATON_PROVIDER", "command")
            .env("ANTHROPIC_BASE_URL", self.models.url())
            .env("ANTHROPIC_API_KEY", KEY)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// The same for somebody who has the real Codex program and a key of OpenAI's API alone.
    fn codex_command(&self, arguments: &[&str]) -> Command {
        let codex = baton::app::installed_codex().expect("npm ci installs the pinned program");
        let mut command = self.command(arguments);
        command
            .env("BATON_PROVIDER", "codex")
            .env("BATON_CODEX", codex)
            .env("OPENAI_BASE_URL", self.openai.url())
            .env("OPENAI_API_KEY", KEY)
            .env_remove("ANTHROPIC_API_KEY");
        command
    }

    /// What models were asked.
    fn asked(&self) -> Vec<RecordedRequest> {
        [self.models.requests(), self.openai.requests()].concat()
    }

    /// Runs it to its end, on a thread that may block.
    async fn run(&self, arguments: &[&str]) -> Ran {
        let mut command = self.command(arguments);
        let running = tokio::task::spawn_blocking(move || command.output().unwrap());
        Ran::of(running.await.unwrap())
    }

    /// What commands have under way in their folders, and sockets there.
    fn under_way(&self) -> Vec<String> {
        let inside = |path: &Path| fs::read_dir(path).into_iter().flatten().flatten();
        let all = inside(self.folder.path())
            .filter(|entry| entry.file_name().to_string_lossy().starts_with("baton-runs-"));
        let quarters = all.flat_map(|all| inside(&all.path()).collect::<Vec<_>>());
        let folders = ["begun", "workspaces", "sandbox/ports", "sandbox/lines"];
        let places = quarters.flat_map(|one| folders.map(|name| one.path().join(name)));
        let kept = places.flat_map(|place| inside(&place).collect::<Vec<_>>());
        kept.map(|entry| entry.path().display().to_string()).collect()
    }

    /// Nothing is left but what was there, the branches, and what serves the next command.
    async fn end(self) {
        let mut left = leftovers::of_processes(self.folder.path()).await;
        let entries = fs::read_dir(self.folder.path()).unwrap().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        left.extend(names.filter(|name| name.starts_with("baton-run-")));
        left.extend(self.under_way());
        assert!(left.is_empty(), "left behind: {left:#?}");
        self.models.shutdown().await;
        self.openai.shutdown().await;
    }
}

/// What came out.
struct Ran {
    code: Option<i32>,
    out: String,
    error: String,
}

impl Ran {
    fn of(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code(), out: text(&output.stdout), error: text(&output.stderr) }
    }

    fn rows(&self) -> Vec<Value> {
        self.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// The branch holds the program without the fault, on top of where the repository is.
fn is_fixed(desk: &Desk, branch: &str) {
    let source = desk.git(&["show", &format!("{branch}:src/range.mjs")]);
    assert!(source.contains("last === \"\" ? size :"), "{source}");
    assert_eq!(desk.git(&["rev-list", "--count", &format!("HEAD..{branch}")]), "1");
    assert_eq!(desk.git(&["rev-list", "--count", &format!("{branch}..HEAD")]), "0");
}

#[tokio::test]
async fn a_request_becomes_a_branch_and_nothing_else_changes() {
    let desk = Desk::with(Crew::new()).await;
    let before = (desk.git(&["rev-parse", "HEAD"]), desk.git(&["symbolic-ref", "HEAD"]));
    let ran = desk.run(&[REQUEST]).await;
    assert_eq!(ran.code, Some(0), "{}\n{}", ran.out, ran.error);
    is_fixed(&desk, BRANCH);
    assert_eq!((desk.git(&["rev-parse", "HEAD"]), desk.git(&["symbolic-ref", "HEAD"])), before);
    assert_eq!(desk.git(&["status", "--porcelain"]), "?? notes.txt");
    for said in [
        "may cost up to $5.00",
        "1 file(s) that are not committed",
        "Tests, the agent says: `node --test`",
        "git merge baton/serve-open-ranges-to-the",
        "spent",
    ] {
        assert!(ran.out.contains(said), "{said:?} is not in\n{}", ran.out);
    }
    assert!(!ran.out.contains(KEY) && !ran.error.contains(KEY));
    desk.end().await;
}

#[tokio::test]
async fn a_request_is_carried_out_by_the_real_claude_program() {
    carried_out_by_claude(Desk::with(Crew::new()).await, |_| {}).await;
}

#[tokio::test]
async fn a_request_is_carried_out_by_claude_with_the_token_of_a_subscription() {
    carried_out_by_claude(Desk::with(Crew::new()).await, with_a_token).await;
}

#[tokio::test]
async fn a_request_is_carried_out_by_the_real_claude_program_on_the_bare_machine() {
    carried_out_by_claude(Desk::with(Crew::new()).await, |command| {
        command.arg("--bare");
    })
    .await;
}

/// What `claude setup-token` gives in the place of a key.
fn with_a_token(command: &mut Command) {
    command.env_remove("ANTHROPIC_API_KEY").env("CLAUDE_CODE_OAUTH_TOKEN", KEY);
}

#[tokio::test]
async fn a_request_is_carried_out_by_the_real_claude_program_in_a_container() {
    let Some(podman) = Podman::start() else { return };
    let desk = Desk::with(Crew::new()).await;
    desk.take_containers_of(&podman);
    carried_out_by_claude(desk, |_| {}).await;
    assert_eq!(podman.containers(), [""; 0], "left behind");
}

/// The model is scripted: it has the program read, edit, test and commit.
async fn carried_out_by_claude(desk: Desk, adjust: impl FnOnce(&mut Command)) {
    let claude = baton::app::installed_claude().expect("npm ci installs the pinned program");
    let mut command = desk.command(&["--provider", "claude", REQUEST]);
    command.env("BATON_CLAUDE", claude);
    adjust(&mut command);
    let running = tokio::task::spawn_blocking(move || command.output().unwrap());
    let ran = Ran::of(running.await.unwrap());
    assert_eq!(ran.code, Some(0), "{}\n{}", ran.out, ran.error);
    is_fixed(&desk, BRANCH);
    desk.end().await;
}

#[tokio::test]
async fn a_request_is_carried_out_by_the_real_codex_program_with_a_key_of_its_own() {
    carried_out_by_codex(Desk::with(Crew::new()).await, &[REQUEST]).await;
}

#[tokio::test]
async fn a_request_is_carried_out_by_the_real_codex_program_on_the_bare_machine() {
    carried_out_by_codex(Desk::with(Crew::new()).await, &["--bare", REQUEST]).await;
}

#[tokio::test]
async fn a_request_is_carried_out_by_the_real_codex_program_in_a_container() {
    let Some(podman) = Podman::start() else { return };
    let desk = Desk::with(Crew::new()).await;
    desk.take_containers_of(&podman);
    carried_out_by_codex(desk, &[REQUEST]).await;
    assert_eq!(podman.containers(), [""; 0], "left behind");
}

async fn carried_out_by_codex(desk: Desk, arguments: &[&str]) {
    let mut command = desk.codex_command(arguments);
    let running = tokio::task::spawn_blocking(move || command.output().unwrap());
    let ran = Ran::of(running.await.unwrap());
    assert_eq!(ran.code, Some(0), "{}\n{}", ran.out, ran.error);
    assert!(ran.out.contains("codex with gpt-5.5"), "{}", ran.out);
    is_fixed(&desk, BRANCH);
    assert!(desk.models.requests().is_empty() && !desk.openai.requests().is_empty());
    desk.end().await;
}

#[tokio::test]
async fn requests_at_the_same_time_become_branches_of_their_own() {
    let desk = Desk::with(Crew::new()).await;
    let ran = desk.command_rows(&["--parallel", "2", "--json", REQUEST, REQUEST]).await;
    let mut branches: Vec<String> =
        ran.iter().map(|row| row["change"]["branch"].as_str().unwrap().to_owned()).collect();
    branches.sort();
    assert_eq!(branches, [BRANCH.to_owned(), format!("{BRANCH}-2")]);
    for row in &ran {
        assert_eq!(row["succeeded"], true);
        assert!(row["cost_micros"].as_i64().unwrap() > 0);
        is_fixed(&desk, row["change"]["branch"].as_str().unwrap());
    }
    desk.end().await;
}

impl Desk {
    /// Runs what has to succeed and gives its rows.
    async fn command_rows(&self, arguments: &[&str]) -> Vec<Value> {
        let ran = self.run(arguments).await;
        assert_eq!(ran.code, Some(0), "{}\n{}", ran.out, ran.error);
        ran.rows()
    }
}

#[tokio::test]
async fn a_branch_in_the_way_costs_no_work() {
    let desk = Desk::with(Crew::new()).await;
    desk.git(&["branch", "baton"]);
    let ran = desk.run(&[REQUEST]).await;
    assert_eq!(ran.code, Some(0), "{}\n{}", ran.out, ran.error);
    is_fixed(&desk, &BRANCH.replace('/', "-"));
    desk.end().await;
}

#[tokio::test]
async fn a_question_is_answered_with_its_evidence_and_leaves_no_branch() {
    let desk = Desk::with(Crew::new()).await;
    let ran = desk.run(&["--role", "analysis", "What becomes of an open range?"]).await;
    assert_eq!(ran.code, Some(0), "{}\n{}", ran.out, ran.error);
    assert!(ran.out.contains("An open range does not come out"), "{}", ran.out);
    assert!(ran.out.contains("src/range.mjs:"), "{}", ran.out);
    assert_eq!(desk.git(&["branch", "--format=%(refname:short)"]), "main");
    desk.end().await;
}

#[tokio::test]
async fn money_that_is_spent_ends_the_request_and_says_so() {
    let desk = Desk::with(Crew::new()).await;
    let ran = desk.run(&["--max-usd", "0.000001", REQUEST]).await;
    assert_eq!(ran.code, Some(1), "{}", ran.out);
    assert!(ran.out.contains("give more with --max-usd"), "{}", ran.out);
    desk.end().await;
}

#[tokio::test]
async fn an_interrupt_ends_the_agent_and_leaves_nothing() {
    let desk = Desk::with(Hang).await;
    let mut command = desk.command(&[REQUEST]);
    let child = command.spawn().unwrap();
    while desk.models.requests().is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let ran = tokio::task::spawn_blocking(move || Ran::of(ended(child))).await.unwrap();
    assert_eq!(ran.code, Some(1), "{}", ran.out);
    assert!(ran.out.contains("it was stopped"), "{}", ran.out);
    assert!(ran.error.contains("what is committed is kept"), "{}", ran.error);
    desk.end().await;
}

fn ended(child: Child) -> Output {
    child.wait_with_output().unwrap()
}

#[tokio::test]
async fn what_is_missing_is_named_before_anything_starts() {
    let desk = Desk::with(Crew::new()).await;
    let mut command = desk.command(&[REQUEST]);
    command.env_remove("ANTHROPIC_API_KEY");
    let ran = Ran::of(command.output().unwrap());
    assert_eq!(ran.code, Some(1));
    assert!(ran.error.contains("ANTHROPIC_API_KEY: missing"), "{}", ran.error);
    let mut command = desk.codex_command(&[REQUEST]);
    command.env_remove("OPENAI_API_KEY");
    let ran = Ran::of(command.output().unwrap());
    assert!(ran.error.contains("OPENAI_API_KEY: missing"), "{}", ran.error);
    let mut elsewhere = desk.command(&["--repo", "/usr/bin", REQUEST]);
    let ran = Ran::of(elsewhere.output().unwrap());
    assert!(ran.error.contains("looking for a repository at /usr/bin"), "{}", ran.error);
    assert!(desk.asked().is_empty());
    is_untouched(&desk.repository());
    desk.end().await;
}

fn is_untouched(repository: &Path) {
    assert!(repository.join("notes.txt").is_file());
}

/// `baton demo --live`: the whole job with somebody's own model, here the scripted one.
async fn the_demo_plays_live(command: impl FnOnce(&Desk) -> Command) {
    let desk = Desk::with(Crew::new()).await;
    let policy = "version: 1\nuntil: pr\ntest: node --test\n";
    fs::write(desk.repository().join(".github/baton.yml"), policy).unwrap();
    desk.git(&["commit", "--quiet", "--all", "--message=End with the merge"]);
    let before = desk.git(&["for-each-ref"]);
    let (title, body) = sample::issue();
    let command = command(&desk);
    let mut live = Command::new(command.get_program());
    live.args(["demo", "--live", "--repo"]).arg(desk.repository());
    live.args(["--issue", &format!("{title}\n{body}")]).env_clear().stdin(Stdio::null());
    live.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let ran = tokio::task::spawn_blocking(move || Ran::of(live.output().unwrap())).await.unwrap();
    assert_eq!(ran.code, Some(0), "{}\n{}", ran.out, ran.error);
    for said in ["LIVE: http://127.0.0.1", "may cost up to $5.00", "acme/files", "The task is done"]
    {
        assert!(ran.out.contains(said), "{said:?} is not in\n{}", ran.out);
    }
    assert!(!ran.out.contains(KEY) && !ran.error.contains(KEY));
    assert!(!desk.asked().is_empty());
    assert_eq!(desk.git(&["for-each-ref"]), before, "the repository itself is only read");
    desk.end().await;
}

/// Somebody's first look, on a machine without bubblewrap.
#[tokio::test]
async fn the_demo_plays_on_the_bare_machine_and_says_so_where_there_is_no_sandbox() {
    let folder = tempfile::Builder::new().prefix("baton-bare-").tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o711)).unwrap();
    let programs = folder.path().join("programs");
    fs::create_dir(&programs).unwrap();
    for entry in
        ["/usr/bin", "/bin", "/usr/local/bin"].into_iter().flat_map(|it| fs::read_dir(it).unwrap())
    {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name())).unwrap();
        if name != "bwrap" {
            // The first folder's counts, as in any search path.
            let _ = std::os::unix::fs::symlink(path, programs.join(name));
        }
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_baton"));
    command.args(["demo", "--provider", "command"]).env_clear().stdin(Stdio::null());
    command.env("PATH", &programs).env("TMPDIR", folder.path());
    command.current_dir(folder.path());
    let ran =
        tokio::task::spawn_blocking(move || Ran::of(command.output().unwrap())).await.unwrap();
    assert_eq!(ran.code, Some(0), "{}\n{}", ran.out, ran.error);
    for said in ["NO SANDBOX", "bubblewrap", "The task is done"] {
        assert!(ran.out.contains(said), "{said:?} is not in\n{}", ran.out);
    }
}

#[tokio::test]
async fn the_demo_plays_live_on_a_copy_of_a_repository() {
    the_demo_plays_live(|desk| desk.command(&[])).await;
}

#[tokio::test]
async fn the_demo_plays_live_with_the_token_of_a_subscription() {
    the_demo_plays_live(|desk| {
        let mut command = desk.command(&[]);
        with_a_token(&mut command);
        command
    })
    .await;
}

#[tokio::test]
async fn the_demo_plays_live_with_the_real_codex_program() {
    the_demo_plays_live(|desk| desk.codex_command(&[])).await;
}
