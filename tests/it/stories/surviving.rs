//! Baton is killed, and its agents' containers outlive it: the next one goes on with the same.

mod waiting;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use baton::{
    cli::demo::world::{MAINTAINER, REPOSITORY, Recipe, World},
    config::{Containers, SandboxChoice},
};
use emulators::{models::Request, sample};
use rustix::process::{Signal, kill_process};
use sqlx::PgPool;
use tempfile::TempDir;
use waiting::{Midst, WORD, Waiting};

use super::{roles, whole::codex_program};
use crate::support::{
    containers::{IMAGE, Podman},
    database::TestDatabase,
    leftovers,
    server::{Operator, Process, database_url},
};

/// How long anything may take on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);

/// Which program plays the crew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Program {
    Command,
    Claude,
    Codex,
}

/// A Baton process with agents in containers.
struct House {
    podman: Podman,
    world: World,
    database: TestDatabase,
    folder: TempDir,
    operator: Operator,
    process: Process,
    issue: u64,
}

impl House {
    /// Begins, and plays up to the coder. None where there are no containers.
    async fn begin(brain: Arc<Waiting>, program: Program, survive_seconds: u64) -> Option<Self> {
        let podman = Podman::start()?;
        let database = TestDatabase::new().await;
        let folder = tempfile::Builder::new().prefix("baton-surviving-").tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o711)).unwrap();
        let mut recipe = Recipe::new(folder.path().join("world"), brain);
        match program {
            Program::Command => {}
            Program::Claude => {
                roles::claude(&mut recipe);
                roles::policy(&mut recipe, "protected: [\".claude/**\"]\n");
            }
            Program::Codex => {
                recipe.provider = "codex".to_owned();
                recipe.codex = Some(codex_program());
            }
        }
        recipe.sandbox = SandboxChoice::Container(Containers {
            socket: podman.socket(),
            image: IMAGE.to_owned(),
            images: Vec::new(),
            cpus: None,
            survive_seconds,
        });
        let world = recipe.build().await.unwrap();
        let operator = Operator::new(&world, folder.path(), &database_url(&database.address()));
        let process = operator.spawn();
        let mut house = Self { podman, world, database, folder, operator, process, issue: 0 };
        house.up().await;
        let (title, body) = sample::issue();
        let mara = house.world.github.as_user(MAINTAINER);
        house.issue = mara.open_issue(REPOSITORY, title, body).unwrap();
        mara.label(REPOSITORY, house.issue, "baton").unwrap();
        house.approve().await;
        Some(house)
    }

    async fn up(&mut self) {
        let address = self.operator.until_up(&mut self.process).await;
        let address = address.unwrap_or_else(|| panic!("not up: {}", self.operator.log()));
        self.world.github.set_webhook_url(&format!("http://{address}/webhook"));
    }

    async fn approve(&self) {
        let asking = |comment: &emulators::github::Comment| {
            comment.body.contains("- [ ] **Approve this plan**")
        };
        self.until("the plan", || self.comments().iter().any(asking)).await;
        let comment = self.comments().into_iter().find(asking).unwrap();
        let mara = self.world.github.as_user(MAINTAINER);
        mara.tick(REPOSITORY, comment.id, "Approve this plan").unwrap();
    }

    fn comments(&self) -> Vec<emulators::github::Comment> {
        self.world.github.comments(REPOSITORY, self.issue)
    }

    fn pool(&self) -> &PgPool {
        &self.database.pool
    }

    async fn kill(&mut self) {
        kill_process(self.process.pid(), Signal::KILL).unwrap();
        while self.process.ended().is_none() {
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn start_again(&mut self) {
        self.process = self.operator.spawn();
        self.up().await;
    }

    /// The containers of agents, by their ids.
    fn agents(&self) -> Vec<String> {
        let format = ["ps", "--no-trunc", "--format", "{{.ID}} {{.Labels}}"];
        let listed = self.podman.call(&format).unwrap();
        let agents = listed.lines().filter(|line| line.contains("agent-"));
        agents.map(|line| line.split(' ').next().unwrap().to_owned()).collect()
    }

    /// The coder's worktree, where it waits.
    async fn coders_tree(&self) -> PathBuf {
        let id = "SELECT coalesce(max(a.id), 0) FROM agents a JOIN stages s ON s.id = a.stage_id WHERE s.key = 'code'";
        let id: i64 = sqlx::query_scalar(id).fetch_one(self.pool()).await.unwrap();
        self.world.config.data.join(format!("workspaces/agent-{id}/tree"))
    }

    async fn until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let look = async {
            while !holds() {
                tokio::time::sleep(LOOK).await;
            }
        };
        if tokio::time::timeout(PATIENCE, look).await.is_err() {
            let told = leftovers::overview(self.pool()).await;
            panic!("in vain for {what}:\n{told}\n{}", self.operator.log());
        }
    }

    async fn until_true(&self, statement: &'static str) {
        let look = async {
            while !sqlx::query_scalar::<_, bool>(statement).fetch_one(self.pool()).await.unwrap() {
                tokio::time::sleep(LOOK).await;
            }
        };
        if tokio::time::timeout(PATIENCE, look).await.is_err() {
            let told = leftovers::overview(self.pool()).await;
            panic!("in vain for {statement}:\n{told}\n{}", self.operator.log());
        }
    }

    /// Waits until the coder is in its tool.
    async fn until_it_waits(&self) -> PathBuf {
        self.until_true("SELECT EXISTS (SELECT FROM agents a JOIN stages s ON s.id = a.stage_id WHERE s.key = 'code' AND a.state = 'running')").await;
        let tree = self.coders_tree().await;
        self.until("the tool", || tree.join(".here").exists()).await;
        tree
    }

    /// Tells the coder something while it runs, and waits until it was given that.
    async fn say_a_word(&self) {
        let word = "INSERT INTO agent_inbox (agent_id, message, at)
            SELECT id, jsonb_build_object('message', 'revise', 'text', $1::text, 'by', 'mara'), now()
            FROM agents WHERE ended_at IS NULL";
        sqlx::query(word).bind(WORD).execute(self.pool()).await.unwrap();
        self.until_true("SELECT NOT EXISTS (SELECT FROM agent_inbox WHERE delivered_at IS NULL)")
            .await;
    }

    async fn until_coded(&self) {
        self.until_true(CODED).await;
    }

    /// What is to be after the coder has ended: there was one, and all that it printed is there once.
    async fn is_one_life(&self) {
        let lives = "SELECT string_agg(a.attempt || ' ' || a.state_data::text || ' ' || (a.head IS NOT NULL), '; ')
            FROM agents a JOIN stages s ON s.id = a.stage_id WHERE s.key = 'code'";
        let lives: String = sqlx::query_scalar(lives).fetch_one(self.pool()).await.unwrap();
        assert!(
            lives.starts_with("1 ")
                && lives.ends_with(" true")
                && !lives.contains("; ")
                && lives.contains("succeeded"),
            "{lives}\n{}",
            self.operator.log()
        );
        self.until_true("SELECT EXISTS (SELECT FROM agent_lines
            WHERE (text LIKE '%\"type\":\"result\"%' OR text LIKE '%\"type\":\"turn.completed\"%')
            AND agent_id = (SELECT max(a.id) FROM agents a JOIN stages s ON s.id = a.stage_id WHERE s.key = 'code'))").await;
        let lines = "SELECT count(*), count(DISTINCT l.seq), coalesce(max(l.seq), 0),
                count(*) FILTER (WHERE l.stream = 'out'
                    AND (l.text LIKE '%\"type\":\"result\"%' OR l.text LIKE '%\"type\":\"turn.completed\"%'))
            FROM agent_lines l JOIN agents a ON a.id = l.agent_id JOIN stages s ON s.id = a.stage_id WHERE s.key = 'code'";
        let (all, distinct, newest, results): (i64, i64, i64, i64) =
            sqlx::query_as(lines).fetch_one(self.pool()).await.unwrap();
        assert!(
            all > 3 && all == distinct && all == newest,
            "{all} lines, {distinct} numbers up to {newest}"
        );
        assert!(results >= 1, "{results}");
        let open = "SELECT count(*) FROM usage WHERE settled_at IS NULL";
        let open: i64 = sqlx::query_scalar(open).fetch_one(self.pool()).await.unwrap();
        assert_eq!(open, 0, "money is held back");
    }

    /// What became of what the coder asked leave for.
    async fn has_heard_once(&self) {
        let denied = "SELECT count(*) FROM agent_lines
            WHERE text LIKE 'denied Write: .claude/settings.json is protected%'";
        let denied: i64 = sqlx::query_scalar(denied).fetch_one(self.pool()).await.unwrap();
        assert_eq!(denied, 1, "a refusal is told once");
        let requests = self.world.models.requests();
        let parsed = requests.iter().rev().map(|request| (request, Request::parse(&request.body)));
        let of_coder =
            |request: &Request| request.system.lines().any(|line| line.trim() == "Role: code");
        let coders: Vec<_> = parsed.filter(|(_, request)| of_coder(request)).collect();
        // It hears in the midst of a turn what it was told, as a reminder.
        let (newest, _) = coders.first().expect("it asked its model");
        let words = newest.body.to_string().matches(WORD).count();
        assert_eq!(words, 1, "it was told more than once, or not at all: {:#}", newest.body);
        let newest = coders.into_iter().map(|(_, request)| request);
        let told: Vec<Vec<(String, bool)>> = newest
            .map(|request| {
                let calls = request.tool_results_since_last_user_text().into_iter();
                let writes = calls.filter(|call| call.name == "Write");
                writes.map(|call| (call.result.to_owned(), call.is_error)).collect()
            })
            .filter(|told: &Vec<_>| !told.is_empty())
            .collect();
        let [(_, allowed), (why, refused)] = &told.first().expect("it wrote")[..] else {
            panic!("it wrote otherwise: {told:?}");
        };
        assert!(
            !allowed && *refused && why.contains("is protected in this repository"),
            "{told:?}"
        );
    }

    /// Stops everything; nothing may be left.
    async fn end(self) {
        let mara = self.world.github.as_user(MAINTAINER);
        mara.close_issue(REPOSITORY, self.issue).unwrap();
        self.until_true("SELECT count(*) = 0 FROM tasks WHERE closed_at IS NULL").await;
        self.until_true("SELECT NOT EXISTS (SELECT FROM agents WHERE ended_at IS NULL)").await;
        self.until("no workspace", || leftovers::of_workspaces(&self.world.config.data).is_empty())
            .await;
        let Self { podman, world, folder, process, database, operator, .. } = self;
        assert!(process.stop().await.success(), "{}", operator.log());
        for place in ["sandbox/surviving", "sandbox/lines"] {
            let left: Vec<_> = fs::read_dir(world.config.data.join(place)).unwrap().collect();
            assert!(left.is_empty(), "{place}: {left:?}");
        }
        world.shutdown().await;
        // What was at work when the issue was closed takes its moment, and no grace.
        let looking = async {
            while !podman.containers().is_empty() {
                tokio::time::sleep(LOOK).await;
            }
        };
        let gone = tokio::time::timeout(PATIENCE / 4, looking).await;
        assert!(gone.is_ok(), "left behind: {:?}", podman.containers());
        let left = leftovers::of_processes(&folder.path().join("world/baton")).await;
        assert!(left.is_empty(), "{left:#?}");
        drop(database);
    }
}

const CODED: &str = "SELECT EXISTS (SELECT FROM agents a JOIN stages s ON s.id = a.stage_id WHERE s.key = 'code' AND a.state = 'ended')";

#[tokio::test(flavor = "multi_thread")]
async fn a_container_goes_on_where_its_baton_was_killed_between_two_lines() {
    let brain = Waiting::new(Midst::Tool);
    let Some(mut house) = House::begin(Arc::clone(&brain), Program::Command, 120).await else {
        return;
    };
    let tree = house.until_it_waits().await;
    house.say_a_word().await;
    let before = house.agents();
    assert_eq!(before.len(), 1, "{before:?}");
    house.kill().await;
    house.start_again().await;
    house.until("it goes on", || house.operator.log().contains("an agent goes on")).await;
    assert_eq!(house.agents(), before, "another container");
    fs::write(tree.join(".go"), "").unwrap();
    house.until_coded().await;
    house.is_one_life().await;
    let heard = brain.heard.lock().unwrap().clone();
    let prompts = heard.iter().filter(|text| text.contains("Make the change that settles")).count();
    assert_eq!(prompts, 1, "its prompt was given more than once: {heard:#?}");
    let words = heard.iter().filter(|text| text.contains(WORD)).count();
    assert_eq!(words, 1, "what it was told was told more than once, or not at all: {heard:#?}");
    house.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_ended_while_baton_was_away_ended_well() {
    let Some(mut house) = House::begin(Waiting::new(Midst::LastTool), Program::Command, 120).await
    else {
        return;
    };
    let tree = house.until_it_waits().await;
    house.kill().await;
    fs::write(tree.join(".go"), "").unwrap();
    house.until("its last command", || !tree.join(".here").exists()).await;
    house.start_again().await;
    house.until_coded().await;
    house.is_one_life().await;
    house.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_real_claude_program_asks_its_model_again_through_the_next_baton() {
    let brain = Waiting::new(Midst::Request);
    let Some(mut house) = House::begin(Arc::clone(&brain), Program::Claude, 120).await else {
        return;
    };
    house.until("its request", || brain.begun.load(Ordering::SeqCst) == 1).await;
    let before = house.agents();
    house.kill().await;
    house.start_again().await;
    house.until_coded().await;
    house.is_one_life().await;
    assert_eq!(before.len(), 1, "{before:?}");
    assert!(house.operator.log().contains("an agent goes on"));
    house.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_baton_comes_back_its_agents_end_and_another_attempt_goes_on() {
    let Some(mut house) = House::begin(Waiting::new(Midst::Tool), Program::Command, 2).await else {
        return;
    };
    house.until_it_waits().await;
    house.kill().await;
    house.until("the container is gone", || house.agents().is_empty()).await;
    house.start_again().await;
    house
        .until_true(
            "SELECT EXISTS (SELECT FROM agents a JOIN stages s ON s.id = a.stage_id
        WHERE s.key = 'code' AND a.state_data::text LIKE '%lost%')",
        )
        .await;
    let tree = house.until_it_waits().await;
    fs::write(tree.join(".go"), "").unwrap();
    house
        .until_true(
            "SELECT EXISTS (SELECT FROM agents a JOIN stages s ON s.id = a.stage_id
        WHERE s.key = 'code' AND a.attempt = 2 AND a.state_data::text LIKE '%succeeded%')",
        )
        .await;
    house.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_real_codex_program_goes_on_in_its_tool_and_asks_its_model_through_the_next_baton() {
    let brain = Waiting::new(Midst::Tool);
    let Some(mut house) = House::begin(Arc::clone(&brain), Program::Codex, 120).await else {
        return;
    };
    let tree = house.until_it_waits().await;
    let before = house.agents();
    house.kill().await;
    house.start_again().await;
    house.until("it goes on", || house.operator.log().contains("an agent goes on")).await;
    assert_eq!((before.len(), house.agents()), (1, before), "another container");
    fs::write(tree.join(".go"), "").unwrap();
    house.until_coded().await;
    house.is_one_life().await;
    house.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_real_codex_program_asks_its_model_again_through_the_next_baton() {
    let brain = Waiting::new(Midst::Request);
    let Some(mut house) = House::begin(Arc::clone(&brain), Program::Codex, 120).await else {
        return;
    };
    house.until("its request", || brain.begun.load(Ordering::SeqCst) == 1).await;
    house.kill().await;
    house.start_again().await;
    house.until_coded().await;
    house.is_one_life().await;
    assert!(house.operator.log().contains("an agent goes on"));
    house.end().await;
}

/// Asked while there is no Baton, and killed again after the answers: a third Baton, which goes through all of it
/// once more, answers nothing a second time. One byte too many or too few, and what it says to the program next would
/// not be what the program hears.
#[tokio::test(flavor = "multi_thread")]
async fn what_claude_asks_leave_for_while_baton_dies_is_answered_exactly_once() {
    let brain = Waiting::new(Midst::Leave);
    let Some(mut house) = House::begin(Arc::clone(&brain), Program::Claude, 120).await else {
        return;
    };
    let tree = house.until_it_waits().await;
    let before = house.agents();
    house.kill().await;
    fs::write(tree.join(".go"), "").unwrap();
    house.until("its command", || !tree.join(".here").exists()).await;
    house.start_again().await;
    house.until("both answers", || brain.begun.load(Ordering::SeqCst) == 1).await;
    house.kill().await;
    house.start_again().await;
    let tree = house.until_it_waits().await;
    house.say_a_word().await;
    fs::write(tree.join(".go"), "").unwrap();
    house.until_coded().await;
    assert_eq!(before.len(), 1, "{before:?}");
    house.is_one_life().await;
    house.has_heard_once().await;
    house.end().await;
}
