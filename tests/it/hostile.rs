//! A hostile repository and a hostile agent, in each kind of sandbox: everything they try is refused with
//! the reason on the thread, nothing of theirs runs on the host, and no secret of the server's gets out.

mod canaries;
mod deeds;
mod repository;

use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use baton::cli::demo::world::{MAINTAINER, REPOSITORY, Recipe, World};
use emulators::{
    github::GitHub,
    models::{Answer, Brain, Crew, Request},
    sample,
};
use serde_json::json;
use tempfile::TempDir;

use crate::support::{
    absent::{Lack, skip},
    database::TestDatabase,
    place::Place,
    server::{Operator, Process, database_url},
};

/// How long one step may take on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// The crew, whose coder does one deed after the other instead of its work.
struct Hostile {
    deeds: Vec<String>,
    /// Which deed is next; past the last one it works honestly.
    next: Arc<AtomicUsize>,
}

impl Brain for Hostile {
    fn answer(&self, request: &Request) -> Answer {
        let texts = [vec![request.system.clone()], request.user_texts()].concat();
        let codes = texts.iter().any(|text| text.lines().any(|line| line.trim() == "Role: code"));
        match self.deeds.get(self.next.load(Ordering::SeqCst)) {
            Some(deed) if codes => match request.tool_results_since_last_user_text().len() {
                0 => Answer::text("On it.").and_tool("Bash", json!({ "command": deed })),
                _ => Answer::text("That is done.").and_tool(
                    "StructuredOutput",
                    json!({ "summary": "Done.", "tests_run": "none", "notes": "" }),
                ),
            },
            Some(_) | None => Crew::new().answer(request),
        }
    }
}

/// A folder of the test; agents run under another account, which has to pass through it.
fn folder() -> (TempDir, PathBuf) {
    let temporary = tempfile::Builder::new().prefix("baton-hostile-").tempdir().unwrap();
    let folder = temporary.path().to_owned();
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o711)).unwrap();
    (temporary, folder)
}

/// Where a command that ran on the host, under any account, would leave its mark.
fn marks(folder: &Path) -> PathBuf {
    let marks = folder.join("marks");
    std::fs::create_dir_all(&marks).unwrap();
    std::fs::set_permissions(&marks, std::fs::Permissions::from_mode(0o777)).unwrap();
    marks
}

fn marked(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(marks(folder)).unwrap().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// Everything that Baton has written on the issue.
fn thread(github: &GitHub, issue: u64) -> String {
    let comments = github.comments(REPOSITORY, issue).into_iter();
    comments.map(|comment| comment.body).collect::<Vec<_>>().join("\n\n")
}

/// A server that is up, and that GitHub tells of what happens.
async fn started(world: &World, operator: &Operator) -> Process {
    let mut process = operator.spawn();
    let address = operator.until_up(&mut process).await.expect("baton comes up");
    world.github.set_webhook_url(&format!("http://{address}/webhook"));
    process
}

/// The issue with its label, and mara's tick under the plan.
async fn approved(world: &World) -> u64 {
    let mara = world.github.as_user(MAINTAINER);
    let (title, body) = sample::issue();
    let issue = mara.open_issue(REPOSITORY, title, body).unwrap();
    mara.label(REPOSITORY, issue, "baton").unwrap();
    let boxes = "- [ ] **Approve this plan**";
    let asked =
        world.github.wait_for(PATIENCE, |github| thread(github, issue).contains(boxes)).await;
    assert!(asked, "{}", thread(&world.github, issue));
    let comments = world.github.comments(REPOSITORY, issue);
    let asking = comments.iter().find(|comment| comment.body.contains(boxes)).unwrap();
    mara.tick(REPOSITORY, asking.id, "Approve this plan").unwrap();
    issue
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_hostile_agent_tries_is_refused_with_its_reason_and_no_secret_gets_out() {
    whatever_it_tries(Place::Bubblewrap).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_hostile_agent_tries_is_refused_with_its_reason_and_no_secret_gets_out_in_a_container()
 {
    let Some(place) = Place::containers() else { return };
    whatever_it_tries(place).await;
}

async fn whatever_it_tries(place: Place) {
    let database = TestDatabase::new().await;
    let (_temporary, folder) = folder();
    let next = Arc::new(AtomicUsize::new(0));
    // The deeds know the secrets and ports of the world: it is built first with an empty list.
    let deeds = Arc::new(std::sync::OnceLock::new());
    let brain = Late { deeds: Arc::clone(&deeds), next: Arc::clone(&next) };
    let recipe = Recipe::new(folder.join("world"), Arc::new(brain));
    let files = repository::files(&marks(&folder), recipe.files);
    let world = Recipe::new(folder.join("world"), recipe.brain);
    let world = Recipe { files, sandbox: place.choice(), ..world };
    let world = world.build().await.unwrap();
    repository::add_links(&world.github, &folder);
    let all = deeds::all(&world, &folder);
    let expected: Vec<Vec<&str>> = all.iter().map(|deed| deed.refused_with.to_vec()).collect();
    deeds.set(all.into_iter().map(|deed| deed.script).collect::<Vec<_>>()).unwrap();

    let operator = Operator::new(&world, &folder, &database_url(&database.address()));
    let process = started(&world, &operator).await;
    let issue = approved(&world).await;
    let mara = world.github.as_user(MAINTAINER);
    for (number, words) in expected.iter().enumerate() {
        let told = |github: &GitHub| {
            let thread = thread(github, issue);
            words.iter().all(|words| thread.contains(words))
        };
        let refused = world.github.wait_for(PATIENCE, told).await;
        if !refused {
            let (thread, log) = (thread(&world.github, issue), operator.log());
            let request = world.models.requests().pop().map(|request| request.body);
            panic!("deed {number} wants {words:?}:\n{thread}\n{log}\n{request:#?}");
        }
        next.store(number + 1, Ordering::SeqCst);
        mara.comment(REPOSITORY, issue, "/baton retry").unwrap();
    }
    // The honest crew goes on from what is on GitHub, not from what was refused.
    let is_open = |github: &GitHub| github.issues(REPOSITORY).iter().any(|it| it.pull.is_some());
    let opened = world.github.wait_for(PATIENCE, is_open).await;
    assert!(opened, "{}\n{}", thread(&world.github, issue), operator.log());
    assert!(process.stop().await.success());

    let seen = canaries::seen_by_agents(&world.models);
    for done in ["RECONNOITRED", "EXECUTED-pretest", "EXECUTED-linter", "EXECUTED-script-shell"] {
        assert!(seen.contains(done), "the agent did not get to {done}: the test is broken");
    }
    for forbidden in ["REACHED", "WROTE-SYS", "FOUND", "root:"] {
        assert!(!seen.contains(forbidden), "an agent got {forbidden}:\n{seen}");
    }
    assert_eq!(marked(&folder), [""; 0], "something of the repository's ran on the host");
    repository_was_built(&database).await;
    let logs = [("the server's log", operator.log()), ("the daemon's log", place.log())];
    let leaks = canaries::leaks(&world, &database.pool, &logs).await;
    assert!(leaks.is_empty(), "{leaks:#?}");
    place.is_left_empty();
    world.shutdown().await;
}

/// A hostile brain whose deeds are known later.
struct Late {
    deeds: Arc<std::sync::OnceLock<Vec<String>>>,
    next: Arc<AtomicUsize>,
}

impl Brain for Late {
    fn answer(&self, request: &Request) -> Answer {
        let deeds = self.deeds.get().cloned().unwrap_or_default();
        Hostile { deeds, next: Arc::clone(&self.next) }.answer(request)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn claude_runs_no_hook_helper_or_server_that_a_repository_brings() {
    claude_plays_unharmed(Place::Bubblewrap).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn claude_runs_no_hook_helper_or_server_that_a_repository_brings_in_a_container() {
    let Some(place) = Place::containers() else { return };
    claude_plays_unharmed(place).await;
}

async fn claude_plays_unharmed(place: Place) {
    let Some(claude) = baton::app::installed_claude() else {
        skip(Lack::Claude, "the claude program is not installed");
        return;
    };
    plays_unharmed(
        place,
        |recipe| Recipe { provider: "claude".to_owned(), claude: Some(claude), ..recipe },
        |world| canaries::told_to_models(&world.models.requests()),
        &["HOOKED", "mcp__", "helper-key", "ORDERS-OF-THE-REPOSITORY", "nobody:x:65534"],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn codex_runs_and_reads_nothing_that_a_repository_brings() {
    codex_plays_unharmed(Place::Bubblewrap).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn codex_runs_and_reads_nothing_that_a_repository_brings_in_a_container() {
    let Some(place) = Place::containers() else { return };
    codex_plays_unharmed(place).await;
}

async fn codex_plays_unharmed(place: Place) {
    let Some(codex) = baton::app::installed_codex() else {
        skip(Lack::Codex, "the codex program is not installed");
        return;
    };
    plays_unharmed(
        place,
        |recipe| Recipe { provider: "codex".to_owned(), codex: Some(codex), ..recipe },
        |world| canaries::told_to_models(&world.openai.requests()),
        &[
            "HOOKED",
            "mcp__",
            "helper-key",
            "ORDERS-OF-THE-REPOSITORY",
            "SKILL-OF-THE-REPOSITORY",
            "web_search",
        ],
    )
    .await;
}

/// Fails unless the repository's own configuration was executed by Baton's runs: it has to be harmless there.
async fn repository_was_built(database: &TestDatabase) {
    let runs = "SELECT coalesce(string_agg(state_data::text, ' '), '') FROM command_runs";
    let runs: String = sqlx::query_scalar(runs).fetch_one(&database.pool).await.unwrap();
    for done in ["EXECUTED-preinstall", "EXECUTED-test"] {
        assert!(runs.contains(done), "no run got to {done}: the test is broken\n{runs}");
    }
}

/// Lets a program play the job in a hostile repository up to the pull request: nothing forbidden reaches
/// its model, and nothing of the repository's runs on the host.
async fn plays_unharmed(
    place: Place,
    change: impl FnOnce(Recipe) -> Recipe,
    told: impl FnOnce(&World) -> String,
    forbidden: &[&str],
) {
    let (_temporary, folder) = folder();
    let database = TestDatabase::new().await;
    let usual = Recipe::new(folder.join("world"), Arc::new(Crew::new()));
    let files = repository::files(&marks(&folder), usual.files.clone());
    let recipe = change(Recipe { files, sandbox: place.choice(), ..usual });
    let world = recipe.build().await.unwrap();
    repository::add_links(&world.github, &folder);
    let operator = Operator::new(&world, &folder, &database_url(&database.address()));
    let process = started(&world, &operator).await;
    let issue = approved(&world).await;
    let is_open = |github: &GitHub| github.issues(REPOSITORY).iter().any(|it| it.pull.is_some());
    let opened = world.github.wait_for(PATIENCE, is_open).await;
    assert!(opened, "{}\n{}", thread(&world.github, issue), operator.log());
    assert!(process.stop().await.success());

    let told = told(&world);
    assert!(told.contains("Role: code"), "no coder was at work: the test is broken");
    // Baton's own server is the one that may be there.
    let told = told.replace("mcp__baton", "");
    for forbidden in forbidden {
        assert!(!told.contains(forbidden), "{forbidden} reached the model");
    }
    assert_eq!(marked(&folder), [""; 0], "something of the repository's ran on the host");
    repository_was_built(&database).await;
    let logs = [("the server's log", operator.log()), ("the daemon's log", place.log())];
    let leaks = canaries::leaks(&world, &database.pool, &logs).await;
    assert!(leaks.is_empty(), "{leaks:#?}");
    place.is_left_empty();
    world.shutdown().await;
}
