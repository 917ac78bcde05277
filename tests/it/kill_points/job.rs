//! Plays the main job around a Baton that is killed and started again, until it is done.

use std::{os::unix::fs::PermissionsExt, path::PathBuf, sync::Arc, time::Duration};

use baton::{
    cli::demo::world::{MAINTAINER, REPOSITORY, Recipe, World},
    db::Address,
};
use emulators::{github::Phase, models::Crew, sample};
use sqlx::PgPool;

use super::{
    ending,
    killer::{Killer, Moment},
    wire::Wire,
};
use crate::support::{
    database::TestDatabase,
    forks,
    server::{Operator, Process},
};

/// How long one job may take, with all deaths of Baton in it, on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(240);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(50);

/// A world, its Baton, and who kills it.
pub struct Job {
    pub world: World,
    pub pool: PgPool,
    pub folder: PathBuf,
    pub issue: u64,
    /// How often mara had to ask for another try of a deployment that nobody knew the end of.
    pub retries: i32,
    /// The App's installation on the fork, where branches go to one.
    fork: Option<u64>,
    operator: Operator,
    killer: Arc<Killer>,
    process: Process,
    /// What kept the job from its end.
    problem: Option<String>,
}

/// What came of a job.
pub struct Played {
    pub requests: u64,
    pub commits: u64,
    /// Each death of Baton.
    pub kills: Vec<String>,
    /// What is not as it should be.
    pub problems: Vec<String>,
    /// What Baton printed.
    pub log: String,
}

/// Starts a second server on the data folder of one that runs, and gives what it prints; then the
/// first is killed, and a third one has to come up at once.
pub async fn second_server() -> String {
    let database = TestDatabase::new().await;
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path().to_owned();
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o711)).unwrap();
    let Address::Socket { folder: socket, user, database: name } = database.address() else {
        panic!("the tests' server is reached by its socket")
    };
    let killer = Killer::new(Vec::new());
    let wire = Wire::listen(folder.join("wire"), &socket, killer);
    let world = Recipe::new(folder.join("world"), Arc::new(Crew::new())).build().await.unwrap();
    let operator = Operator::new(&world, &folder, &wire.url(&user, &name));
    let mut first = operator.spawn();
    operator.until_up(&mut first).await.expect("the first comes up");
    let mut second = operator.spawn();
    assert!(operator.until_up(&mut second).await.is_none(), "two servers on one folder");
    let printed = operator.log();
    drop(first);
    let mut third = operator.spawn();
    assert!(operator.until_up(&mut third).await.is_some(), "{}", operator.log());
    assert!(third.stop().await.success());
    world.shutdown().await;
    printed
}

/// Plays the main job while Baton is killed at these moments.
pub async fn play(moments: Vec<Moment>) -> Played {
    played(Killer::new(moments), false).await
}

/// The same with branches that go to a fork, while Baton is killed at these requests.
pub async fn play_to_fork(named: impl IntoIterator<Item = (&'static str, Phase)>) -> Played {
    played(Killer::at(named), true).await
}

async fn played(killer: Arc<Killer>, to_fork: bool) -> Played {
    let database = TestDatabase::new().await;
    let temporary = tempfile::Builder::new().prefix("baton-kill-").tempdir().unwrap();
    let folder = temporary.path().to_owned();
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o711)).unwrap();
    let Address::Socket { folder: socket, user, database: name } = database.address() else {
        panic!("the tests' server is reached by its socket")
    };
    let wire = Wire::listen(folder.join("wire"), &socket, Arc::clone(&killer));
    let mut recipe = Recipe::new(folder.join("world"), Arc::new(Crew::new()));
    if to_fork {
        forks::to_fork(&mut recipe);
    }
    let world = recipe.build().await.unwrap();
    let fork = to_fork.then(|| forks::make_fork(&world.github));
    world.github.set_probe(Some(killer.probe()));
    let operator = Operator::new(&world, &folder, &wire.url(&user, &name));
    let process = operator.spawn();
    killer.watch(process.pid());
    let pool = database.pool.clone();
    let problem = None;
    let mut job =
        Job { world, pool, folder, issue: 0, retries: 0, fork, operator, killer, process, problem };
    job.whole().await;
    job.end().await
}

impl Job {
    async fn whole(&mut self) {
        self.keep_up().await;
        let mara = self.world.github.as_user(MAINTAINER);
        let (title, body) = sample::issue();
        self.issue = mara.open_issue(REPOSITORY, title, body).unwrap();
        mara.label(REPOSITORY, self.issue, "baton").unwrap();
        let playing = async {
            while self.problem.is_none() && !self.is_done().await {
                self.keep_up().await;
                self.act().await;
                tokio::time::sleep(LOOK).await;
            }
        };
        if tokio::time::timeout(PATIENCE, playing).await.is_err() {
            let states = ending::states(&self.pool).await;
            self.problem = Some(format!("it was not done in time: {states}"));
        }
    }

    /// Starts Baton again as often as it was killed, and points GitHub at it.
    async fn keep_up(&mut self) {
        let mut is_new = self.issue == 0;
        loop {
            if self.process.ended().is_some() {
                if !self.process.was_killed() {
                    self.problem =
                        Some(format!("baton ended by itself: {:?}", self.process.ended()));
                    return;
                }
                self.process = self.operator.spawn();
                self.killer.watch(self.process.pid());
                is_new = true;
            }
            if !is_new {
                return;
            }
            if let Some(address) = self.operator.until_up(&mut self.process).await {
                self.world.github.set_webhook_url(&format!("http://{address}/webhook"));
                is_new = false;
            }
        }
    }

    /// What mara does as soon as there is something to do.
    async fn act(&mut self) {
        let github = &self.world.github;
        let mara = github.as_user(MAINTAINER);
        let asking = "- [ ] **Approve this plan**";
        let comments = github.comments(REPOSITORY, self.issue);
        if let Some(comment) = comments.iter().find(|comment| comment.body.contains(asking)) {
            mara.tick(REPOSITORY, comment.id, "Approve this plan").unwrap();
        }
        for issue in github.issues(REPOSITORY) {
            if issue.pull.is_some_and(|pull| !pull.draft && pull.merged.is_none()) {
                mara.merge_pull(REPOSITORY, issue.number, None).unwrap();
            }
        }
        if let Some((detail, endings)) = self.parked().await
            && endings > self.retries
        {
            // A deployment that Baton died over is not repeated before somebody has looked.
            let is_deployment = detail.to_string().contains("deploy");
            if !is_deployment || endings > self.retries + 1 {
                self.problem = Some(format!("it is parked: {detail}"));
            }
            self.retries = endings;
            mara.comment(REPOSITORY, self.issue, "/baton retry").unwrap();
        }
    }

    async fn parked(&self) -> Option<(serde_json::Value, i32)> {
        let parked = "SELECT state_data, endings FROM tasks WHERE state = 'parked'";
        sqlx::query_as(parked).fetch_optional(&self.pool).await.unwrap()
    }

    /// Whether the task is done, all of it is said, and the echoes of that were heard.
    async fn is_done(&self) -> bool {
        let heard = || {
            let deliveries = self.world.github.deliveries();
            deliveries.iter().all(|delivery| delivery.status_code.is_some())
        };
        self.is_settled().await && heard() && self.is_settled().await
    }

    async fn is_settled(&self) -> bool {
        let settled = "SELECT EXISTS (SELECT FROM tasks WHERE state = 'done')
            AND NOT EXISTS (SELECT FROM tasks WHERE state NOT IN ('done', 'cancelled'))
            AND NOT EXISTS (SELECT FROM jobs WHERE lane <> 'sweep' OR lease_token IS NOT NULL)
            AND NOT EXISTS (SELECT FROM reports WHERE applied_version < wanted_version)";
        sqlx::query_scalar(settled).fetch_one(&self.pool).await.unwrap()
    }

    /// Stops everything and looks at what is left.
    async fn end(self) -> Played {
        self.killer.rest();
        let Self { world, pool, folder, issue, retries, fork, operator, killer, process, problem } =
            self;
        let status = process.stop().await;
        let mut problems: Vec<String> = problem.into_iter().collect();
        if !status.success() {
            problems.push(format!("baton stopped with {status}"));
        }
        let kills = killer.kills();
        if problems.is_empty() {
            let lost_at_most = kills.len();
            problems.extend(ending::on_github(&world.github, issue));
            problems.extend(fork.into_iter().flat_map(|fork| forks::wrong(&world.github, fork)));
            problems.extend(ending::in_database(&pool, lost_at_most, retries).await);
        }
        problems.extend(ending::on_machine(&folder).await);
        let (requests, commits) = killer.counted();
        world.shutdown().await;
        Played { requests, commits, kills, problems, log: operator.log() }
    }
}
