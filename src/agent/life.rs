//! One agent from its workspace to its outcome.

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::{
    Rendered, Runtime, Supplies, Wires,
    fence::Fence,
    inside::Inside,
    limit::{end_at, end_over},
    orders::Note,
    processes::Processes,
    prompt, sampler, session,
    supplies::Fitting,
    tending::Hearing,
    terms::{Past, Patience, Terms},
};
use crate::{
    model::{
        AgentId, BranchName, CancelledBy, End, FailKind, Limited, Outcome, RepositoryId, Role,
        SessionId, Sha,
    },
    provider::by_name,
    workspace::{Checkout, Identity, Import, Workspace, WorkspaceKey},
};

/// Everything that one agent is started with. Written down, it has no session's content and no supplies.
#[derive(Serialize, Deserialize)]
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
    #[serde(with = "whether")]
    pub resume: Option<Vec<u8>>,
    /// What it is told.
    pub rendered: Rendered,
    /// Where it works; its mirror is fresh.
    pub repository: RepositoryId,
    /// From which commit.
    pub base: Sha,
    /// What it is given to build with.
    #[serde(skip)]
    pub supplies: Option<Supplies>,
    /// Its own token for the gateway.
    #[serde(with = "exposed")]
    pub token: SecretString,
    /// How long it may take.
    pub patience: Patience,
    /// Whose name is on its commits.
    pub identity: Identity,
    /// Patterns of the paths that it may not change.
    pub protected: Vec<String>,
    /// What each of its commits says it is of; empty where nobody asks.
    pub trailers: Vec<String>,
    /// How many lines its log has already, where somebody goes on with it that comes after this Baton; none
    /// where it ends with it.
    pub lines_before: Option<i64>,
}

/// Whether there is a session to go on with: its content is in the agent's own folder by then.
mod whether {
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(bytes: &Option<Vec<u8>>, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bool(bytes.is_some())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<u8>>, D::Error> {
        Ok(bool::deserialize(from)?.then(Vec::new))
    }
}

/// The token, which the agent has in its folder too.
mod exposed {
    use secrecy::{ExposeSecret, SecretString};
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(token: &SecretString, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(token.expose_secret())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<SecretString, D::Error> {
        String::deserialize(from).map(SecretString::from)
    }
}

/// The workspace of an agent.
pub(super) fn key_of(agent: AgentId) -> WorkspaceKey {
    WorkspaceKey::new(&format!("agent-{agent}")).expect("digits and a hyphen are a key")
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
    pub(super) fn failed(kind: FailKind) -> Self {
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
        let key = key_of(assignment.agent);
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
        let life = self.in_workspace(assignment, &workspace, &mut wires).await;
        self.over(assignment.agent, &workspace, life)
    }

    /// Takes away what is left of an agent's folder; where it could not be played, that is how it ended.
    pub(super) fn over(
        &self,
        agent: AgentId,
        workspace: &Workspace,
        life: Result<Life, String>,
    ) -> Life {
        self.clear(&workspace.key);
        life.unwrap_or_else(|problem| {
            // No limit is why; one that it met is not kept for anybody.
            let _ = (self.limit_of)(agent);
            Life::failed(FailKind::Setup(problem))
        })
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
        let fitting = self.fit(assignment.supplies.as_ref(), workspace).await;
        let fitting = fitting.map_err(|error| format!("what it builds with: {error}"))?;
        let past = self.without_past(assignment, workspace, &fitting);
        let past = past.map_err(|error| format!("the agent's journal: {error}"))?;
        self.lived(assignment, workspace, &fitting, past, wires).await
    }

    /// Plays the agent's session, from where it stands, and takes in what comes of it.
    pub(super) async fn lived(
        &self,
        assignment: &Assignment,
        workspace: &Workspace,
        fitting: &Fitting,
        past: Past,
        wires: &mut Wires,
    ) -> Result<Life, String> {
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
        let processes = Processes::new(self, assignment, workspace, fitting)
            .map_err(|error| format!("the agent's folders: {error}"))?;
        let mut provider = kind.begin(processes.task()?);
        let judge = |value: &serde_json::Value| {
            prompt::validate(assignment.role, &assignment.rendered.schema, value)
        };
        let notes = wires.notes.clone();
        let terms =
            Terms { patience: assignment.patience, judge: &judge, quota_back: &*self.quota_back };
        let tools = self.tools_of(assignment);
        let playing = session::play(&processes, provider.as_mut(), wires, terms, tools, past);
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

    /// Where git is run on what an agent could write.
    pub(super) fn inside(&self) -> Inside {
        Inside(self.sandbox.clone())
    }

    async fn import(&self, workspace: &Workspace, import: &Import) -> Result<Option<Sha>, String> {
        match self.workspaces.import(workspace, &self.inside(), import).await {
            Ok(imported) => Ok(Some(imported.head)),
            Err(error) => Err(format!("the agent's commits could not be taken in: {error}")),
        }
    }
}
