//! `baton costs`.

use chrono::TimeDelta;
use clap::Args;

use super::{database::At, output};
use crate::{db::overview, model::Micros};

/// Shows what was spent.
#[derive(Debug, Args)]
pub(super) struct Costs {
    /// How many days back
    #[arg(long, default_value_t = 7)]
    days: u16,
}

impl Costs {
    pub async fn run(&self, at: &At) -> anyhow::Result<u8> {
        let opened = at.open().await?;
        let since = opened.clock.now() - TimeDelta::days(i64::from(self.days));
        let lines = overview::list_costs(&opened.pool, since).await?;
        output::rows(at.json, &lines, |line| {
            let cost = Micros(line.cost_micros);
            format!(
                "{}  {cost:>8}  {}#{}  {} on {} ({} requests)",
                line.day, line.repository, line.number, line.stage, line.model, line.requests
            )
        })?;
        if !at.json {
            let all: Micros = lines.iter().map(|line| Micros(line.cost_micros)).sum();
            println!("{all} in {} day(s)", self.days);
        }
        opened.close().await;
        Ok(0)
    }
}
