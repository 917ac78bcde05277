//! What all agents of one Baton share: the sandbox, the workspaces, the programs.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    time::Instant,
};

use super::{Toolchains, inside::Inside, limit::LimitOf, sampler::InUse, tending};
use crate::{
    egress::Exits,
    model::{AgentId, Barred, Ceiling, Timestamp},
    sandbox::{Gateway, Kind, Mount, Owner, Sandbox, kill_users, own},
    workspace::{WorkspaceKey, Workspaces},
};

/// Where and how agents run.
pub struct Runtime {
    pub(super) sandbox: Arc<dyn Sandbox>,
    /// Mirrors and worktrees.
    pub workspaces: Workspaces,
    pub(super) programs: Programs,
    /// Tools of the machine that every sandbox sees.
    pub(super) tools: Toolchains,
    /// The ways out of set-ups.
    pub(super) exits: Exits,
    /// The gateway's socket on this machine.
    pub(super) gateway: PathBuf,
    /// The account that agents run as, when it is not Baton's own.
    owner: Option<Owner>,
    /// When a model API that gives no more is likely to give again.
    pub(super) quota_back: Box<QuotaBack>,
    /// At which limit the gateway stopped an agent.
    pub(super) limit_of: Box<LimitOf>,
    /// The agents that run now.
    pub(super) in_use: InUse,
    /// Whether Baton's own tools answer.
    pub(super) tools_told: tending::Tools,
    /// What each agent and each command may take in all.
    pub(super) ceiling: Ceiling,
    /// What the gateway refused an agent.
    refused: Box<RefusedOf>,
    expected: Mutex<BTreeMap<AgentId, Instant>>,
    /// Why nothing may start, with the remedy.
    remedy: RwLock<Option<String>>,
}

/// Says when asking the model API again makes sense; asked when it gave no more.
pub type QuotaBack = dyn Fn() -> Timestamp + Send + Sync;

/// Says what the gateway refused an agent since it was last asked.
pub type RefusedOf = dyn Fn(AgentId) -> Vec<Barred> + Send + Sync;

/// The programs that agents are.
#[derive(Debug, Clone, Default)]
pub struct Programs {
    /// The native `claude` program.
    pub claude: Option<PathBuf>,
    /// The native `codex` program.
    pub codex: Option<PathBuf>,
    /// The program of the `command` provider, with its arguments; files among them are shown inside.
    pub command: Vec<String>,
    /// What else of the machine agents and commands may use.
    pub tools: Toolchains,
    /// The images that a repository may choose besides the sandbox's own.
    pub images: Vec<String>,
}

/// Where the `claude` program is inside.
const CLAUDE: &str = "/baton/claude";
/// Where the `codex` program is inside, or its package.
const CODEX: &str = "/baton/codex";
/// Where it is in an image that has one of its own, as the Dockerfile's `agent`; shown only where the machine
/// has none.
pub const IMAGE_CLAUDE: &str = "/usr/local/bin/claude";
/// The same of `codex`.
pub const IMAGE_CODEX: &str = "/opt/codex/bin/codex";
/// The gateway's port inside a network of one's own.
const PORT: u16 = 4000;
/// The egress proxy's port there.
pub(super) const EGRESS_PORT: u16 = 4001;

impl Runtime {
    /// Takes the parts together. Nothing starts before [`Runtime::test`] has passed.
    #[must_use]
    pub fn new(
        sandbox: Arc<dyn Sandbox>,
        workspaces: Workspaces,
        programs: Programs,
        gateway: PathBuf,
        owner: Option<Owner>,
        quota_back: Box<QuotaBack>,
        limit_of: Box<LimitOf>,
    ) -> Self {
        let remedy = RwLock::new(Some("the sandbox has not been tested yet".to_owned()));
        let tools = programs.tools.clone();
        let exits = Exits::new(workspaces.egress_folder());
        let (in_use, tools_told) = (InUse::default(), tending::Tools::default());
        Self {
            sandbox,
            workspaces,
            programs,
            tools,
            exits,
            gateway,
            owner,
            quota_back,
            limit_of,
            in_use,
            tools_told,
            ceiling: Ceiling::default(),
            refused: Box::new(|_| Vec::new()),
            expected: Mutex::default(),
            remedy,
        }
    }

    /// Lets each agent and each command take so much in all.
    #[must_use]
    pub fn within(self, ceiling: Ceiling) -> Self {
        Self { ceiling, ..self }
    }

    /// Asks this for what the gateway refuses agents.
    #[must_use]
    pub fn told_of(self, refused: Box<RefusedOf>) -> Self {
        Self { refused, ..self }
    }

    /// Which ways out an agent tried that the gateway closes, since this was last asked.
    #[must_use]
    pub fn refused(&self, agent: AgentId) -> Vec<Barred> {
        (self.refused)(agent)
    }

    /// Looks whether the sandbox holds. Until it does, no agent starts.
    pub async fn test(&self) -> Option<String> {
        let found = match self.sandbox.kind() {
            // It holds nothing, and no configuration names it: somebody at the command line asked for it.
            Kind::Host => None,
            Kind::Bubblewrap | Kind::Container => {
                self.sandbox.self_test().await.err().map(|error| error.to_string())
            }
        };
        *self.remedy.write().unwrap_or_else(PoisonError::into_inner) = found.clone();
        if found.is_none()
            && let Err(reason) = self.try_layers().await
        {
            tracing::warn!(%reason, "every workspace is checked out in full: no overlay can be mounted");
        }
        found
    }

    /// Looks whether workspaces can be laid over shared checkouts; until it has, they are checked out
    /// one by one.
    ///
    /// # Errors
    /// With the reason why they cannot.
    pub async fn try_layers(&self) -> Result<(), String> {
        try_layers(&self.sandbox, &self.workspaces).await
    }

    /// Why nothing may start, if so: the outcome of the last test.
    #[must_use]
    pub fn remedy(&self) -> Option<String> {
        self.remedy.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Where agents run.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.sandbox.kind()
    }

    /// The agents that a Baton before this one left running, and that nobody has gone on with yet.
    /// Each until when it may be there.
    pub(super) fn expected(&self) -> MutexGuard<'_, BTreeMap<AgentId, Instant>> {
        self.expected.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a workspace away; what cannot be deleted is told and left to the next sweep.
    pub(super) fn clear(&self, key: &WorkspaceKey) {
        if let Err(error) = self.workspaces.remove(key) {
            tracing::warn!(workspace = key.as_str(), %error, "a workspace could not be taken away");
        }
    }

    /// Takes workspaces away that no running agent uses, as a Baton that was killed leaves them, and
    /// deletes what was taken away before.
    ///
    /// # Errors
    /// When the trash cannot be read.
    pub fn clear_all(&self, keys: impl IntoIterator<Item = WorkspaceKey>) -> std::io::Result<()> {
        let keys: Vec<WorkspaceKey> = keys.into_iter().collect();
        let folders: Vec<PathBuf> = keys.iter().map(|key| self.workspaces.path(key)).collect();
        match kill_users(&folders) {
            0 => {}
            killed => {
                tracing::warn!(killed, "killed what a Baton before this one had left running");
            }
        }
        keys.iter().for_each(|key| self.clear(key));
        self.workspaces.empty_trash()
    }

    /// Gives a folder to the account that agents run as.
    pub(super) fn give_away(&self, folder: &Path) -> std::io::Result<()> {
        match self.owner {
            Some(owner) => own(folder, owner),
            None => Ok(()),
        }
    }

    /// The way to the gateway for one agent. On the bare host the port is the machine's own: one that is
    /// free now.
    pub(super) fn gateway(&self) -> std::io::Result<Gateway> {
        let port = match self.sandbox.kind() {
            Kind::Bubblewrap | Kind::Container => PORT,
            Kind::Host => TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port(),
        };
        Ok(Gateway { socket: self.gateway.clone(), port })
    }

    /// The provider's command line up to its own arguments, and what has to be shown inside for it.
    ///
    /// # Errors
    /// When the program is not on this machine: the text says what to set.
    pub(super) fn program(&self, provider: &str) -> Result<(Vec<String>, Vec<Mount>), String> {
        match provider {
            "claude" => self.claude(),
            "codex" => self.codex(),
            "command" if self.programs.command.is_empty() => {
                Err("no program is set for the command provider: set command in [agents]"
                    .to_owned())
            }
            "command" => Ok((self.programs.command.clone(), shown(&self.programs.command))),
            other => Err(format!(
                "there is no provider {other:?}: policy may name claude, codex or command"
            )),
        }
    }

    fn claude(&self) -> Result<(Vec<String>, Vec<Mount>), String> {
        if self.programs.claude.is_none() && self.sandbox.image().is_some() {
            return Ok((vec![IMAGE_CLAUDE.to_owned()], Vec::new()));
        }
        let Some(path) = self.programs.claude.clone().filter(|path| path.is_file()) else {
            return Err(
                "the claude program is not on this machine: install it and set BATON_CLAUDE to it"
                    .to_owned(),
            );
        };
        if self.sandbox.kind() == Kind::Host {
            return Ok((vec![path.display().to_string()], Vec::new()));
        }
        let mount = Mount { host: path, inside: PathBuf::from(CLAUDE), writable: false };
        Ok((vec![CLAUDE.to_owned()], vec![mount]))
    }

    fn codex(&self) -> Result<(Vec<String>, Vec<Mount>), String> {
        if self.programs.codex.is_none() && self.sandbox.image().is_some() {
            return Ok((vec![IMAGE_CODEX.to_owned()], Vec::new()));
        }
        let Some(path) = self.programs.codex.clone().filter(|path| path.is_file()) else {
            return Err(
                "the codex program is not on this machine: install it and set BATON_CODEX to \
                        the native program"
                    .to_owned(),
            );
        };
        if self.sandbox.kind() == Kind::Host {
            return Ok((vec![path.display().to_string()], Vec::new()));
        }
        let (host, program) = match codex_package(&path) {
            Some(package) => (package.to_owned(), format!("{CODEX}/bin/codex")),
            None => (path, CODEX.to_owned()),
        };
        let mount = Mount { host, inside: PathBuf::from(CODEX), writable: false };
        Ok((vec![program], vec![mount]))
    }
}

/// The folder of a `codex` that lies in its package: beside it are the search and the inner sandbox that
/// it uses.
#[must_use]
pub fn codex_package(program: &Path) -> Option<&Path> {
    let package = program.parent()?.parent()?;
    package.join("codex-package.json").is_file().then_some(package)
}

/// Looks whether a sandbox can lay workspaces over shared checkouts.
///
/// # Errors
/// With the reason why it cannot.
pub async fn try_layers(sandbox: &Arc<dyn Sandbox>, workspaces: &Workspaces) -> Result<(), String> {
    workspaces.try_layers(&Inside(Arc::clone(sandbox))).await
}

/// The files among a command's words, shown at the same place.
fn shown(words: &[String]) -> Vec<Mount> {
    let files = words.iter().map(Path::new).filter(|word| word.is_absolute() && word.is_file());
    let outside_usr = files.filter(|file| !file.starts_with("/usr") && !file.starts_with("/bin"));
    outside_usr
        .map(|file| Mount { host: file.to_owned(), inside: file.to_owned(), writable: false })
        .collect()
}
