//! `baton logs TASK`.

use std::{collections::BTreeMap, time::Duration};

use clap::Args;

use super::{
    database::{At, Opened},
    output,
};
use crate::{
    db::{
        agent_lines::{self, Line},
        overview,
    },
    model::{AgentId, TaskId},
};

/// Prints what a task's agents printed.
#[derive(Debug, Args)]
pub(super) struct Logs {
    /// The task's id, as `baton tasks` lists it
    task: i64,
    /// Prints one agent's lines alone, by its id, as `baton agents` lists it
    #[arg(long)]
    agent: Option<i64>,
    /// Begins after the line of this number; each agent counts its own
    #[arg(long, default_value_t = 0, requires = "agent", value_name = "NUMBER")]
    from: i64,
    /// Goes on with what is printed from now on, until the last agent of the task has ended
    #[arg(long, short)]
    follow: bool,
}

/// Lines a query.
const PAGE: i64 = 1000;
/// Between two looks for more. Lines reach the database within 25 ms.
const LOOK: Duration = Duration::from_millis(200);

impl Logs {
    pub async fn run(&self, at: &At) -> anyhow::Result<u8> {
        let opened = at.open().await?;
        let mut read = BTreeMap::new();
        let mut looks_left = 2;
        loop {
            // Asked before reading: what an agent that has ended had printed is there by the next look.
            let at_work =
                self.follow && overview::is_at_work(&opened.pool, TaskId(self.task)).await?;
            self.print_new(at, &opened, &mut read).await?;
            looks_left = if at_work { 2 } else { looks_left - 1 };
            if !self.follow || looks_left == 0 {
                break;
            }
            tokio::time::sleep(LOOK).await;
        }
        opened.close().await;
        Ok(0)
    }

    /// Prints the lines after those that were read, agent after agent.
    async fn print_new(
        &self,
        at: &At,
        opened: &Opened,
        read: &mut BTreeMap<AgentId, i64>,
    ) -> anyhow::Result<()> {
        let mut agents = overview::list_agents(&opened.pool, TaskId(self.task)).await?;
        agents.retain(|(agent, _)| self.agent.is_none_or(|wanted| *agent == AgentId(wanted)));
        if agents.is_empty() && !self.follow {
            anyhow::bail!(
                "task {} has no such agents; baton tasks --all lists all tasks, baton agents --all all agents",
                self.task
            );
        }
        for (agent, label) in agents {
            let after = read.entry(agent).or_insert(self.from);
            loop {
                let lines = agent_lines::list_after(&opened.pool, agent, *after, PAGE).await?;
                let Some(last) = lines.last() else { break };
                *after = last.seq;
                lines.iter().for_each(|line| self.print(at, &label, line));
            }
        }
        Ok(())
    }

    fn print(&self, at: &At, label: &str, line: &Line) {
        if at.json {
            let row = serde_json::json!({
                "agent": line.agent, "stage": label, "seq": line.seq, "at": line.at,
                "stream": line.stream, "text": line.text,
            });
            println!("{row}");
            return;
        }
        let time = line.at.format("%H:%M:%S");
        let number = self.agent.map(|_| format!("{} ", line.seq)).unwrap_or_default();
        println!("{time} {number}{label} {} | {}", line.stream, output::plain(&line.text));
    }
}
