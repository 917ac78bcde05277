//! `baton stop TASK`, `baton stop --agent ID` and `baton stop --all`.

use anyhow::bail;
use clap::Args;

use super::{database::At, output};
use crate::{
    db::{agents, overview},
    model::{AgentId, CancelledBy, Command, TaskId},
    pipeline::operator,
};

/// Stops a task, one agent, or everything.
#[derive(Debug, Args)]
pub(super) struct Stop {
    /// The task's id, as `baton tasks` lists it
    #[arg(required_unless_present_any = ["all", "agent"])]
    task: Option<i64>,
    /// Stops every task that is at work or waiting
    #[arg(long, conflicts_with = "task")]
    all: bool,
    /// Stops one agent, by its id as `baton agents` lists it; its task is parked then
    #[arg(long, conflicts_with_all = ["task", "all"])]
    agent: Option<i64>,
    /// Kills at once, rather than to interrupt
    #[arg(long)]
    now: bool,
}

impl Stop {
    pub async fn run(&self, at: &At) -> anyhow::Result<u8> {
        let opened = at.open().await?;
        // A server in another process looks by itself within a second.
        let whom = match (self.agent, self.task) {
            (Some(agent), _) => {
                let by = CancelledBy::Operator;
                let stop =
                    if self.now { crate::model::Stop::Kill } else { crate::model::Stop::Interrupt };
                if !agents::want_one(&opened.pool, AgentId(agent), stop, &by).await? {
                    bail!(
                        "no agent {agent} is at work or queued: `baton agents` lists those that are"
                    );
                }
                format!("agent {agent} was told to end")
            }
            (None, task) => {
                let tasks = match task {
                    Some(task) => vec![TaskId(task)],
                    None => overview::list_stoppable(&opened.pool).await?,
                };
                let command = Command::Stop { now: self.now };
                for task in &tasks {
                    let now = opened.clock.now();
                    let _ = operator::give(&opened.pool, *task, command.clone(), now).await?;
                }
                format!("{} task(s) told to stop", tasks.len())
            }
        };
        let how = if self.now { "killed" } else { "interrupted" };
        output::done(at.json, &format!("{whom}: agents are {how}, what they have is kept."));
        opened.close().await;
        Ok(0)
    }
}
