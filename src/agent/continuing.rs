//! An agent whose Baton died under it: looked for, and played on from where it stands.

use std::{io, path::PathBuf, time::Duration};

use tokio::time::{Instant, sleep};

use super::{
    Assignment, Life, Runtime, Said, Wires,
    journal::{Entry, Journal, Newest},
    life::key_of,
    supplies::Fitting,
    terms::Past,
};
use crate::{
    model::{Agent, AgentId, Footprint},
    sandbox::Running,
    workspace::Workspace,
};

/// Between two questions to a sandbox that does not answer.
const AGAIN: Duration = Duration::from_secs(1);

/// What a dead Baton left of an agent, by its journal.
#[derive(Debug)]
pub struct Left {
    /// Whose.
    pub agent: AgentId,
    /// Its process.
    reference: String,
    /// Its way out.
    exit: Option<PathBuf>,
}

/// An agent that can be gone on with: nothing of it runs but what this holds.
pub struct Found {
    assignment: Assignment,
    workspace: Workspace,
    fitting: Fitting,
    journal: Journal,
    entries: Vec<Entry>,
    running: Option<Running>,
}

impl Found {
    /// How many lines its log had before it printed anything.
    #[must_use]
    pub fn lines_before(&self) -> i64 {
        self.assignment.lines_before.unwrap_or_default()
    }
}

impl Runtime {
    /// The past of an agent that begins: none, and a journal where it may be gone on with.
    pub(super) fn without_past(
        &self,
        assignment: &Assignment,
        workspace: &Workspace,
        fitting: &Fitting,
    ) -> io::Result<Past> {
        let outlives = assignment.lines_before.is_some() && !self.sandbox.survives().is_zero();
        let folder = self.workspaces.path(&workspace.key);
        let journal = outlives.then(|| Journal::begin(&folder, assignment, fitting)).transpose()?;
        Ok(Past { journal, ..Past::default() })
    }

    /// For how long an agent may go on without a Baton.
    #[must_use]
    pub fn survival(&self) -> Duration {
        self.sandbox.survives()
    }

    /// What can be gone on with of these agents, which ran when a Baton before this one died; nothing of it
    /// is touched before it is looked for.
    #[must_use]
    pub fn left_of(&self, agents: impl IntoIterator<Item = AgentId>) -> Vec<Left> {
        if self.sandbox.survives().is_zero() {
            return Vec::new();
        }
        let left = agents.into_iter().filter_map(|agent| {
            let read = Journal::read(&self.workspaces.path(&key_of(agent)));
            let (_, beginning, entries) = read?;
            let reference = Newest::of(&entries).reference?;
            let exit = beginning.fitting.egress.map(|way| way.socket);
            Some(Left { agent, reference, exit })
        });
        left.collect()
    }

    /// Ends what Batons of this data folder left that are dead, save what can be gone on with. Call it once at
    /// start.
    ///
    /// # Errors
    /// When the folder of the ways out cannot be put in order.
    pub async fn clear_but(&self, left: Vec<Left>) -> io::Result<()> {
        let exits: Vec<PathBuf> = left.iter().filter_map(|left| left.exit.clone()).collect();
        self.exits.clear(&exits)?;
        let references: Vec<String> = left.iter().map(|left| left.reference.clone()).collect();
        match self.sandbox.clear(&references).await {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "ended sandboxes of a server that is dead"),
            Err(error) => tracing::warn!(%error, "sandboxes of a dead server were not looked for"),
        }
        let until = std::time::Instant::now() + self.sandbox.survives();
        self.expected().extend(left.into_iter().map(|left| (left.agent, until)));
        Ok(())
    }

    /// Whether agents run here that nobody has gone on with yet: they need no room that they do not have.
    #[must_use]
    pub fn expects_some(&self) -> bool {
        let now = std::time::Instant::now();
        self.expected().values().any(|until| *until > now)
    }

    /// Looks for an agent that ran when a Baton before this one died. Where none is given, none is left.
    pub async fn find(&self, agent: &Agent) -> Option<Found> {
        let (agent, peak) = (agent.id, agent.footprint.memory_peak);
        self.expected().remove(&agent);
        let key = key_of(agent);
        let (journal, beginning, entries) = Journal::read(&self.workspaces.path(&key))?;
        let (assignment, mut fitting) = (beginning.assignment, beginning.fitting);
        let newest = Newest::of(&entries);
        let reference = newest.reference?;
        let running = match newest.gone {
            true => None,
            false => Some(self.look_for(&reference, newest.kept).await?),
        };
        if let (Some(way), Some(allowance)) = (&fitting.egress, &fitting.allowance) {
            let opened = self.exits.open_again(&way.socket, allowance.clone());
            let opened = opened.inspect_err(|error| {
                tracing::warn!(agent.id = %agent, %error, "an agent's way out cannot be opened again");
            });
            fitting.exit = Some(opened.ok()?);
        }
        let before = Footprint { memory_peak: peak, ..newest.before };
        self.in_use.take_up(agent, before, running.as_ref());
        let workspace = self.workspaces.made(&key, assignment.repository, &assignment.base);
        Some(Found { assignment, workspace, fitting, journal, entries, running })
    }

    /// Asks the sandbox for a process, also one that does not answer at once: what it has may run still.
    async fn look_for(&self, reference: &str, kept: crate::sandbox::Kept) -> Option<Running> {
        let until = Instant::now() + self.sandbox.survives();
        loop {
            match self.sandbox.resume(reference, kept).await {
                Ok(running) => return running,
                Err(error) if Instant::now() >= until => {
                    tracing::warn!(reference, %error, "an agent of a dead server was not looked for");
                    return None;
                }
                Err(_) => sleep(AGAIN).await,
            }
        }
    }

    /// Plays an agent on to its end, which has been at work for so long. Afterwards no process and no folder of
    /// it is left.
    pub async fn go_on(&self, found: Found, elapsed: Duration, mut wires: Wires) -> Life {
        let Found { assignment, workspace, fitting, journal, entries, running } = found;
        let past = Past { journal: Some(journal), entries, running, elapsed };
        let life = self.lived(&assignment, &workspace, &fitting, past, &mut wires).await;
        self.over(assignment.agent, &workspace, life)
    }
}

/// What an agent was told, by its journal.
pub(super) fn said(entries: &[Entry]) -> Vec<Said> {
    let said = entries.iter().filter_map(|entry| match entry {
        Entry::Said(_, said) => Some(*said),
        Entry::Began(_) | Entry::Line(..) | Entry::Stopped(..) | Entry::Gone(..) => None,
    });
    said.collect()
}
