//! A world that the real program looks at, with an environment of its own.

use std::{
    collections::BTreeMap, fs, os::unix::fs::PermissionsExt, path::Path, process::Stdio, sync::Arc,
};

use baton::{
    cli::demo::world::{Recipe, World},
    clock::Clock,
    db::{Address, installations, reports, repositories, tasks},
    model::*,
    queue::{self, Claim, Running},
};
use chrono::TimeDelta;
use emulators::models::Crew;
use secrecy::ExposeSecret;
use serde_json::Value;
use sqlx::PgPool;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

use crate::support::{database::TestDatabase, play};

/// A world, and what the program is started with.
pub struct Bench {
    pub world: World,
    variables: BTreeMap<String, String>,
    folder: TempDir,
}

/// What `baton doctor --json` printed.
#[derive(Debug)]
pub struct Looked {
    pub code: i32,
    rows: Vec<Value>,
}

impl Bench {
    pub async fn new() -> Self {
        Self::with_clock(Clock::system()).await
    }

    pub async fn with_clock(clock: Clock) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o711)).unwrap();
        let recipe = Recipe::new(folder.path().join("world"), Arc::new(Crew::new()));
        let world = Recipe { clock, ..recipe }.build().await.unwrap();
        let (github, agents) = (&world.config.github, &world.config.agents);
        let key = agents.upstream.api_keys[0].expose_secret();
        let text = |path: &Path| path.display().to_string();
        let variables = [
            ("PATH", std::env::var("PATH").unwrap()),
            ("BATON_CONFIG", text(&folder.path().join("baton.toml"))),
            ("BATON_DATA", text(&world.config.data)),
            ("BATON_LISTEN", "127.0.0.1:0".to_owned()),
            ("BATON_ADMIN_LISTEN", "127.0.0.1:0".to_owned()),
            ("BATON_PROVIDER", "command".to_owned()),
            ("GITHUB_APP_ID", github.app_id.to_string()),
            ("GITHUB_PRIVATE_KEY", github.private_key.expose_secret().to_owned()),
            ("GITHUB_WEBHOOK_SECRET", github.webhook_secrets[0].expose_secret().to_owned()),
            ("GITHUB_API_URL", github.api_url.clone()),
            ("ANTHROPIC_API_KEY", key.to_owned()),
            ("ANTHROPIC_BASE_URL", agents.upstream.base_url.clone()),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value)).into();
        let bench = Self { world, variables, folder };
        bench.set_file("[agents]\ncommand = [\"node\"]\n[limits]\naccounts = [\"acme\"]\n");
        bench
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn variables(&self) -> BTreeMap<String, String> {
        self.variables.clone()
    }

    pub fn set(&mut self, name: &str, value: &str) -> &mut Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    pub fn file(&self) -> String {
        fs::read_to_string(&self.variables["BATON_CONFIG"]).unwrap()
    }

    pub fn set_file(&self, text: &str) {
        fs::write(&self.variables["BATON_CONFIG"], text).unwrap();
    }

    /// Lays down a small program and gives its path.
    pub fn program(&self, name: &str, script: &str) -> String {
        let folder = self.folder().join("programs");
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path.display().to_string()
    }

    /// A database with tables, named by `DATABASE_URL` from now on.
    pub async fn use_database(&mut self) -> TestDatabase {
        let database = TestDatabase::new().await;
        let Address::Socket { folder, user, database: name } = database.address() else {
            panic!("the tests' server has a socket");
        };
        self.set(
            "DATABASE_URL",
            &format!("postgres://{user}@localhost/{name}?host={}", folder.display()),
        );
        database
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_baton"));
        command.args(arguments).env_clear().envs(&self.variables).current_dir(self.folder());
        command.stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    /// Runs a command that has to succeed.
    pub async fn baton(&self, arguments: &[&str]) {
        let output = self.command(arguments).output().await.unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
    }

    pub fn shell(&self, command: &str) {
        let status = std::process::Command::new("sh").args(["-c", command]).status().unwrap();
        assert!(status.success(), "{command}");
    }

    pub async fn look(&self) -> Looked {
        let output = self.command(&["doctor", "--json"]).output().await.unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let rows: Vec<Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(!rows.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        Looked { code: output.status.code().unwrap(), rows }
    }

    /// Starts the real server and waits until it is up.
    pub async fn serve(&self) -> Served {
        let mut child = self.command(&["serve"]).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        loop {
            let line = lines.next_line().await.unwrap().expect("the server ended");
            if line.starts_with("baton is up") {
                return Served {
                    child,
                    _lines: tokio::spawn(async move {
                        while let Ok(Some(_)) = lines.next_line().await {}
                    }),
                };
            }
        }
    }

    pub async fn end(self) {
        self.world.shutdown().await;
    }
}

/// A server that runs in a process of its own.
pub struct Served {
    child: Child,
    _lines: tokio::task::JoinHandle<()>,
}

impl Served {
    pub async fn stop(mut self) {
        let pid = rustix::process::Pid::from_raw(self.child.id().unwrap().cast_signed()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        assert!(self.child.wait().await.unwrap().success());
    }
}

impl Looked {
    fn find(&self, check: &str) -> &Value {
        let row = self.rows.iter().find(|row| row["check"] == check);
        row.unwrap_or_else(|| panic!("{check} was not looked at: {:?}", self.rows))
    }

    /// What was seen.
    pub fn row(&self, check: &str) -> String {
        self.find(check)["seen"].as_str().unwrap().to_owned()
    }

    /// Its remedy.
    pub fn fails(&self, check: &str) -> String {
        let row = self.find(check);
        assert_eq!(row["ok"], false, "{row}");
        assert_eq!(self.code, 1);
        row["remedy"].as_str().unwrap().to_owned()
    }

    pub fn holds(&self, check: &str) {
        let row = self.find(check);
        assert_eq!(row["ok"], true, "{row}");
    }

    pub fn failing(&self) -> Vec<String> {
        let failing = self.rows.iter().filter(|row| row["ok"] == false);
        failing.map(|row| row["check"].as_str().unwrap().to_owned()).collect()
    }
}

/// A report of a new task that is wanted since a moment.
pub async fn lagging_report(pool: &PgPool, since: Timestamp) -> ReportId {
    let repository = play::situation().repository;
    let account = Login::new("acme").unwrap();
    installations::upsert(pool, repository.installation, ActorId(3), &account).await.unwrap();
    repositories::upsert(pool, &repository).await.unwrap();
    let new = tasks::NewTask {
        repository: repository.id,
        origin: TaskOrigin::Issue,
        number: 1,
        input: TaskInput::default(),
        input_hash: InputHash::new("b".repeat(64)).unwrap(),
        policy: Policy::default(),
        requested_by: None,
        pull: None,
        now: since,
    };
    let mut connection = pool.acquire().await.unwrap();
    let task = tasks::open(&mut connection, new).await.unwrap();
    reports::raise(&mut *connection, task, &ReportKind::Progress, since).await.unwrap()
}

/// What a server does that reaches GitHub.
pub async fn say(pool: &PgPool, report: ReportId, now: Timestamp) {
    let version = reports::load(pool, report).await.unwrap().wanted_version;
    let applied = reports::Applied { version, ..reports::Applied::default() };
    reports::applied(pool, report, &applied, now).await.unwrap();
}

/// A job that failed for good.
pub async fn failed_job(pool: &PgPool, now: Timestamp) -> JobId {
    let job = NewJob {
        job: Job::Route { event: EventId(1) },
        key: None,
        dedup: None,
        priority: 0,
        repository: None,
        shares: Vec::new(),
        run_at: now,
    };
    let mut tx = pool.begin().await.unwrap();
    let _wake = queue::enqueue(&mut tx, &[job]).await.unwrap();
    tx.commit().await.unwrap();
    let claim = Claim {
        lane: Lane::Quick,
        count: 1,
        worker: "test",
        now,
        lease: TimeDelta::seconds(60),
        running: Running::default(),
    };
    let claimed = queue::claim(pool, &claim).await.unwrap().remove(0);
    let mut connection = pool.acquire().await.unwrap();
    queue::fail(&mut connection, &claimed, "it broke", now).await.unwrap();
    queue::list_failed(pool, now - TimeDelta::hours(1), 1).await.unwrap().remove(0).id
}
