//! `baton pause` and `baton resume`.

use clap::Args;

use super::{database::At, output};
use crate::queue::{self, Scope};

/// Lets nothing new start.
#[derive(Debug, Args)]
pub(super) struct Pause {
    /// The reason, for whoever looks
    #[arg(default_value = "paused by the operator")]
    reason: String,
}

/// Ends a pause.
#[derive(Debug, Args)]
pub(super) struct Resume {}

impl Pause {
    pub async fn run(&self, at: &At) -> anyhow::Result<u8> {
        let opened = at.open().await?;
        queue::pause(&opened.pool, Scope::All, &self.reason, opened.clock.now()).await?;
        output::done(
            at.json,
            "Paused: no job is claimed any more. Agents that run go on to their end; baton stop --all ends them.",
        );
        opened.close().await;
        Ok(0)
    }
}

impl Resume {
    pub async fn run(&self, at: &At) -> anyhow::Result<u8> {
        let opened = at.open().await?;
        // A server in another process looks by itself within a second.
        let _ = queue::resume(&opened.pool, Scope::All, opened.clock.now()).await?;
        output::done(at.json, "Resumed: waiting jobs are claimed again.");
        opened.close().await;
        Ok(0)
    }
}
