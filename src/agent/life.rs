//! One agent from its workspace to its outcome.

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use secrecy::SecretString;

use super::{
    Rendered, Runtime, Supplies, Wires,
    inside::Inside,
    limit::end_at,
    orders::Note,
    prompt, sampler,
    session::{self, Patience},
    supplies::Fitting,
};
use crate::{
    model::{
        AgentId, BranchName, CancelledBy, End, FailKind, Limited, Micros, Outcome, RepositoryId,
        Role, SessionId, Sha, TOOLS_PATH,
    },
    provider::{Command, Launch, ToolServer, by_name},
    sandbox::{Network, Spec},
    workspace::{Checkout, Identity, Import, Workspace, WorkspaceKey},
};

/// The largest session file that is kept.
const MAX_SESSION: u64 = 64 << 20;

/// Everything that one agent is started with.
pub struct Assignment {
    /// Its row.
    pub agent: AgentId,
    /// Who it plays.
    pub role: Role,
    /// `claude` or `command`.
    pub provider: String,
    /// The model.
    pub model: String,
    /// Its session.
    pub session: SessionId,
    /// What that session left when it was last saved; none for a new one.
    pub resume: Option<Vec<u8>>,
    /// What it is told.
    pub rendered: Rendered,
    /// Where it works; its mirror is fresh.
    pub repository: RepositoryId,
    /// From which commit.
    pub base: Sha,
    /// What it is given to build with.
    pub supplies: Option<Supplies>,
    /// Its own token for the gateway.
    pub token: SecretString,
    /// How long it may take.
    pub patience: Patience,
    /// Whose name is on its commits.
    pub identity: Identity,
    /// What each of its commits says it is of; empty where nobody asks.
    pub trailers: Vec<String>,
}

/// How a life went.
#[derive(Debug)]
pub struct Life {
    /// How it ended.
    pub end: End,
    /// What it concluded, when it succeeded.
    pub outcome: Option<Outcome>,
    /// The commit that it left, now in the mirror.
    pub head: Option<Sha>,
    /// Its session, to go on with.
    pub session: Option<Vec<u8>>,
    /// What the session has cost by the program's own count.
    pub cost: Option<Micros>,
    /// The limit that ended it, if one did.
    pub limited: Option<Limited>,
}

impl Life {
    fn failed(kind: FailKind) -> Self {
        Self::only(End::Failed(kind))
    }

    /// An end and nothing else.
    #[must_use]
    pub fn only(end: End) -> Self {
        Self { end, outcome: None, head: None, session: None, cost: None, limited: None }
    }

    /// Ended before it began.
    #[must_use]
    pub fn cancelled(by: CancelledBy) -> Self {
        Self::only(End::Cancelled(by))
    }
}

/// The folders of one agent beside its worktree, at the same place inside.
struct Folders {
    config: PathBuf,
    home: PathBuf,
    scratch: PathBuf,
}

impl Runtime {
    /// Plays an agent to its end. Afterwards no process and no folder of it is left.
    pub async fn play(&self, assignment: &Assignment, mut wires: Wires) -> Life {
        let key = WorkspaceKey::new(&format!("agent-{}", assignment.agent))
            .expect("digits and a hyphen are a key");
        let checkout = Checkout {
            repository: assignment.repository,
            base: assignment.base.clone(),
            branch: Some(BranchName::new("work").expect("a word is a branch")),
            identity: assignment.identity.clone(),
        };
        let workspace = match self.workspaces.prepare(&key, &checkout).await {
            Ok(workspace) => workspace,
            Err(error) => return Life::failed(FailKind::Setup(error.to_string())),
        };
        let life = match self.in_workspace(assignment, &workspace, &mut wires).await {
            Ok(life) => life,
            Err(problem) => Life::failed(FailKind::Setup(problem)),
        };
        self.clear(&key);
        life
    }

    async fn in_workspace(
        &self,
        assignment: &Assignment,
        workspace: &Workspace,
        wires: &mut Wires,
    ) -> Result<Life, String> {
        if !assignment.trailers.is_empty() {
            let signed = self.workspaces.sign(workspace, &assignment.trailers);
            signed.map_err(|error| error.to_string())?;
        }
        let folders =
            self.folders(workspace).map_err(|error| format!("the agent's folders: {error}"))?;
        let kind = by_name(&assignment.provider)
            .ok_or_else(|| format!("there is no provider {:?}", assignment.provider))?;
        let fitting = self.fit(assignment.supplies.as_ref(), workspace).await;
        let fitting = fitting.map_err(|error| format!("what it builds with: {error}"))?;
        let mut launch =
            launch(assignment, workspace, &folders, self.gateway(assignment.agent.0).port);
        launch.search_path.clone_from(&fitting.search_path);
        let mut provider = kind.begin(launch);
        let command = provider.launch();
        self.furnish(&command, &folders, assignment.resume.as_deref())
            .map_err(|error| format!("the agent's session: {error}"))?;
        let spec = self.spec(assignment, workspace, &folders, &command, &fitting)?;
        let running = self.sandbox.start(spec).await.map_err(|error| error.to_string())?;
        let started = Note::Started { reference: running.reference().to_owned() };
        // Nobody listens any more: the session notices by its orders.
        let _ = wires.notes.send(started).await;
        let judge = |value: &serde_json::Value| {
            prompt::validate(assignment.role, &assignment.rendered.schema, value)
        };
        let (meter, notes) = (running.meter(), wires.notes.clone());
        let playing = session::play(
            running,
            provider.as_mut(),
            wires,
            assignment.patience,
            &judge,
            &*self.quota_back,
        );
        let ended = sampler::beside(assignment.agent, meter, &self.in_use, notes, playing).await;
        if let Some(exit) = &fitting.exit {
            let _ = wires.notes.send(Note::Fetched(exit.seen())).await;
        }
        let head = match assignment.role.writes() {
            true => self.taken_in(assignment, workspace).await?,
            false => None,
        };
        let session = read_session(&folders.config, &command.session_file);
        let (end, limited) = end_at(ended.end, (self.limit_of)(assignment.agent));
        Ok(Life { end, outcome: ended.outcome, head, session, cost: ended.cost, limited })
    }

    /// Takes the agent's commits into the mirror, whatever became of the agent.
    async fn taken_in(
        &self,
        assignment: &Assignment,
        workspace: &Workspace,
    ) -> Result<Option<Sha>, String> {
        let leftovers =
            format!("Keep what was not committed\n\n{}", assignment.trailers.join("\n"));
        let import = Import { commit_leftovers: Some(leftovers) };
        match self.workspaces.import(workspace, &Inside(self.sandbox.clone()), &import).await {
            Ok(imported) => Ok(Some(imported.head)),
            Err(error) => Err(format!("the agent's commits could not be taken in: {error}")),
        }
    }

    fn folders(&self, workspace: &Workspace) -> io::Result<Folders> {
        let root = workspace.tree.with_file_name("agent");
        let folders = Folders {
            config: root.join("config"),
            home: root.join("home"),
            scratch: root.join("scratch"),
        };
        for folder in [&folders.config, &folders.home, &folders.scratch] {
            fs::create_dir_all(folder)?;
        }
        Ok(folders)
    }

    /// Puts the provider's files and the saved session into its config folder, made anew.
    fn furnish(
        &self,
        command: &Command,
        folders: &Folders,
        session: Option<&[u8]>,
    ) -> io::Result<()> {
        let files = command.files.iter().map(|file| (&file.path, file.content.as_slice()));
        let session = session.map(|bytes| (&command.session_file, bytes));
        for (path, content) in files.chain(session) {
            let path = folders.config.join(path);
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            fs::write(path, content)?;
        }
        let root = folders.config.parent().unwrap_or(&folders.config);
        self.give_away(root)
    }

    fn spec(
        &self,
        assignment: &Assignment,
        workspace: &Workspace,
        folders: &Folders,
        command: &Command,
        fitting: &Fitting,
    ) -> Result<Spec, String> {
        let (mut argv, mut mounts) = self.program(&assignment.provider)?;
        argv.extend(command.arguments.iter().cloned());
        mounts.extend(workspace.mounts().into_iter().map(super::inside::mount));
        for folder in [&folders.config, &folders.home, &folders.scratch] {
            mounts.push(crate::sandbox::Mount {
                host: folder.clone(),
                inside: folder.clone(),
                writable: true,
            });
        }
        mounts.extend(fitting.mounts.iter().cloned());
        let mut spec = Spec::new(argv);
        spec.env = command.environment.iter().chain(&fitting.env).cloned().collect();
        spec.egress = fitting.egress.clone();
        spec.workdir = workspace.tree.clone();
        spec.mounts = mounts;
        spec.overlays = super::inside::overlays(workspace);
        spec.gateway = Some(self.gateway(assignment.agent.0));
        spec.network = Network::None;
        Ok(spec)
    }
}

fn launch(assignment: &Assignment, workspace: &Workspace, folders: &Folders, port: u16) -> Launch {
    let rendered = &assignment.rendered;
    Launch {
        role: assignment.role,
        model: assignment.model.clone(),
        system: rendered.system.clone(),
        prompt: rendered.prompt.clone(),
        schema: Some(rendered.schema.clone()),
        tools: rendered.tools.clone(),
        tool_server: tool_server(assignment, port),
        session: assignment.session,
        resume: assignment.resume.is_some(),
        gateway_url: format!("http://127.0.0.1:{port}"),
        token: assignment.token.clone(),
        workdir: workspace.tree.clone(),
        config_dir: folders.config.clone(),
        home: folders.home.clone(),
        scratch: folders.scratch.clone(),
        search_path: String::new(),
        max_turns: Some(rendered.max_turns),
    }
}

/// Baton's tools are behind the gateway's socket, opened by the same token.
fn tool_server(assignment: &Assignment, port: u16) -> Option<ToolServer> {
    let tools = assignment.rendered.baton.clone();
    (!tools.is_empty()).then(|| ToolServer {
        url: format!("http://127.0.0.1:{port}{TOOLS_PATH}"),
        token: assignment.token.clone(),
        tools,
    })
}

/// Reads the one file that is kept of what the agent wrote: a regular file of bounded size, reached
/// without following a link anywhere below the config folder. What is anything else was planted.
fn read_session(config: &Path, file: &Path) -> Option<Vec<u8>> {
    use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};
    let folder = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = openat(CWD, config, folder, Mode::empty()).ok()?;
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let file = fs::File::from(openat2(folder, file, flags, Mode::empty(), resolve).ok()?);
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    file.take(MAX_SESSION + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 <= MAX_SESSION).then_some(bytes)
}
