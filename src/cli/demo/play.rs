//! What the maintainer does, and waiting for what follows.

use std::time::{Duration, Instant};

use emulators::sample;

use super::{
    show::Ticker,
    world::{MAINTAINER, World},
};
use crate::{app::Server, db::overview};

/// How often the terminal looks.
const LOOK: Duration = Duration::from_millis(100);

/// What the maintainer wants.
pub(super) struct Wish {
    /// The issue's title.
    pub title: String,
    /// Its text.
    pub body: String,
    /// Whether the merged fix is undone by hand before it is deployed.
    pub sabotage: bool,
}

impl Wish {
    /// The sample's issue.
    pub fn of_sample(sabotage: bool) -> Self {
        let (title, body) = sample::issue();
        Self { title: title.to_owned(), body: body.to_owned(), sabotage }
    }

    /// An issue in somebody's own words: its first line is the title.
    pub fn of_text(text: &str) -> Self {
        let (title, body) = text.trim().split_once('\n').unwrap_or((text.trim(), ""));
        Self { title: title.trim().to_owned(), body: body.trim().to_owned(), sabotage: false }
    }
}

/// Plays issue, label, approval and merge. True when the task reached `done`.
pub(super) async fn whole(world: &World, server: &Server, wish: &Wish) -> anyhow::Result<bool> {
    let repository = &world.repository;
    let mara = world.github.as_user(MAINTAINER);
    let mut ticker = Ticker::new(world, server, Instant::now());
    let issue = mara.open_issue(repository, &wish.title, &wish.body)?;
    ticker.person(&format!("opens issue #{issue}: {}", wish.title));
    mara.label(repository, issue, "baton")?;
    ticker.person("puts the label `baton` on it");

    let asked = ticker.until(|| asking(world, issue)).await;
    let Some(comment) = asked else { return ended(&mut ticker).await };
    mara.tick(repository, comment, "Approve this plan")?;
    ticker.person("ticks **Approve this plan**");

    let Some(pull) = ticker.until(|| mergeable(world)).await else {
        return ended(&mut ticker).await;
    };
    if wish.sabotage {
        undo_fix(world, pull)?;
        ticker.person("undoes the fix by hand on the branch");
    }
    mara.merge_pull(repository, pull, None)?;
    ticker.person(&format!("merges #{pull}"));
    ended(&mut ticker).await
}

/// Whether the task ended well, once it has ended.
async fn ended(ticker: &mut Ticker<'_>) -> anyhow::Result<bool> {
    Ok(ticker.until_ended().await? == "done")
}

/// The asking comment that waits for a tick.
fn asking(world: &World, issue: u64) -> Option<u64> {
    let comments = world.github.comments(&world.repository, issue);
    comments
        .into_iter()
        .find(|comment| comment.body.contains("- [ ] **Approve this plan**"))
        .map(|comment| comment.id)
}

/// The pull request that is ready: no draft any more.
fn mergeable(world: &World) -> Option<u64> {
    let pull = |number| world.github.pull(&world.repository, number);
    (1..20).find(|number| pull(*number).is_some_and(|pull| !pull.draft && pull.merged.is_none()))
}

/// Puts the sample's own source back on the branch of the pull request.
fn undo_fix(world: &World, pull: u64) -> anyhow::Result<()> {
    let (github, repository) = (&world.github, &world.repository);
    let branch = github.pull(repository, pull).map(|pull| pull.head_branch).unwrap_or_default();
    let files = sample::files();
    let source = files.iter().filter(|file| file.path.starts_with("src/"));
    let files: Vec<(&str, &[u8], bool)> =
        source.map(|file| (file.path, file.contents.as_bytes(), file.executable)).collect();
    let mara = github.as_user(MAINTAINER);
    mara.push_files(repository, &branch, &files, "Undo the fix")?;
    Ok(())
}

impl Ticker<'_> {
    /// Shows what happens until something is there, or the task is over without it.
    async fn until<T>(&mut self, look: impl Fn() -> Option<T>) -> Option<T> {
        loop {
            self.show().await;
            if let Some(found) = look() {
                return Some(found);
            }
            if self.state().await.is_some_and(|state| is_stuck(&state)) {
                self.show().await;
                return None;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Shows what happens until the task is over or parked, and GitHub says so; gives its state.
    async fn until_ended(&mut self) -> anyhow::Result<String> {
        loop {
            self.show().await;
            let state = self.state().await.unwrap_or_default();
            if is_stuck(&state) && self.all_said().await? {
                self.show().await;
                return Ok(state);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn state(&self) -> Option<String> {
        let pool = &self.server.pipeline().parts().pool;
        let tasks = overview::list_tasks(pool, true, 1).await.ok()?;
        tasks.into_iter().next().map(|task| task.state)
    }

    async fn all_said(&self) -> anyhow::Result<bool> {
        let parts = self.server.pipeline().parts();
        let figures = overview::figures(&parts.pool).await?;
        let lagging =
            crate::db::reports::count_lagging_since(&parts.pool, parts.clock.now()).await?;
        Ok(lagging == 0
            && figures.iter().all(|figure| figure.name != "jobs" || figure.label == "sweep"))
    }
}

/// Whether nothing more will happen by itself.
fn is_stuck(state: &str) -> bool {
    matches!(state, "done" | "cancelled" | "parked")
}
