//! Agents for somebody at the command line: the same runtime, gateway and prompts as a server's, on a
//! repository of this machine, without GitHub and without a database.
//!
//! - `books`    – who the agents are and what they have spent, in memory
//! - `building` – the repository's policy, and what agents build with
//! - `work`     – one request, from its prompt to a branch

mod books;
mod building;
mod work;

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context, bail};
use tempfile::TempDir;

use super::{parts, place};
use crate::{
    agent::{Ground, Prompts, Runtime},
    clock::Clock,
    config::{self, SandboxChoice},
    gateway::Gateway,
    model::{Micros, RepositoryId},
    workspace::{self, Rules},
};
use books::Books;

pub use crate::{
    agent::{Note, Order, Wires},
    model::Fetch,
    workspace::Local as Repository,
};
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

/// A repository with what agents on it need. Nothing of it is left when it is stopped or dropped.
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
    _folder: TempDir,
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
        let folder = tempfile::Builder::new().prefix("baton-run-").tempdir()?;
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o711))?;
        let data = place::prepare(folder.path())?;
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
            _folder: folder,
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

/// A minute of an agent's time limits.
const MINUTE: Duration = Duration::from_secs(60);
