//! `baton demo`: the main job, live, on this machine alone.
//!
//! - `world` – what it is played in
//! - `play`  – what the maintainer does
//! - `show`  – what is shown while it happens, and at the end

mod play;
mod show;
pub mod world;

use std::{path::PathBuf, sync::Arc, time::Duration};

use clap::Args;
use emulators::models::Crew;

use super::database::{At, environment};
use crate::{
    app::Server,
    config::{self, SandboxChoice},
    telemetry::{self, Format},
};
use play::Wish;
use world::{Recipe, World};

/// Plays the main job on this machine.
#[derive(Debug, Args)]
pub(super) struct Demo {
    /// Leaves everything running at the end and prints the addresses
    #[arg(long)]
    keep: bool,
    /// `claude`, `codex` or `command`; claude where it can be had
    #[arg(long)]
    provider: Option<String>,
    /// Undoes the merged fix by hand before it is deployed: the demo then has to end red
    #[arg(long)]
    sabotage: bool,
    /// Asks the real model, with the key in your environment, instead of the scripted one
    #[arg(long, conflicts_with = "sabotage")]
    live: bool,
    /// Plays on a copy of this repository of yours instead of the sample
    #[arg(long, requires = "live", requires = "issue")]
    repo: Option<PathBuf>,
    /// The issue that is opened there; its first line is the title
    #[arg(long, requires = "repo")]
    issue: Option<String>,
}

/// How long the whole may take with the scripted model, and with a real one.
const LIMITS: [Duration; 2] = [Duration::from_secs(300), Duration::from_secs(4 * 3600)];

impl Demo {
    pub async fn run(&self, at: &At) -> anyhow::Result<u8> {
        telemetry::start(
            Format::Text,
            std::env::var("BATON_LOG").ok().or(Some("error".to_owned())).as_deref(),
        );
        let wish = match &self.issue {
            Some(text) => Wish::of_text(text),
            None => Wish::of_sample(self.sabotage),
        };
        let live = match self.live {
            true => Some(self.live(at)?),
            false => None,
        };
        let folder = tempfile::Builder::new().prefix("baton-demo-").tempdir()?;
        let (world, server, notes) = self.set_up(folder.path().to_owned(), live).await?;
        show::header(&world, &server, &notes);
        let limit = LIMITS[usize::from(self.live)];
        let played = tokio::time::timeout(limit, play::whole(&world, &server, &wish)).await;
        let done = match played {
            Ok(done) => done?,
            Err(_) => {
                println!("\nThe demo did not end within {} s.", limit.as_secs());
                false
            }
        };
        show::ending(&world, &server, done).await?;
        if self.keep {
            show::addresses(&world, &server);
            tokio::signal::ctrl_c().await?;
        }
        server.stop().await;
        world.shutdown().await;
        Ok(u8::from(!done))
    }

    /// The operator's own agents.
    fn live(&self, at: &At) -> anyhow::Result<config::Local> {
        let mut environment = environment();
        environment
            .extend(self.provider.iter().map(|name| ("BATON_PROVIDER".into(), name.clone())));
        Ok(config::Local::read(environment, at.file()?.as_deref())?)
    }

    /// Builds the world and starts Baton, with the best of what this machine has.
    async fn set_up(
        &self,
        folder: PathBuf,
        live: Option<config::Local>,
    ) -> anyhow::Result<(World, Server, Vec<String>)> {
        let mut notes = Vec::new();
        let claude = std::env::var_os("BATON_CLAUDE")
            .map(PathBuf::from)
            .or_else(crate::app::installed_claude);
        let codex =
            std::env::var_os("BATON_CODEX").map(PathBuf::from).or_else(crate::app::installed_codex);
        let configured = live.as_ref().map(|live| live.agents.provider.clone());
        let provider = match (configured.as_ref().or(self.provider.as_ref()), &claude) {
            (Some(provider), _) => provider.clone(),
            (None, Some(_)) => "claude".to_owned(),
            (None, None) => {
                notes.push(
                    "The claude program is not installed, so a small agent of the command provider plays its part. \
                     npm ci installs it."
                        .to_owned(),
                );
                "command".to_owned()
            }
        };
        let recipe = |folder: PathBuf, sandbox| Recipe {
            provider: provider.clone(),
            claude: claude.clone(),
            codex: codex.clone(),
            sandbox,
            copy_of: self.repo.clone(),
            live: live.clone(),
            ..Recipe::new(folder, Arc::new(Crew::new()))
        };
        let world = recipe(folder.join("world"), SandboxChoice::Bubblewrap).build().await?;
        let server = world.start_baton().await?;
        let Some(remedy) = server.pipeline().parts().runtime.remedy() else {
            return Ok((world, server, notes));
        };
        server.stop().await;
        world.shutdown().await;
        if self.live {
            anyhow::bail!(
                "no agent can start, and a real model is given no bare machine: {remedy}"
            );
        }
        notes.push(format!(
            "NO SANDBOX. {remedy}. The demo's agents run on the bare machine instead, which baton serve never does."
        ));
        let world = recipe(folder.join("bare"), SandboxChoice::Host).build().await?;
        let server = world.start_baton().await?;
        Ok((world, server, notes))
    }
}
