//! A Baton process in its world, one agent after the other, and what is on the machine of it.

use std::{
    collections::BTreeSet, fs, os::unix::fs::PermissionsExt, path::PathBuf, sync::Arc,
    time::Duration,
};

use baton::cli::demo::world::{MAINTAINER, REPOSITORY, Recipe, World};
use emulators::{models::Crew, sample};
use rand::{RngExt, rngs::StdRng};
use rustix::process::{Pid, Signal, kill_process};
use sqlx::PgPool;
use tempfile::TempDir;

use super::Fate;
use crate::support::{
    database::TestDatabase,
    leftovers,
    machine::{Held, mounts, sockets},
    place::Place,
    remains,
    server::{Operator, Process, database_url},
};

/// How long one agent may take, with the restart of Baton in it, on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(10);

/// A Baton process in its world.
pub struct Row {
    pub place: Place,
    world: World,
    database: TestDatabase,
    folder: TempDir,
    operator: Operator,
    process: Process,
    /// Agents, and Baton.
    pub killed: [usize; 2],
    /// The containers that were seen.
    containers: BTreeSet<String>,
    /// Groups that were there before.
    groups: BTreeSet<PathBuf>,
}

impl Row {
    pub async fn begin(place: Place) -> Self {
        let database = TestDatabase::new().await;
        let folder = tempfile::Builder::new().prefix("baton-row-").tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o711)).unwrap();
        let temporary = folder.path().join("tmp");
        fs::create_dir(&temporary).unwrap();
        fs::set_permissions(&temporary, fs::Permissions::from_mode(0o1777)).unwrap();
        let recipe = Recipe::new(folder.path().join("world"), Arc::new(Crew::new()));
        let recipe = Recipe { sandbox: place.choice(), ..recipe };
        let world = recipe.build().await.unwrap();
        let url = database_url(&database.address());
        let operator = Operator::new(&world, folder.path(), &url)
            .with("TMPDIR", &temporary.display().to_string());
        let process = operator.spawn();
        let containers = BTreeSet::new();
        let groups = remains::groups(process.pid(), &containers);
        let killed = [0; 2];
        let mut row =
            Self { place, world, database, folder, operator, process, killed, containers, groups };
        row.up().await;
        row
    }

    async fn up(&mut self) {
        let address = self.operator.until_up(&mut self.process).await;
        let address = address.unwrap_or_else(|| panic!("not up: {}", self.operator.log()));
        self.world.github.set_webhook_url(&format!("http://{address}/webhook"));
    }

    fn data(&self) -> PathBuf {
        self.world.config.data.clone()
    }

    fn pool(&self) -> &PgPool {
        &self.database.pool
    }

    /// One task whose first agent meets its fate, to the point where nothing runs any more.
    pub async fn agent(&mut self, fate: Fate, random: &mut StdRng) {
        let (title, body) = sample::issue();
        let mara = self.world.github.as_user(MAINTAINER);
        let issue = mara.open_issue(REPOSITORY, title, body).unwrap();
        mara.label(REPOSITORY, issue, "baton").unwrap();
        match fate {
            Fate::Lives => {}
            Fate::Killed => self.kill_one(random).await,
            Fate::Orphaned => {
                self.one_of_the_agents(random).await;
                kill_process(self.process.pid(), Signal::KILL).unwrap();
                self.killed[1] += 1;
                while self.process.ended().is_none() {
                    tokio::time::sleep(LOOK).await;
                }
                self.process = self.operator.spawn();
                self.up().await;
            }
        }
        self.until(
            "the agent's end",
            "SELECT count(*) > 0 FROM tasks WHERE state IN ('waiting', 'parked')",
        )
        .await;
        self.world.github.as_user(MAINTAINER).close_issue(REPOSITORY, issue).unwrap();
        self.until("the task's end", "SELECT count(*) = 0 FROM tasks WHERE closed_at IS NULL")
            .await;
    }

    /// Kills any of the agent's processes, if one is seen before the agent has ended.
    async fn kill_one(&mut self, random: &mut StdRng) {
        if let Some(pid) = self.one_of_the_agents(random).await {
            // It may have ended by itself meanwhile.
            let _ = kill_process(pid, Signal::KILL);
            self.killed[0] += 1;
        }
    }

    /// A process of the agent that runs: of the sandbox, or the program itself. None if it was too quick.
    async fn one_of_the_agents(&mut self, random: &mut StdRng) -> Option<Pid> {
        let workspaces = self.data().join("workspaces");
        let over = "SELECT count(*) > 0 FROM tasks WHERE state IN ('waiting', 'parked')";
        loop {
            self.containers.extend(self.place.container_ids());
            let running = leftovers::processes_of(&workspaces);
            let pids = running.iter().filter_map(|it| it.split(' ').nth(2)?.parse().ok());
            let pids: Vec<i32> = pids.collect();
            if !pids.is_empty() {
                let chosen = random.random_range(0..pids.len());
                return Pid::from_raw(pids[chosen]);
            }
            if sqlx::query_scalar(over).fetch_one(self.pool()).await.unwrap() {
                return None;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn until(&mut self, what: &str, statement: &'static str) {
        let pool = self.pool().clone();
        let look = async {
            while !sqlx::query_scalar::<_, bool>(statement).fetch_one(&pool).await.unwrap() {
                self.containers.extend(self.place.container_ids());
                tokio::time::sleep(LOOK).await;
            }
        };
        if tokio::time::timeout(PATIENCE, look).await.is_err() {
            let told = leftovers::overview(self.pool()).await;
            panic!("in vain for {what}:\n{told}\n{}", self.operator.log());
        }
    }

    /// Waits until Baton has nothing to do, and looks at what it holds then.
    pub async fn held(&mut self) -> Held {
        let idle =
            "SELECT NOT EXISTS (SELECT FROM jobs WHERE lane <> 'sweep' OR lease_token IS NOT NULL)
            AND NOT EXISTS (SELECT FROM agents WHERE ended_at IS NULL)
            AND NOT EXISTS (SELECT FROM reports WHERE applied_version < wanted_version)";
        self.until("rest", idle).await;
        // What is deleted in the background is gone after a moment.
        let data = self.data();
        let looking = async {
            while leftovers::of_workspaces(&data).len() + trash(&data) > 0 {
                tokio::time::sleep(LOOK).await;
            }
        };
        let _ = tokio::time::timeout(PATIENCE, looking).await;
        Held::by(self.process.pid(), &data)
    }

    /// Everything that must not be there while Baton runs and has nothing to do.
    pub fn left(&self) -> Vec<String> {
        let own = self.process.pid().as_raw_nonzero().to_string();
        let mut left = leftovers::processes_of(&self.data());
        left.retain(|line| line.split(' ').nth(2) != Some(own.as_str()));
        left.extend(mounts(self.folder.path(), self.process.pid()));
        left.extend(leftovers::of_workspaces(&self.data()));
        let temporary = fs::read_dir(self.folder.path().join("tmp")).unwrap().flatten();
        left.extend(temporary.map(|entry| format!("a temporary file: {:?}", entry.path())));
        left.extend(remains::namespaces(self.process.pid(), self.folder.path()));
        let groups = remains::groups(self.process.pid(), &self.containers);
        let groups = groups.difference(&self.groups);
        left.extend(groups.map(|path| format!("a control group: {}", path.display())));
        left.extend(self.place.left());
        left
    }

    /// Sockets at a path of Baton's.
    pub fn sockets(&self) -> BTreeSet<String> {
        sockets(self.folder.path())
    }

    /// How many containers were seen.
    pub fn containers(&self) -> usize {
        self.containers.len()
    }

    /// Stops Baton and ends its world; gives what processes are left.
    pub async fn end(self) -> Vec<String> {
        let Self { world, database, folder, process, .. } = self;
        assert!(process.stop().await.success());
        world.shutdown().await;
        let left = leftovers::of_processes(folder.path()).await;
        drop(database);
        left
    }
}

fn trash(data: &std::path::Path) -> usize {
    fs::read_dir(data.join("trash")).map_or(0, Iterator::count)
}
