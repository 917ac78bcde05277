//! Starts the processes of one agent: one, or one a prompt.
//!
//! The provider's config folder is made anew before each. What the agent's shell wrote there acts on
//! nothing: the session's file alone comes back.

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use super::{Runtime, inside, life::Assignment, supplies::Fitting};
use crate::{
    model::{Protected, TOOLS_PATH},
    provider::{Command, Launch, ToolServer},
    sandbox::{Gateway, Mount, Network, Running, Spec},
    workspace::Workspace,
};

/// The largest session file that is kept.
const MAX_SESSION: u64 = 64 << 20;

/// Where and how the processes of one agent are started.
pub struct Processes<'a> {
    runtime: &'a Runtime,
    assignment: &'a Assignment,
    workspace: &'a Workspace,
    fitting: &'a Fitting,
    folders: Folders,
    gateway: Gateway,
}

/// The folders of one agent beside its worktree, at the same place inside.
struct Folders {
    config: PathBuf,
    home: PathBuf,
    scratch: PathBuf,
}

impl<'a> Processes<'a> {
    /// Makes the agent's folders, where they are not there and its own already.
    pub(super) fn new(
        runtime: &'a Runtime,
        assignment: &'a Assignment,
        workspace: &'a Workspace,
        fitting: &'a Fitting,
    ) -> io::Result<Self> {
        let root = workspace.tree.with_file_name("agent");
        let folders = Folders {
            config: root.join("config"),
            home: root.join("home"),
            scratch: root.join("scratch"),
        };
        if !root.exists() {
            for folder in [&folders.config, &folders.home, &folders.scratch] {
                fs::create_dir_all(folder)?;
            }
            runtime.give_away(&root)?;
        }
        let gateway = runtime.gateway()?;
        Ok(Self { runtime, assignment, workspace, fitting, folders, gateway })
    }

    /// What the provider has to know.
    ///
    /// # Errors
    /// When a protected path is no pattern: the text says which.
    pub(super) fn task(&self) -> Result<Launch, String> {
        let Assignment { rendered, .. } = self.assignment;
        let gateway_url = format!("http://127.0.0.1:{}", self.gateway.port);
        Ok(Launch {
            role: self.assignment.role,
            model: self.assignment.model.clone(),
            effort: rendered.effort,
            system: rendered.system.clone(),
            prompt: rendered.prompt.clone(),
            schema: Some(rendered.schema.clone()),
            tools: rendered.tools.clone(),
            web: rendered.web,
            protected: Protected::new(&self.assignment.protected)?,
            tool_server: self.tool_server(&gateway_url),
            session: self.assignment.session,
            resume: self.assignment.resume.is_some(),
            gateway_url,
            token: self.assignment.token.clone(),
            workdir: self.workspace.tree.clone(),
            config_dir: self.folders.config.clone(),
            home: self.folders.home.clone(),
            scratch: self.folders.scratch.clone(),
            search_path: self.fitting.search_path.clone(),
            max_turns: Some(rendered.max_turns),
        })
    }

    /// Baton's tools are behind the gateway's socket, opened by the same token.
    fn tool_server(&self, gateway_url: &str) -> Option<ToolServer> {
        let tools = self.assignment.rendered.baton.clone();
        (!tools.is_empty()).then(|| ToolServer {
            url: format!("{gateway_url}{TOOLS_PATH}"),
            token: self.assignment.token.clone(),
            tools,
        })
    }

    /// Starts the first process, with the session that was saved, if there is one.
    ///
    /// # Errors
    /// When it cannot be started: the text says why.
    pub(super) async fn first(&self, command: &Command) -> Result<Running, String> {
        self.start(command, self.assignment.resume.as_deref()).await
    }

    /// Starts a further one, which goes on in the session that the one before it left.
    ///
    /// # Errors
    /// When it cannot be started, or there is no session: the text says why.
    pub(super) async fn next(&self, command: &Command) -> Result<Running, String> {
        let session = self.session(&command.session_file);
        let session = session.ok_or("the agent's session is gone: it cannot go on")?;
        self.start(command, Some(&session)).await
    }

    async fn start(&self, command: &Command, session: Option<&[u8]>) -> Result<Running, String> {
        self.furnish(command, session).map_err(|error| format!("the agent's session: {error}"))?;
        let spec = self.spec(command)?;
        let running = self.runtime.sandbox.start(spec).await.map_err(|error| error.to_string())?;
        self.runtime.in_use.put(self.assignment.agent, &running);
        Ok(running)
    }

    /// Puts the provider's files and the session into its config folder, made anew.
    fn furnish(&self, command: &Command, session: Option<&[u8]>) -> io::Result<()> {
        let config = &self.folders.config;
        fs::remove_dir_all(config)?;
        fs::create_dir(config)?;
        let files = command.files.iter().map(|file| (&file.path, file.content.as_slice()));
        let session = session.map(|bytes| (&command.session_file, bytes));
        for (path, content) in files.chain(session) {
            let path = config.join(path);
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            fs::write(path, content)?;
        }
        self.runtime.give_away(config)
    }

    fn spec(&self, command: &Command) -> Result<Spec, String> {
        let (mut argv, mut mounts) = self.runtime.program(&self.assignment.provider)?;
        argv.extend(command.arguments.iter().cloned());
        mounts.extend(self.mounts());
        let mut spec = Spec::new(argv);
        spec.name = format!("agent-{}", self.assignment.agent);
        spec.env = command.environment.iter().chain(&self.fitting.env).cloned().collect();
        spec.image.clone_from(&self.fitting.image);
        spec.egress = self.fitting.egress.clone();
        spec.workdir = self.workspace.tree.clone();
        spec.mounts = mounts;
        spec.overlays = inside::overlays(self.workspace);
        spec.gateway = Some(self.gateway.clone());
        spec.network = Network::None;
        spec.limits.memory_bytes = Some(self.runtime.ceiling.memory);
        spec.may_survive = self.assignment.lines_before.is_some();
        Ok(spec)
    }

    /// What the agent sees besides its program. The worktree of a role that reads only is read-only,
    /// whatever its program would let it do: not every program can be told to read only.
    fn mounts(&self) -> impl Iterator<Item = Mount> {
        let writes = self.assignment.role.writes();
        let workspace = self.workspace.mounts().into_iter().map(move |mount| {
            let mount = inside::mount(mount);
            Mount { writable: mount.writable && writes, ..mount }
        });
        let Folders { config, home, scratch } = &self.folders;
        let own = [config, home, scratch].map(|folder| Mount {
            host: folder.clone(),
            inside: folder.clone(),
            writable: true,
        });
        workspace.chain(own).chain(self.fitting.mounts.iter().cloned())
    }

    /// What the session's file holds by now, given where it is in the config folder.
    pub(super) fn session(&self, file: &Path) -> Option<Vec<u8>> {
        read_session(&self.folders.config, file)
    }
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
