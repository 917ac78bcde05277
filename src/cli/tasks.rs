//! `baton tasks`.

use clap::Args;

use super::{database::At, output};
use crate::{db::overview, model::Micros};

/// Lists tasks that are not over.
#[derive(Debug, Args)]
pub(super) struct Tasks {
    /// Lists those that are over, too
    #[arg(long)]
    all: bool,
}

/// How many are listed.
const LIMIT: i64 = 200;

impl Tasks {
    pub async fn run(&self, at: &At) -> anyhow::Result<u8> {
        let opened = at.open().await?;
        let lines = overview::list_tasks(&opened.pool, self.all, LIMIT).await?;
        output::rows(at.json, &lines, |line| {
            format!(
                "{:>5}  {:<25}  {}#{}  {}  {}",
                line.id,
                output::state(line),
                line.repository,
                line.number,
                Micros(line.spent_micros),
                output::plain(&line.title),
            )
        })?;
        if lines.is_empty() && !at.json {
            println!("No task is open.");
        }
        opened.close().await;
        Ok(0)
    }
}
