//! A whole story: the small world of the demo with a real Baton in it, in this process.
//!
//! A test acts as people do and waits for what GitHub shows. [`Story::end`] stops everything and fails on
//! whatever is left behind, whatever the story was about.

use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use baton::{
    app::{Options, Server},
    cli::demo::world::{MAINTAINER, REPOSITORY, Recipe, World},
    config::Config,
    db::overview,
    pipeline::sweep,
    queue,
    sandbox::Gauge,
};
use emulators::{
    github::{CheckRun, Comment, GitHub, Person},
    models::{Brain, Crew},
    sample,
};
use rustix::process::{Pid, Signal, kill_process};
use sqlx::PgPool;
use tempfile::TempDir;

use super::{database::TestDatabase, leftovers};

/// How long anything may take: the machine is slow, and a story that goes well never waits so long.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Between two looks at the database.
const LOOK: Duration = Duration::from_millis(50);

/// A world with a Baton in it.
pub struct Story {
    /// The world.
    pub world: World,
    /// Baton; none while it is stopped.
    server: Option<Server>,
    /// The database; none when Baton has a private one.
    database: Option<TestDatabase>,
    /// How Baton is run.
    options: Options,
    /// Of a story with a private Postgres.
    postgres: Option<Postgres>,
    folder: TempDir,
}

impl Story {
    /// Begins with the `command` provider and the demo's crew.
    pub async fn begin() -> Self {
        Self::with(Arc::new(Crew::new()), |_| ()).await
    }

    /// Begins with another model, or another world.
    pub async fn with(brain: Arc<dyn Brain>, change: impl FnOnce(&mut Recipe)) -> Self {
        let database = TestDatabase::with_connections(2).await;
        let url = database.url();
        let adapted = |recipe: &mut Recipe| {
            recipe.database_url = Some(url);
            change(recipe);
        };
        Self::build(brain, adapted, |_| (), Some(database), Options::default()).await
    }

    /// Begins with another model, another world, and a Baton that is configured otherwise.
    pub async fn configured(
        brain: Arc<dyn Brain>,
        change: impl FnOnce(&mut Recipe),
        configure: impl FnOnce(&mut Config),
    ) -> Self {
        let database = TestDatabase::with_connections(2).await;
        let url = database.url();
        let adapted = |recipe: &mut Recipe| {
            recipe.database_url = Some(url);
            change(recipe);
        };
        Self::build(brain, adapted, configure, Some(database), Options::default()).await
    }

    /// Begins with a Baton that is run otherwise.
    pub async fn with_options(brain: Arc<dyn Brain>, options: Options) -> Self {
        Self::varied(brain, |_| (), options).await
    }

    /// The same in another world.
    pub async fn varied(
        brain: Arc<dyn Brain>,
        change: impl FnOnce(&mut Recipe),
        options: Options,
    ) -> Self {
        let database = TestDatabase::with_connections(2).await;
        let url = database.url();
        let adapted = |recipe: &mut Recipe| {
            recipe.database_url = Some(url);
            change(recipe);
        };
        Self::build(brain, adapted, |_| (), Some(database), options).await
    }

    /// Begins with a private Postgres.
    pub async fn with_private_database(brain: Arc<dyn Brain>) -> Self {
        Self::build(brain, |_| (), |_| (), None, Options::default()).await
    }

    async fn build(
        brain: Arc<dyn Brain>,
        change: impl FnOnce(&mut Recipe),
        configure: impl FnOnce(&mut Config),
        database: Option<TestDatabase>,
        options: Options,
    ) -> Self {
        let bridge = Some(env!("CARGO_BIN_EXE_baton").into());
        let folder = tempfile::Builder::new().prefix("baton-story-").tempdir().unwrap();
        let open = std::fs::Permissions::from_mode(0o711);
        std::fs::set_permissions(folder.path(), open).unwrap();
        let gauge = roomy(folder.path());
        let options = Options { bridge, gauge, ..options };
        let data = folder.path().join("world").join("baton");
        let postgres = database.is_none().then(|| Postgres(data.join("postgres")));
        let mut recipe = Recipe::new(folder.path().join("world"), brain);
        change(&mut recipe);
        let mut world = recipe.build().await.unwrap();
        configure(&mut world.config);
        let server = world.start_baton_with(options.clone()).await.unwrap();
        assert_eq!(server.pipeline().parts().runtime.remedy(), None, "agents cannot start");
        Self { world, server: Some(server), database, options, postgres, folder }
    }

    pub fn github(&self) -> &GitHub {
        &self.world.github
    }

    pub fn mara(&self) -> Person<'_> {
        self.world.github.as_user(MAINTAINER)
    }

    pub fn server(&self) -> &Server {
        self.server.as_ref().expect("Baton runs")
    }

    pub fn pool(&self) -> &PgPool {
        &self.server().pipeline().parts().pool
    }

    /// Where everything of the story is.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Opens the sample's issue.
    pub fn issue(&self) -> u64 {
        let (title, body) = sample::issue();
        self.mara().open_issue(REPOSITORY, title, body).unwrap()
    }

    /// Opens the sample's issue and labels it.
    pub fn assigned(&self) -> u64 {
        let issue = self.issue();
        self.mara().label(REPOSITORY, issue, "baton").unwrap();
        issue
    }

    /// Ticks the plan's box once it is there.
    pub async fn approve(&self, issue: u64) {
        self.until("a plan to approve", |github| asking(github, issue).is_some()).await;
        let comment = asking(self.github(), issue).unwrap();
        self.mara().tick(REPOSITORY, comment.id, "Approve this plan").unwrap();
    }

    /// Waits for the pull request that the review has passed.
    pub async fn ready(&self) -> u64 {
        self.until("a pull request that is ready", |github| ready(github).is_some()).await;
        ready(self.github()).unwrap()
    }

    /// Merges it once it is ready.
    pub async fn merge(&self) -> u64 {
        let pull = self.ready().await;
        self.mara().merge_pull(REPOSITORY, pull, None).unwrap();
        pull
    }

    /// From the label to the merge.
    pub async fn to_merge(&self) -> (u64, u64) {
        let issue = self.assigned();
        self.approve(issue).await;
        (issue, self.merge().await)
    }

    /// Waits for something that GitHub shows.
    pub async fn until(&self, what: &str, look: impl FnMut(&GitHub) -> bool) {
        let shown = self.github().wait_for(PATIENCE, look).await;
        assert!(shown, "waited in vain for {what}\n{}", self.told().await);
    }

    /// Waits for something in the database: a statement that gives a truth.
    pub async fn until_true(&self, statement: &'static str) {
        let look = async {
            while !truth(self.pool(), statement).await {
                tokio::time::sleep(LOOK).await;
            }
        };
        let seen = tokio::time::timeout(PATIENCE, look).await;
        assert!(seen.is_ok(), "waited in vain for {statement}\n{}", self.told().await);
    }

    /// Waits until the newest task is in a state and everything was said.
    pub async fn until_state(&self, state: &str) {
        let look = async {
            while self.state().await.as_deref() != Some(state)
                || !leftovers::quiet(self.pool()).await
            {
                tokio::time::sleep(LOOK).await;
            }
        };
        let seen = tokio::time::timeout(PATIENCE, look).await;
        assert!(seen.is_ok(), "waited in vain for {state}\n{}", self.told().await);
    }

    /// Waits until nothing is left to do and every webhook was answered.
    pub async fn until_quiet(&self) {
        let look = async {
            let settled = |github: &GitHub| {
                github.deliveries().iter().all(|delivery| delivery.status_code.is_some())
            };
            while !(settled(self.github()) && leftovers::quiet(self.pool()).await) {
                tokio::time::sleep(LOOK).await;
            }
        };
        let seen = tokio::time::timeout(PATIENCE, look).await;
        assert!(seen.is_ok(), "it never became quiet\n{}", self.told().await);
    }

    /// The state of the newest task.
    pub async fn state(&self) -> Option<String> {
        // The database may be away in the midst of a story.
        let tasks = overview::list_tasks(self.pool(), true, 1).await.ok()?;
        tasks.into_iter().next().map(|task| task.state)
    }

    /// Runs every reconciler now.
    pub async fn sweep(&self) {
        let parts = self.server().pipeline().parts();
        let mut tx = parts.pool.begin().await.unwrap();
        let wake = queue::enqueue(&mut tx, &sweep::all(parts.clock.now())).await.unwrap();
        tx.commit().await.unwrap();
        wake.release(&parts.wakes);
    }

    /// Stops Baton as the operator does.
    pub async fn stop_baton(&mut self) {
        self.server.take().expect("Baton runs").stop().await;
    }

    /// Cuts Baton off in the midst of everything.
    pub fn kill_baton(&mut self) {
        drop(self.server.take().expect("Baton runs"));
    }

    /// Starts Baton again, on the same data.
    pub async fn start_baton(&mut self) {
        self.server = Some(self.world.start_baton_with(self.options.clone()).await.unwrap());
    }

    /// Starts a second Baton on the same database, with a data folder of its own; webhooks go to it.
    pub async fn another_baton(&self) -> Server {
        let mut config = self.world.config.clone();
        config.data = self.folder.path().join("world").join("another");
        let options = Options { clock: self.world.clock.clone(), ..self.options.clone() };
        let server = Server::start(config, options).await.unwrap();
        self.github().set_webhook_url(&format!("http://{}/webhook", server.public));
        server
    }

    /// Ends the story: nothing may be left of it, and looking at everything again changes nothing.
    pub async fn end(mut self) {
        self.until_quiet().await;
        let before = writes(self.github());
        self.world.clock.advance(chrono::TimeDelta::minutes(15));
        self.sweep().await;
        self.until_true("SELECT NOT EXISTS (SELECT FROM jobs)").await;
        assert_eq!(writes(self.github())[before.len()..], [] as [String; 0], "written by sweeping");
        let mut left = leftovers::in_database(self.pool()).await;
        left.extend(leftovers::of_workspaces(&self.world.config.data));
        let unknown = self.github().unknown_routes();
        left.extend(
            unknown.iter().map(|route| format!("asked GitHub for what it has not: {route}")),
        );
        self.stop_baton().await;
        self.world.shutdown().await;
        left.extend(leftovers::of_processes(self.folder.path()).await);
        drop((self.database, self.postgres));
        assert!(left.is_empty(), "left behind:\n{}", left.join("\n"));
    }

    /// What is known, for whoever reads a failure.
    pub async fn told(&self) -> String {
        let mut told = String::new();
        for issue in self.github().issues(REPOSITORY) {
            told += &format!(
                "\n#{} {} [{}] {:?}\n",
                issue.number,
                issue.title,
                issue.state(),
                issue.labels
            );
            for comment in &issue.comments {
                told += &format!("{}: {}\n", self.github().login(comment.author), comment.body);
            }
        }
        told + &leftovers::overview(self.pool()).await
    }
}

/// A private Postgres, by its folder: ended with its story also where that fails.
struct Postgres(PathBuf);

impl Postgres {
    fn pid(&self) -> Option<Pid> {
        let file = std::fs::read_to_string(self.0.join("data").join("postmaster.pid")).ok()?;
        Pid::from_raw(file.lines().next()?.trim().parse().ok()?)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(pid) = self.pid() {
            // It has ended meanwhile, or ends now.
            let _ = kill_process(pid, Signal::QUIT);
        }
    }
}

async fn truth(pool: &PgPool, statement: &'static str) -> bool {
    // A database that is away tells nothing yet.
    sqlx::query_scalar::<_, bool>(statement).fetch_one(pool).await.unwrap_or(false)
}

/// A machine with room for all: how busy the one that tests run on is changes no story.
fn roomy(folder: &Path) -> Gauge {
    std::fs::write(folder.join("meminfo"), "MemAvailable: 99999999 kB\n").unwrap();
    Gauge::at(folder, folder)
}

/// The newest comment that asks for a plan's approval and was not answered.
pub fn asking(github: &GitHub, issue: u64) -> Option<Comment> {
    let comments = github.comments(REPOSITORY, issue).into_iter().rev();
    let mut open = comments.filter(|comment| comment.minimized.is_none());
    open.find(|comment| comment.body.contains("- [ ] **Approve this plan**"))
}

/// The pull request that may be merged.
fn ready(github: &GitHub) -> Option<u64> {
    (1..20).find(|number| {
        github.pull(REPOSITORY, *number).is_some_and(|pull| !pull.draft && pull.merged.is_none())
    })
}

/// Adds a line to the sample's policy.
pub fn say_in_policy(recipe: &mut Recipe, line: &str) {
    let mut files = recipe.files.iter_mut();
    let (_, policy, ..) = files.find(|(path, ..)| path == ".github/baton.yml").unwrap();
    policy.push_str(line);
    policy.push('\n');
}

/// What Baton wrote on a thread.
pub fn said(github: &GitHub, number: u64) -> Vec<Comment> {
    let mut comments = github.comments(REPOSITORY, number);
    comments.retain(|comment| github.login(comment.author).ends_with("[bot]"));
    comments
}

/// The progress comments of a thread: there has to be one.
pub fn progress(github: &GitHub, number: u64) -> String {
    let told = said(github, number).into_iter().filter(|comment| {
        comment.body.lines().any(|line| line.starts_with("### Baton:"))
            && comment.body.lines().next().is_some_and(|marker| marker.contains("progress"))
    });
    let told: Vec<Comment> = told.collect();
    assert_eq!(told.len(), 1, "one progress comment: {told:#?}");
    told[0].body.clone()
}

/// Baton's checks.
pub fn checks(github: &GitHub) -> Vec<CheckRun> {
    github.all_checks(REPOSITORY)
}

/// Requests that change something, without those for tokens.
pub fn writes(github: &GitHub) -> Vec<String> {
    let requests = github.requests();
    let writes = requests.iter().filter(|request| {
        let reads = request.method == "GET"
            || request.path.contains("access_tokens")
            || request.path == "/graphql"
                && request.body.as_ref().is_some_and(|body| {
                    !body["query"].as_str().unwrap_or_default().trim_start().starts_with("mutation")
                });
        !reads
    });
    writes.map(|request| format!("{} {}", request.method, request.path)).collect()
}
