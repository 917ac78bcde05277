//! `baton stop TASK` and `baton stop --all`.

use clap::Args;

use super::{database::At, output};
use crate::{
    db::overview,
    model::{Command, TaskId},
    pipeline::operator,
};

/// Stops a task, or everything.
#[derive(Debug, Args)]
pub(super) struct Stop {
    /// The task's id, as `baton tasks` lists it
    #[arg(required_unless_present = "all")]
    task: Option<i64>,
    /// Stops every task that is at work or waiting
    #[arg(long, conflicts_with = "task")]
    all: bool,
}

impl Stop {
    pub async fn run(&self, at: &At) -> anyhow::Result<u8> {
        let opened = at.open().await?;
        let tasks = match self.task {
            Some(task) => vec![TaskId(task)],
            None => overview::list_stoppable(&opened.pool).await?,
        };
        for task in &tasks {
            // A server in another process looks by itself within a second.
            let _ = operator::give(&opened.pool, *task, Command::Stop, opened.clock.now()).await?;
        }
        let told = format!(
            "{} task(s) told to stop: agents are interrupted, what they have is kept.",
            tasks.len()
        );
        output::done(at.json, &told);
        opened.close().await;
        Ok(0)
    }
}
