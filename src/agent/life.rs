//! One agent from its workspace to its outcome.

use secrecy::SecretString;

use super::{
    Rendered, Runtime, Supplies, Wires,
    fence::Fence,
    inside::Inside,
    limit::{end_at, end_over},
    orders::Note,
    processes::Processes,
    prompt, sampler,
    session::{self, Patience},
    tending::Hearing,
};
use crate::{
    model::{
        AgentId, BranchName, CancelledBy, End, FailKind, Limited, Outcome, RepositoryId, Role,
        SessionId, Sha,
    },
    provider::by_name,
    workspace::{Checkout, Identity, Import, Workspace, WorkspaceKey},
};

/// Everything that one agent is started with.
pub struct Assignment {
    /// Its row.
    pub agent: AgentId,
    /// Who it plays.
    pub role: Role,
    /// `claude`, `codex` or `command`.
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
    /// Patterns of the paths that it may not change.
    pub protected: Vec<String>,
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
        Self { end, outcome: None, head: None, session: None, limited: None }
    }

    /// Ended before it began.
    #[must_use]
    pub fn cancelled(by: CancelledBy) -> Self {
        Self::only(End::Cancelled(by))
    }
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
            Err(error) => {
                // What was made of it so far.
                self.clear(&key);
                return Life::failed(FailKind::Setup(error.to_string()));
            }
        };
        let life = match self.in_workspace(assignment, &workspace, &mut wires).await {
            Ok(life) => life,
            Err(problem) => {
                // No limit is why; one that it met is not kept for anybody.
                let _ = (self.limit_of)(assignment.agent);
                Life::failed(FailKind::Setup(problem))
            }
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
        let kind = by_name(&assignment.provider)
            .ok_or_else(|| format!("there is no provider {:?}", assignment.provider))?;
        let without = &assignment.rendered.without;
        if !without.is_empty() && !kind.keeps_to_tools() {
            return Err(format!(
                "policy takes {} from the role {}, which {} cannot be held to: let another program \
                 play it, or leave `tools` out",
                without.join(", "),
                assignment.role.name(),
                assignment.provider,
            ));
        }
        let fitting = self.fit(assignment.supplies.as_ref(), workspace).await;
        let fitting = fitting.map_err(|error| format!("what it builds with: {error}"))?;
        let processes = Processes::new(self, assignment, workspace, &fitting)
            .map_err(|error| format!("the agent's folders: {error}"))?;
        let mut provider = kind.begin(processes.task()?);
        let judge = |value: &serde_json::Value| {
            prompt::validate(assignment.role, &assignment.rendered.schema, value)
        };
        let notes = wires.notes.clone();
        let playing = session::play(
            &processes,
            provider.as_mut(),
            wires,
            assignment.patience,
            &judge,
            &*self.quota_back,
            self.tools_of(assignment),
        );
        let fence = Fence::new(self.ceiling, vec![self.workspaces.path(&workspace.key)]);
        let (ended, excess) =
            sampler::beside(assignment.agent, &self.in_use, &fence, notes, playing).await;
        let ended = ended?;
        if let Some(exit) = &fitting.exit {
            let _ = wires.notes.send(Note::Fetched(exit.seen())).await;
        }
        let head = match assignment.role.writes() {
            true if excess.is_some() => self.rescued(assignment, workspace).await,
            true => self.taken_in(assignment, workspace).await?,
            false => None,
        };
        let session = processes.session(&provider.launch().session_file);
        let (end, limited) = end_at(ended.end, (self.limit_of)(assignment.agent));
        let end = excess.map_or(end.clone(), |excess| end_over(end, excess));
        Ok(Life { end, outcome: ended.outcome, head, session, limited })
    }

    /// What an agent hears of Baton's own tools; one that may call none has none to miss.
    fn tools_of(&self, assignment: &Assignment) -> Hearing {
        match assignment.rendered.baton.is_empty() {
            true => Hearing::default(),
            false => self.tools_told.follow(),
        }
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
        self.import(workspace, &import).await
    }

    /// Takes in what an agent had committed that took too much; what it had not may be what was too much.
    async fn rescued(&self, assignment: &Assignment, workspace: &Workspace) -> Option<Sha> {
        match self.import(workspace, &Import { commit_leftovers: None }).await {
            Ok(head) => head,
            Err(problem) => {
                tracing::warn!(agent.id = %assignment.agent, %problem, "nothing is kept of an agent");
                None
            }
        }
    }

    async fn import(&self, workspace: &Workspace, import: &Import) -> Result<Option<Sha>, String> {
        match self.workspaces.import(workspace, &Inside(self.sandbox.clone()), import).await {
            Ok(imported) => Ok(Some(imported.head)),
            Err(error) => Err(format!("the agent's commits could not be taken in: {error}")),
        }
    }
}
