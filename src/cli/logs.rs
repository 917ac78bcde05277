//! `baton logs TASK`.

use clap::Args;

use super::{database::At, output};
use crate::{
    db::{agent_lines, overview},
    model::TaskId,
};

/// Prints what a task's agents printed.
#[derive(Debug, Args)]
pub(super) struct Logs {
    /// The task's id, as `baton tasks` lists it
    task: i64,
}

/// Lines a query.
const PAGE: i64 = 1000;

impl Logs {
    pub async fn run(&self, at: &At) -> anyhow::Result<u8> {
        let opened = at.open().await?;
        let agents = overview::list_agents(&opened.pool, TaskId(self.task)).await?;
        if agents.is_empty() {
            anyhow::bail!("task {} has no agents; baton tasks --all lists all tasks", self.task);
        }
        for (agent, label) in agents {
            let mut after = 0;
            loop {
                let lines = agent_lines::list_after(&opened.pool, agent, after, PAGE).await?;
                let Some(last) = lines.last() else { break };
                after = last.seq;
                for line in &lines {
                    if at.json {
                        let row = serde_json::json!({
                            "agent": agent, "stage": label, "seq": line.seq, "at": line.at,
                            "stream": line.stream, "text": line.text,
                        });
                        println!("{row}");
                    } else {
                        let time = line.at.format("%H:%M:%S");
                        println!("{time} {label} {} | {}", line.stream, output::plain(&line.text));
                    }
                }
            }
        }
        opened.close().await;
        Ok(0)
    }
}
