//! Runs a repository's own commands: evidence on a change, a deployment, evidence on what is out.

use std::time::{Duration, Instant};

use super::{
    Ground, Note, Order, Reach, Runtime, Stock, Stream, Supplies, Wires, fence::Fence,
    inside::mount, inside::overlays, supplies::Fitting,
};
use crate::{
    model::{CommandResult, RepositoryId, RunState, Sha, Untrusted},
    sandbox::{Exit, HOME, Mount, Network, Output, Running, Spec},
    workspace::{Checkout, Identity, Making, WorkspaceKey},
};

/// How much of a command's output is kept, in bytes: its end.
const KEPT: usize = 16 << 10;

/// Commands to run on a commit.
pub struct Errand {
    /// Names its workspace.
    pub key: WorkspaceKey,
    /// Of which repository; its mirror is fresh.
    pub repository: RepositoryId,
    /// On which commit.
    pub sha: Sha,
    /// The commands, one shell each.
    pub commands: Vec<String>,
    /// Variables besides the usual ones, secrets among them.
    pub environment: Vec<(String, String)>,
    /// What they are given to build with.
    pub supplies: Option<Supplies>,
    /// Whether they have the machine's network.
    pub network: bool,
    /// How long each may take.
    pub limit: Duration,
}

/// How long one command of a set-up may take.
const SET_UP_LIMIT: Duration = Duration::from_secs(30 * 60);

impl Errand {
    /// A set-up: it fetches from the hosts that are named, and makes a layer.
    #[must_use]
    pub fn set_up(
        key: WorkspaceKey,
        repository: RepositoryId,
        ground: Ground,
        making: Making,
    ) -> Self {
        let (sha, commands) = (ground.tip.clone(), ground.commands.clone());
        let supplies = Supplies { ground, stock: Stock::Making(making), reach: Reach::Named };
        Self {
            key,
            repository,
            sha,
            commands,
            environment: Vec::new(),
            supplies: Some(supplies),
            network: false,
            limit: SET_UP_LIMIT,
        }
    }
}

impl Runtime {
    /// Runs the commands in order, each in a shell of its own; the first that fails ends the run.
    ///
    /// They run in a sandbox like an agent's, without gateway, and with network only where asked.
    pub async fn run_commands(&self, errand: &Errand, mut wires: Wires) -> RunState {
        let identity = Identity { name: "Baton".to_owned(), email: "baton@localhost".to_owned() };
        let checkout = Checkout {
            repository: errand.repository,
            base: errand.sha.clone(),
            branch: None,
            identity,
        };
        let workspace = match self.workspaces.prepare(&errand.key, &checkout).await {
            Ok(workspace) => workspace,
            Err(error) => {
                self.clear(&errand.key);
                return RunState::Broken { reason: error.to_string() };
            }
        };
        let fitting = match self.fit(errand.supplies.as_ref(), &workspace).await {
            Ok(fitting) => fitting,
            Err(error) => {
                self.clear(&errand.key);
                return RunState::Broken { reason: format!("what it is built with: {error}") };
            }
        };
        let mounts =
            workspace.mounts().into_iter().map(mount).chain(fitting.mounts.iter().cloned());
        let mounts: Vec<Mount> = mounts.collect();
        let fence = self.fence_of(errand);
        let mut results = Vec::new();
        let mut state = None;
        for command in &errand.commands {
            let mut spec = command_spec(errand, command, &mounts, &workspace.tree, &fitting);
            spec.overlays = overlays(&workspace);
            spec.limits.memory_bytes = Some(self.ceiling.memory);
            spec.name = errand.key.as_str().to_owned();
            spec.image.clone_from(&fitting.image);
            match self.one(spec, command, (errand.limit, &fence), &mut wires).await {
                Ok(result) => {
                    let passed = result.exit == Some(0);
                    results.push(result);
                    if !passed {
                        break;
                    }
                }
                Err(reason) => {
                    state = Some(RunState::Broken { reason });
                    break;
                }
            }
        }
        if let Some(exit) = &fitting.exit {
            // Nobody listens any more: nothing is kept.
            let _ = wires.notes.send(Note::Fetched(exit.seen())).await;
        }
        self.clear(&errand.key);
        state.unwrap_or_else(|| {
            let all = results.len() == errand.commands.len();
            let passed = all && results.iter().all(|result| result.exit == Some(0));
            RunState::Ended { results, passed }
        })
    }

    /// Around its workspace, and the layer that it makes.
    fn fence_of(&self, errand: &Errand) -> Fence {
        let layer = match errand.supplies.as_ref().map(|supplies| &supplies.stock) {
            Some(Stock::Making(making)) => Some(making.folders.folder().to_owned()),
            Some(Stock::Shown(_) | Stock::Copied(_) | Stock::Empty) | None => None,
        };
        let own = self.workspaces.path(&errand.key);
        Fence::new(self.ceiling, [own].into_iter().chain(layer).collect())
    }

    async fn one(
        &self,
        spec: Spec,
        command: &str,
        (limit, fence): (Duration, &Fence),
        wires: &mut Wires,
    ) -> Result<CommandResult, String> {
        let begun = Instant::now();
        let mut running = self.sandbox.start(spec).await.map_err(|error| error.to_string())?;
        drop(running.stdin.take());
        let (out, error) = (running.stdout.take(), running.stderr.take());
        let mut kept = Kept::default();
        let meter = running.meter();
        let exit = tokio::select! {
            exit = follow(&mut running, out, error, &mut kept, &wires.notes) => exit,
            () = tokio::time::sleep(limit) => {
                kept.add(format!("\n[Baton ended this command after {} s]\n", limit.as_secs()).as_bytes());
                None
            }
            excess = fence.passed(&meter) => {
                kept.add(format!("\n[Baton ended this command: it took {}]\n", excess.words()).as_bytes());
                None
            }
            Some(Order::Stop { .. }) = wires.orders.recv() => return Err("it was stopped".to_owned()),
        };
        running.stopper().kill();
        running.wait().await;
        Ok(CommandResult {
            command: command.to_owned(),
            exit,
            output: Untrusted(kept.text()),
            millis: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
        })
    }
}

fn command_spec(
    errand: &Errand,
    command: &str,
    mounts: &[Mount],
    tree: &std::path::Path,
    fitting: &Fitting,
) -> Spec {
    let mut spec = Spec::new(vec!["/bin/sh".to_owned(), "-c".to_owned(), command.to_owned()]);
    let path = fitting.search_path.as_str();
    spec.env = [("PATH", path), ("HOME", HOME), ("LANG", "C.UTF-8"), ("CI", "true")]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .chain(fitting.env.iter().cloned())
        .chain(errand.environment.iter().cloned())
        .collect();
    spec.workdir = tree.to_owned();
    spec.mounts = mounts.to_vec();
    spec.egress = fitting.egress.clone();
    spec.network = if errand.network { Network::Host } else { Network::None };
    spec
}

/// Reads both streams to their end and waits for the command's.
async fn follow(
    running: &mut Running,
    out: Option<Output>,
    error: Option<Output>,
    kept: &mut Kept,
    notes: &tokio::sync::mpsc::Sender<Note>,
) -> Option<i32> {
    use super::lines::Lines;
    let (mut out, mut error) = (Lines::new(out, 0), Lines::new(error, 0));
    while out.open || error.open {
        let (stream, line) = tokio::select! {
            line = out.next(), if out.open => (Stream::Out, line),
            line = error.next(), if error.open => (Stream::Error, line),
        };
        let Some(line) = line else { continue };
        kept.add(&line);
        kept.add(b"\n");
        let text = String::from_utf8_lossy(&line).into_owned();
        // Nobody listens any more: the result is kept all the same.
        let _ = notes.send(Note::Line { stream, text }).await;
    }
    match running.wait().await {
        Exit::Code(code) if code < 128 => Some(code),
        Exit::Code(_) | Exit::Signal(_) => None,
    }
}

/// The end of what was printed.
#[derive(Default)]
struct Kept {
    bytes: Vec<u8>,
    cut: bool,
}

impl Kept {
    fn add(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        if self.bytes.len() > 2 * KEPT {
            self.bytes.drain(..self.bytes.len() - KEPT);
            self.cut = true;
        }
    }

    fn text(&self) -> String {
        let start = self.bytes.len().saturating_sub(KEPT);
        let text = String::from_utf8_lossy(&self.bytes[start..]);
        if self.cut || start > 0 { format!("…{text}") } else { text.into_owned() }
    }
}
