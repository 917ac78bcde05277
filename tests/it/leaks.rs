//! Many short agents in a row, while agents and Baton itself are killed: nothing of them stays.
//!
//! The usual test plays some of them. Five hundred:
//! `cargo test --test it -- --ignored --nocapture five_hundred_agents`.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf, sync::Arc, time::Duration};

use baton::cli::demo::world::{MAINTAINER, REPOSITORY, Recipe, World};
use emulators::{models::Crew, sample};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use rustix::process::{Pid, Signal, kill_process};
use sqlx::PgPool;
use tempfile::TempDir;

use crate::support::{
    database::TestDatabase,
    leftovers,
    machine::{Held, mounts, sockets},
    server::{Operator, Process, database_url},
};

/// How long one agent may take, with the restart of Baton in it, on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(10);

/// What happens to an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Nothing: it makes its plan.
    Lives,
    /// One of its processes is killed.
    Killed,
    /// Baton is killed while it runs, and started again.
    Orphaned,
}

/// A Baton process in its world.
struct Row {
    world: World,
    database: TestDatabase,
    folder: TempDir,
    operator: Operator,
    process: Process,
    killed: [usize; 2],
}

impl Row {
    async fn begin() -> Self {
        let database = TestDatabase::new().await;
        let folder = tempfile::Builder::new().prefix("baton-row-").tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o711)).unwrap();
        let temporary = folder.path().join("tmp");
        fs::create_dir(&temporary).unwrap();
        fs::set_permissions(&temporary, fs::Permissions::from_mode(0o1777)).unwrap();
        let recipe = Recipe::new(folder.path().join("world"), Arc::new(Crew::new()));
        let world = recipe.build().await.unwrap();
        let url = database_url(&database.address());
        let operator = Operator::new(&world, folder.path(), &url)
            .with("TMPDIR", &temporary.display().to_string());
        let process = operator.spawn();
        let mut row = Self { world, database, folder, operator, process, killed: [0; 2] };
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
    async fn agent(&mut self, fate: Fate, random: &mut StdRng) {
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
    async fn one_of_the_agents(&self, random: &mut StdRng) -> Option<Pid> {
        let workspaces = self.data().join("workspaces");
        let over = "SELECT count(*) > 0 FROM tasks WHERE state IN ('waiting', 'parked')";
        loop {
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
        let look = async {
            while !sqlx::query_scalar::<_, bool>(statement).fetch_one(self.pool()).await.unwrap() {
                tokio::time::sleep(LOOK).await;
            }
        };
        if tokio::time::timeout(PATIENCE, look).await.is_err() {
            let told = leftovers::overview(self.pool()).await;
            panic!("in vain for {what}:\n{told}\n{}", self.operator.log());
        }
    }

    /// Waits until Baton has nothing to do, and looks at what it holds then.
    async fn held(&mut self) -> Held {
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
    fn left(&self) -> Vec<String> {
        let own = self.process.pid().as_raw_nonzero().to_string();
        let mut left = leftovers::processes_of(&self.data());
        left.retain(|line| line.split(' ').nth(2) != Some(own.as_str()));
        left.extend(mounts(self.folder.path(), self.process.pid()));
        left.extend(leftovers::of_workspaces(&self.data()));
        let temporary = fs::read_dir(self.folder.path().join("tmp")).unwrap().flatten();
        left.extend(temporary.map(|entry| format!("a temporary file: {:?}", entry.path())));
        left
    }
}

fn trash(data: &std::path::Path) -> usize {
    fs::read_dir(data.join("trash")).map_or(0, Iterator::count)
}

/// Plays so many agents; the first few show what Baton holds by itself.
async fn in_a_row(agents: usize) {
    let mut row = Row::begin().await;
    let mut random = StdRng::seed_from_u64(7);
    for fate in [Fate::Lives, Fate::Killed, Fate::Orphaned, Fate::Lives, Fate::Killed] {
        row.agent(fate, &mut random).await;
    }
    let first = row.held().await;
    let first_sockets = sockets(row.folder.path());
    // In the last third Baton lives on, so that its memory tells something.
    let mut settled = None;
    for number in 0..agents {
        let calm = number >= agents * 2 / 3;
        if calm && settled.is_none() {
            row.agent(Fate::Lives, &mut random).await;
            settled = Some(row.held().await);
        }
        let fate = match random.random_range(0..5) {
            0 => Fate::Killed,
            1 if !calm => Fate::Orphaned,
            _ => Fate::Lives,
        };
        row.agent(fate, &mut random).await;
    }
    let last = row.held().await;
    let settled = settled.unwrap_or_else(|| last.clone());
    let [of_agents, of_baton] = row.killed;
    println!(
        "{agents} agents, {of_agents} killed, Baton killed {of_baton} times; memory {} KiB after {} of them, \
         {} KiB at the end; descriptors {:?}",
        settled.memory,
        agents * 2 / 3,
        last.memory,
        last.descriptors
    );
    assert!(of_agents > 0 && of_baton > 0, "nothing was killed");
    assert_eq!(row.left(), [] as [String; 0]);
    assert_eq!(sockets(row.folder.path()), first_sockets);
    let more: Vec<_> = last.files.difference(&first.files).collect();
    assert!(more.is_empty(), "files that were not there before: {more:#?}");
    for kind in ["anon_inode", "pidfd", "pid", "mnt", "net", "user"] {
        let count = |held: &Held| held.descriptors.get(kind).copied().unwrap_or(0);
        assert!(count(&last) <= count(&settled), "{kind}: {settled:?} {last:?}");
    }
    // An allocator keeps some of what it had; an agent that stayed would be far more than this.
    let grown = last.memory.saturating_sub(settled.memory);
    assert!(grown < 4096 + 20 * agents as u64 / 3, "{grown} KiB more than before");
    let Row { world, database, folder, process, .. } = row;
    assert!(process.stop().await.success());
    world.shutdown().await;
    let left = leftovers::of_processes(folder.path()).await;
    assert!(left.is_empty(), "{left:#?}");
    drop(database);
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_in_a_row_that_are_killed_now_and_then_leave_nothing() {
    in_a_row(12).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes about half an hour"]
async fn five_hundred_agents_in_a_row_leave_nothing() {
    in_a_row(500).await;
}
