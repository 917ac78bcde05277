//! One request: what the agent is told, its life, and the branch that it leaves.

use anyhow::Context;
use rand::Rng;
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use super::{Local, MINUTE, REPOSITORY, quarters::Begun};
use crate::{
    agent::{Assignment, Patience, Wires, prompt::Request},
    gateway::token_hash,
    model::{AgentId, BranchName, End, FailKind, Micros, Outcome, Refusal, Role, SessionId, Sha},
    workspace::{self, Identity, WorkspaceError},
};

/// How long a program may stay after its work is done.
const LINGER: std::time::Duration = std::time::Duration::from_secs(20);

/// What is wanted.
#[derive(Debug, Clone)]
pub struct Work {
    /// Counts the requests of one command, from 1.
    pub number: i64,
    /// One of [`Role::REQUESTED`].
    pub role: Role,
    /// In the person's own words.
    pub text: String,
    /// Paths from the repository's root that it is about.
    pub files: Vec<String>,
    /// Minutes in all, instead of the role's.
    pub minutes: Option<u32>,
}

/// What became of it.
#[derive(Debug)]
pub struct Done {
    /// How the agent ended.
    pub end: End,
    /// What it concluded, when it succeeded.
    pub outcome: Option<Outcome>,
    /// What it changed; also kept of an agent that did not succeed.
    pub change: Option<Change>,
    /// What it has cost.
    pub cost: Micros,
}

/// Commits that are in the repository now, on a branch of their own.
#[derive(Debug)]
pub struct Change {
    /// The branch.
    pub branch: BranchName,
    /// Its commit.
    pub head: Sha,
    /// How many commits are new.
    pub commits: usize,
    /// The files that differ.
    pub files: Vec<workspace::Change>,
    /// Why a server would not publish it, if so: worth a look before it is merged.
    pub refusal: Option<Refusal>,
}

impl Local {
    /// Lets an agent carry out a request; its commits become a branch of the repository.
    ///
    /// # Errors
    /// When the prompt cannot be made, or the repository takes no branch.
    pub async fn carry_out(&self, work: &Work, wires: Wires) -> anyhow::Result<Done> {
        let supplies = self.supplies(work.role)?;
        let assignment = Assignment { supplies, ..self.assignment(work).await? };
        let begun = Begun {
            agent: assignment.agent,
            role: work.role,
            text: work.text.clone(),
            base: assignment.base.clone(),
        };
        self.quarters.begin(&begun).context("writing down what is begun")?;
        let token = token_hash(assignment.token.expose_secret());
        self.books.admit(token, assignment.agent, &assignment.model);
        let life = self.runtime.play(&assignment, wires).await;
        self.books.dismiss(token);
        let head = life.head.filter(|head| *head != self.repository.head);
        let change = match head {
            Some(head) => Some(self.hand_over(&begun, head).await?),
            None => None,
        };
        self.ended(&begun).await?;
        let cost = self.books.spent_by(assignment.agent);
        Ok(Done { end: life.end, outcome: life.outcome, change, cost })
    }

    async fn assignment(&self, work: &Work) -> anyhow::Result<Assignment> {
        let instructions = self.instructions().await?;
        let request = Request {
            repository: &self.repository.name,
            text: &work.text,
            files: &work.files,
            project_instructions: instructions.as_deref(),
        };
        let rendered = self.prompts.render_request(work.role, &request, &random::<8>())?;
        let minutes = work.minutes.unwrap_or(rendered.minutes);
        let patience = Patience {
            total: MINUTE * minutes,
            silence: MINUTE * rendered.silence_minutes,
            linger: LINGER,
        };
        Ok(Assignment {
            agent: AgentId(self.taken + work.number),
            role: work.role,
            provider: self.provider.clone(),
            model: self.model.clone(),
            session: SessionId(Uuid::new_v4()),
            resume: None,
            rendered,
            repository: REPOSITORY,
            base: self.repository.head.clone(),
            token: SecretString::from(format!("agent-{}", random::<32>())),
            patience,
            identity: Identity { name: "Baton".to_owned(), email: "baton@localhost".to_owned() },
            trailers: Vec::new(),
            protected: Vec::new(),
            supplies: None,
            lines_before: None,
        })
    }

    /// What the repository says to agents.
    async fn instructions(&self) -> Result<Option<String>, WorkspaceError> {
        let head = self.repository.head.clone();
        let reading =
            self.runtime.workspaces.read(REPOSITORY, move |mirror| mirror.instructions(&head));
        reading.await
    }

    /// Makes a branch of an agent's commits. One that the repository does not take stays written down, and the
    /// next command tries again.
    pub(super) async fn hand_over(
        &self,
        begun: &Begun,
        head: Sha,
    ) -> Result<Change, WorkspaceError> {
        let (base, to, rules) = (begun.base.clone(), head.clone(), self.rules.clone());
        let read = self.runtime.workspaces.read(REPOSITORY, move |mirror| {
            let commits = mirror.commits(&base, &to)?.len();
            let refusal = mirror.refusal(&base, &to, &rules)?;
            Ok((commits, mirror.changes(&base, &to)?, refusal))
        });
        let (commits, files, refusal) = read.await?;
        let _one_at_a_time = self.handing_over.lock().await;
        let branch = self.repository.free_branch(&branch(&begun.text))?;
        let workspaces = &self.runtime.workspaces;
        workspaces.hand_over(REPOSITORY, &head, &self.repository, &branch).await?;
        Ok(Change { branch, head, commits, files, refusal })
    }
}

impl Done {
    /// Whether it did what was asked, by its own word.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.end == End::Succeeded
    }

    /// Why not, for people.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        Some(match &self.end {
            End::Succeeded => return None,
            End::OutOfQuota { until } => {
                format!("the model API gives no more until {}", until.format("%H:%M UTC"))
            }
            End::OutOfBudget => "the budget is spent: give more with --max-usd".to_owned(),
            End::TimedOut(watchdog) => {
                let which = format!("{watchdog:?}").to_lowercase();
                format!("it ran into its time limit ({which}): give more with --minutes")
            }
            End::Cancelled(_) => "it was stopped".to_owned(),
            End::Asked(_) => "it asked a person, and nobody answers here".to_owned(),
            End::Lost => "it was lost".to_owned(),
            End::Failed(kind) => failure(kind),
        })
    }
}

fn failure(kind: &FailKind) -> String {
    match kind {
        FailKind::Setup(why) => format!("it could not start: {why}"),
        FailKind::Provider(why) => format!("its program failed: {why}"),
        FailKind::InvalidOutcome(why) => format!("its answer is not of the agreed form: {why}"),
        FailKind::Away(why) => format!("the model API was away: {why}"),
        FailKind::Tools(why) => format!("its tools cannot be reached: {why}"),
        FailKind::Model(why) => format!("the model API refused: {why}"),
        FailKind::Crashed(why) => format!("it ended without an answer: {why}"),
        FailKind::Resources(excess) => format!("it took {}", excess.words()),
        FailKind::Commands | FailKind::Verdict | FailKind::Unpushed(_) => {
            "it did not succeed".to_owned()
        }
    }
}

/// `baton/` and the first words of the request.
fn branch(text: &str) -> String {
    let text = text.to_lowercase();
    let words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let slug: String = words.take(5).collect::<Vec<_>>().join("-").chars().take(40).collect();
    let slug = slug.trim_end_matches('-');
    format!("baton/{}", if slug.is_empty() { "request" } else { slug })
}

/// So many random bytes in hexadecimal.
fn random<const N: usize>() -> String {
    let mut bytes = [0_u8; N];
    rand::rng().fill_bytes(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_branch_is_named_after_the_request() {
        assert_eq!(
            branch("Fix the *range* parser: it's off by one"),
            "baton/fix-the-range-parser-it"
        );
        assert_eq!(branch("öäü?"), "baton/request");
        assert_eq!(branch("-a"), "baton/a");
    }
}
