//! Agents for somebody at the command line: the same runtime, gateway and prompts as a server's, on a
//! repository of this machine, without GitHub and without a database.
//!
//! - `books`    – who the agents are and what they have spent, in memory
//! - `building` – the repository's policy, and what agents build with
//! - `work`     – one request, from its prompt to a branch
//! - `quarters` – the folder that they work in, which the next command on the repository finds
//! - `left`     – what a command that was killed left there

mod books;
mod building;
mod left;
mod quarters;
mod work;

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use anyhow::{Context, bail};

use super::{parts, place};
use crate::{
    agent::{Ground, Prompts, Runtime},
    clock::Clock,
    config::{self, SandboxChoice},
    gateway::Gateway,
    model::{Keep, Micros, RepositoryId},
    workspace::{self, Rules},
};
use books::Books;
use quarters::Quarters;

pub use crate::{
    agent::{Note, Order, Wires},
    model::Fetch,
    workspace::Local as Repository,
};
pub use left::{Kept, Left};
pub use work::{Change, Done, Work};

/// The one repository there is.
const REPOSITORY: RepositoryId = RepositoryId(1);

/// How agents are run for somebody at the command line.
#[derive(Debug, Clone)]
pub struct Options {
    /// The program that sandboxes have inside; this very executable unless it is another's.
    pub bridge: Option<PathBuf>,
    /// What all agents together may cost.
    pub budget: Micros,
    /// On the bare machine instead of in a sandbox: for somebody who asked for just that.
    pub bare: bool,
}

/// A repository with what agents on it need. Of its folder the copy of the repository and what set-ups brought stay
/// for the next command, and what agents were at when this one is killed.
pub struct Local {
    repository: workspace::Local,
    runtime: Runtime,
    gateway: Gateway,
    books: Arc<Books>,
    prompts: Prompts,
    /// What its commits are held to before they are given to the repository.
    rules: Rules,
    /// What agents build with; none where policy says nothing of it.
    ground: Option<Ground>,
    provider: String,
    model: String,
    /// Only one branch at a time is given to the repository.
    handing_over: tokio::sync::Mutex<()>,
    quarters: Quarters,
    /// How many agents are in the folder whose work could not be taken over yet: numbers that are taken.
    taken: i64,
}

impl Local {
    /// Copies the repository's commit and starts what agents need.
    ///
    /// # Errors
    /// When a part cannot start, or the sandbox does not hold: the text says what to do.
    pub async fn start(
        config: config::Local,
        repository: workspace::Local,
        options: Options,
    ) -> anyhow::Result<Self> {
        let mut agents = config.agents;
        if options.bare {
            agents.sandbox = SandboxChoice::Host;
        }
        let quarters = Quarters::take(&std::env::temp_dir(), &repository.folder)
            .context("taking a folder for the agents")?;
        let data = place::prepare(quarters.folder())?;
        let books = Arc::new(Books::new(options.budget));
        let settings = parts::gateway_settings(&agents, &data, &[]);
        let gateway = Gateway::start(settings, Arc::clone(&books) as _, Clock::system())?;
        let bridge = options.bridge.map_or_else(std::env::current_exe, Ok)?;
        let tools = parts::toolchains(&config.tools);
        let runtime = parts::runtime(&agents, tools, &bridge, &data, &gateway)?;
        if let Some(remedy) = runtime.test().await {
            gateway.stop().await;
            bail!("no agent can start: {remedy}");
        }
        collect(&runtime.workspaces)?;
        let copied = runtime.workspaces.copy(REPOSITORY, &repository).await;
        copied.with_context(|| format!("copying {}", repository.folder.display()))?;
        let policy = building::policy_at(&runtime, &repository.head).await?;
        let ground = match options.bare {
            true => None,
            false => building::ground(&runtime, &repository.head, &policy, &config.limits).await?,
        };
        let secrets = parts::model_keys(&agents).cloned().collect();
        let rules = Rules { protected: policy.protected, secrets, ..Rules::default() };
        Ok(Self {
            repository,
            runtime,
            gateway,
            books,
            prompts: Prompts::embedded()?,
            rules,
            ground,
            provider: agents.provider,
            model: agents.model,
            handing_over: tokio::sync::Mutex::new(()),
            taken: newest_of(&quarters)?,
            quarters,
        })
    }

    /// What all agents have cost so far.
    #[must_use]
    pub fn spent(&self) -> Micros {
        self.books.spent()
    }

    /// Ends the gateway; no agent may be at work any more.
    pub async fn stop(self) {
        self.gateway.stop().await;
    }
}

/// The highest number of an agent whose work is still to be taken over.
fn newest_of(quarters: &Quarters) -> anyhow::Result<i64> {
    let begun = quarters.begun().context("reading what an earlier command began")?;
    Ok(begun.iter().map(|begun| begun.agent.0).max().unwrap_or(0))
}

/// Takes away what earlier commands brought and none has used for long.
fn collect(workspaces: &workspace::Workspaces) -> anyhow::Result<()> {
    let keep = Keep::default();
    let age = Duration::from_secs(u64::from(keep.days) * 24 * 3600);
    workspaces.collect(&keep, SystemTime::now())?;
    workspaces.collect_layers(Clock::system().now() - age, keep.bytes)?;
    Ok(())
}

/// A minute of an agent's time limits.
const MINUTE: Duration = Duration::from_secs(60);
