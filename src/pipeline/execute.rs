//! One agent's life as the database sees it.

use std::time::Duration;

use rand::Rng;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use sqlx::PgConnection;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Failure, Parts, parse, situation, sweep, writing};
use crate::{
    agent::{Assignment, Life, Note, Order, Patience, Stream, Wires, prompt},
    db::{agent_inbox, agent_sessions, agents, events, tasks},
    github::{Access, GitHubError},
    logs::{LogStream, LogWriter, Redactor},
    model::{
        Actor, Agent, AgentId, AgentState, CancelledBy, Cause, End, NewEvent, RunKind, Situation,
        StageKey, Stop, Subject, Sweep, TaskId, TodoItem, Untrusted, What,
    },
    queue::{self, Claimed},
    workspace::Identity,
};

/// How often a running agent's row is looked at and written.
const TICK: Duration = Duration::from_secs(1);
/// How long a program may stay after its work is done.
const LINGER: Duration = Duration::from_secs(20);

/// Runs an agent to its end.
pub(super) async fn agent(parts: &Parts, claimed: &Claimed, id: AgentId) -> Result<(), Failure> {
    let row = agents::load(&parts.pool, id).await?;
    let agent = &row.agent;
    let life = match &agent.state {
        AgentState::Ended(_) => return finish(parts, claimed).await,
        // A worker that is gone had started it; its sandbox went with it.
        AgentState::Preparing | AgentState::Running | AgentState::Finishing => lost(),
        AgentState::Queued => match agents::wanted(&parts.pool, id).await? {
            Some((_, by)) => Life::cancelled(by),
            None => match parts.runtime.remedy() {
                Some(reason) => return refuse(parts, claimed, row.task, agent, reason).await,
                None => start(parts, claimed, row.task, agent).await?,
            },
        },
    };
    save(parts, claimed, row.task, agent, life).await
}

fn lost() -> Life {
    Life { end: End::Lost, outcome: None, head: None, session: None, cost: None }
}

async fn finish(parts: &Parts, claimed: &Claimed) -> Result<(), Failure> {
    let mut tx = parts.pool.begin().await?;
    queue::finish(&mut tx, claimed, parts.clock.now()).await?;
    Ok(tx.commit().await?)
}

/// Prepares what GitHub and the database have to give, then plays the agent.
async fn start(
    parts: &Parts,
    claimed: &Claimed,
    task: TaskId,
    agent: &Agent,
) -> Result<Life, Failure> {
    let situation = situation::of_task(parts, task).await?;
    writing::possible(parts, &situation).await?;
    refresh_mirror(parts, &situation).await?;
    let now = parts.clock.now();
    agents::set_state(&parts.pool, agent.id, &AgentState::Queued, &AgentState::Preparing, now)
        .await?;
    let assignment = match assignment(parts, &situation, agent).await {
        Ok(assignment) => assignment,
        Err(Failure::Hopeless(problem)) => {
            let end = End::Failed(crate::model::FailKind::Setup(problem));
            return Ok(Life { end, ..lost() });
        }
        Err(failure) => return Err(failure),
    };
    agents::set_state(&parts.pool, agent.id, &AgentState::Preparing, &AgentState::Running, now)
        .await?;
    let (notes, heard) = mpsc::channel(1024);
    let (give, orders) = mpsc::channel(16);
    let desk = Desk { parts, agent: agent.id, lost: claimed.lost.clone(), give };
    let playing = parts.runtime.play(&assignment, Wires { notes, orders });
    let (life, ()) = tokio::join!(playing, desk.sit(heard));
    Ok(life)
}

/// Brings the repository's mirror up to date.
pub(super) async fn refresh_mirror(parts: &Parts, situation: &Situation) -> Result<(), Failure> {
    let repository = &situation.repository;
    let repo = parts.github.repository(repository);
    let token = repo.git_token(Access::Read).await?;
    let refreshed =
        parts.runtime.workspaces.refresh(repository.id, &repo.git_url(), Some(&token)).await;
    refreshed.map_err(|error| {
        let message = error.to_string();
        Failure::GitHub(GitHubError::Retry { after: Duration::from_secs(2), message })
    })
}

async fn assignment(
    parts: &Parts,
    situation: &Situation,
    agent: &Agent,
) -> Result<Assignment, Failure> {
    let resume = match agent.resumes {
        Some(_) => {
            let bytes = agent_sessions::by_id(&parts.pool, agent.session, &agent.provider).await?;
            bytes.map(|bytes| bytes.to_vec())
        }
        None => None,
    };
    let extra = extra(parts, situation, agent, resume.is_some()).await?;
    let rendered = parts.prompts.render(agent.role, situation, agent, &extra).map_err(|error| {
        Failure::Hopeless(format!("the prompt of {}: {error}", agent.role.name()))
    })?;
    let token = new_token();
    let hash: [u8; 32] = Sha256::digest(token.expose_secret().as_bytes()).into();
    agents::set_token_hash(&parts.pool, agent.id, &hash).await?;
    let policy = situation.policy.roles.get(&agent.role);
    let minutes = policy.and_then(|role| role.minutes).unwrap_or(rendered.minutes);
    let patience = Patience {
        total: parts.settings.minute * minutes,
        silence: parts.settings.minute * rendered.silence_minutes,
        linger: LINGER,
    };
    let slug = &parts.identity.slug;
    Ok(Assignment {
        agent: agent.id,
        role: agent.role,
        provider: agent.provider.clone(),
        model: agent.model.clone(),
        session: agent.session,
        resume,
        rendered,
        repository: situation.repository.id,
        base: agent.base.clone(),
        token,
        patience,
        identity: Identity {
            name: format!("{slug}[bot]"),
            email: format!("{}+{slug}[bot]@users.noreply.github.com", parts.identity.bot),
        },
    })
}

/// A token that only this agent and the gateway know; the database has its hash.
fn new_token() -> SecretString {
    let mut bytes = [0_u8; 32];
    rand::rng().fill_bytes(&mut bytes);
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    SecretString::from(format!("agent-{hex}"))
}

/// What the prompt holds besides the situation: the diff, the repository's own instructions.
async fn extra(
    parts: &Parts,
    situation: &Situation,
    agent: &Agent,
    resumed: bool,
) -> Result<prompt::Extra, Failure> {
    let default = situation.repository.default_branch.clone();
    let (stage, base) = (agent.stage, agent.base.clone());
    let reading = parts.runtime.workspaces.read(situation.repository.id, move |mirror| {
        let tip = mirror.branch(&default)?;
        let from = match (stage, &tip) {
            (StageKey::Review, Some(tip)) => mirror.merge_base(tip, &base)?,
            (StageKey::Deploy, _) => mirror.first_parent(&base)?,
            _ => None,
        };
        let diff = from.map(|from| mirror.diff_text(&from, &base, MAX_DIFF)).transpose()?;
        let mut instructions = String::new();
        for name in INSTRUCTIONS {
            let Some(tip) = &tip else { break };
            if let Some(text) = mirror.file(tip, name, MAX_INSTRUCTIONS)? {
                instructions.push_str(&String::from_utf8_lossy(&text));
                instructions.push('\n');
            }
        }
        Ok((diff, instructions))
    });
    let (diff, instructions) =
        reading.await.map_err(|error| Failure::Hopeless(error.to_string()))?;
    let mut frame = [0_u8; 8];
    rand::rng().fill_bytes(&mut frame);
    Ok(prompt::Extra {
        diff,
        project_instructions: (!instructions.is_empty()).then_some(instructions),
        frame: frame.iter().map(|byte| format!("{byte:02x}")).collect(),
        resumed,
        evidence: situation.last_run(RunKind::Verify).cloned(),
    })
}

/// The files in which a repository instructs agents, read from its default branch.
const INSTRUCTIONS: [&str; 2] = ["AGENTS.md", "CLAUDE.md"];
/// How much of a diff a prompt holds, in bytes.
const MAX_DIFF: usize = 200_000;
/// How much of a file of instructions a prompt holds, in bytes.
const MAX_INSTRUCTIONS: usize = 32_000;

/// Sits between a running agent and the database: keeps what it tells, hands it what it is told.
struct Desk<'a> {
    parts: &'a Parts,
    agent: AgentId,
    /// Cancelled when another worker may have the job soon: then nothing may run here any more.
    lost: CancellationToken,
    give: mpsc::Sender<Order>,
}

impl Desk<'_> {
    /// Until the agent has nothing more to tell.
    async fn sit(mut self, mut heard: mpsc::Receiver<Note>) {
        let mut log = self.parts.logs.open(self.agent);
        let redactor = self.parts.redactor();
        let mut progress = Progress::default();
        let mut killed = false;
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                note = heard.recv() => match note {
                    Some(note) => progress.take(&mut log, &redactor, note).await,
                    None => break,
                },
                () = self.lost.cancelled(), if !killed => {
                    killed = true;
                    let by = CancelledBy::Superseded;
                    self.order(Order::Stop { stop: Stop::Kill, by }).await;
                }
                _ = tick.tick() => {
                    if let Err(error) = self.look(&mut progress).await {
                        tracing::warn!(agent.id = %self.agent, %error, "the agent's row could not be kept up to date");
                    }
                }
            }
        }
        drop(log);
        if let Err(error) = self.look(&mut progress).await {
            tracing::warn!(agent.id = %self.agent, %error, "the agent's last words could not be kept");
        }
    }

    /// Writes what changed and reads what is wanted.
    async fn look(&mut self, progress: &mut Progress) -> Result<(), Failure> {
        let pool = &self.parts.pool;
        let now = self.parts.clock.now();
        if std::mem::take(&mut progress.changed) {
            let line = progress.doing.as_ref();
            agents::set_progress(pool, self.agent, &progress.todo, line, now).await?;
        }
        agents::heartbeat(pool, self.agent, now).await?;
        if let Some((stop, by)) = agents::wanted(pool, self.agent).await? {
            self.order(Order::Stop { stop, by }).await;
        } else if self.parts.shutting_down.is_cancelled() {
            self.order(Order::Stop { stop: Stop::Interrupt, by: CancelledBy::Shutdown }).await;
        }
        for message in agent_inbox::take_undelivered(pool, self.agent, now).await? {
            self.order(Order::Say(prompt::message_text(&message))).await;
        }
        Ok(())
    }

    async fn order(&self, order: Order) {
        // The agent has ended meanwhile: its end tells what became of it.
        let _ = self.give.send(order).await;
    }
}

/// The newest of what an agent told.
#[derive(Default)]
struct Progress {
    todo: Vec<TodoItem>,
    doing: Option<Untrusted>,
    changed: bool,
}

impl Progress {
    async fn take(&mut self, log: &mut LogWriter, redactor: &Redactor, note: Note) {
        match note {
            Note::Line { stream, text } => {
                let stream = match stream {
                    Stream::Out => LogStream::Output,
                    Stream::Error => LogStream::Error,
                };
                log.line(stream, text.as_bytes()).await;
            }
            Note::Doing(text) => {
                let first: String =
                    text.0.lines().next().unwrap_or_default().chars().take(300).collect();
                log.line(LogStream::Note, first.as_bytes()).await;
                (self.doing, self.changed) = (Some(Untrusted(redactor.redact(&first))), true);
            }
            Note::Todo(todo) => (self.todo, self.changed) = (todo, true),
            Note::Started { .. } | Note::Usage(_) => {}
        }
    }
}

/// Saves how the life went, and tells it to the task.
async fn save(
    parts: &Parts,
    claimed: &Claimed,
    task: TaskId,
    agent: &Agent,
    life: Life,
) -> Result<(), Failure> {
    let now = parts.clock.now();
    let event = told(parts, task, agent, What::AgentFinished { agent: agent.id }).await?;
    let mut tx = parts.pool.begin().await?;
    if let Some(bytes) = &life.session {
        agent_sessions::save(&mut *tx, agent.session, &agent.provider, agent.id, bytes, now)
            .await?;
    }
    if let (Some(cost), "command") = (life.cost, agent.provider.as_str()) {
        tracing::debug!(agent.id = %agent.id, %cost, "cost by the program's own count");
    }
    let mut wake = queue::Wake::none();
    if life.end == End::Lost {
        // Its workspace is still there.
        wake = queue::enqueue(&mut tx, &[sweep::one(Sweep::Agents, now)]).await?;
    }
    let finished = agents::Finished { end: life.end, outcome: life.outcome, head: life.head };
    agents::finish(&mut *tx, agent.id, finished, now).await?;
    let wake = wake.and(parse::save(&mut tx, &[event], now).await?);
    queue::finish(&mut tx, claimed, now).await?;
    tx.commit().await?;
    wake.release(&parts.wakes);
    Ok(())
}

/// Tells the task that its agent cannot start, and ends the agent.
async fn refuse(
    parts: &Parts,
    claimed: &Claimed,
    task: TaskId,
    agent: &Agent,
    reason: String,
) -> Result<(), Failure> {
    let now = parts.clock.now();
    let event = told(parts, task, agent, What::StartRefused { agent: agent.id, reason }).await?;
    let mut tx = parts.pool.begin().await?;
    let end = End::Cancelled(CancelledBy::Superseded);
    agents::finish(&mut *tx, agent.id, agents::Finished { end, outcome: None, head: None }, now)
        .await?;
    let wake = parse::save(&mut tx, &[event], now).await?;
    queue::finish(&mut tx, claimed, now).await?;
    tx.commit().await?;
    wake.release(&parts.wakes);
    Ok(())
}

async fn told(parts: &Parts, task: TaskId, agent: &Agent, what: What) -> Result<NewEvent, Failure> {
    let mut connection = parts.pool.acquire().await?;
    let dedup_key = format!("agent:{}:{}", agent.id, what.name());
    own_event(parts, &mut connection, task, dedup_key, what).await
}

/// An event of Baton's own doing: it follows from what was last decided for the task.
pub(super) async fn own_event(
    parts: &Parts,
    connection: &mut PgConnection,
    task: TaskId,
    dedup_key: String,
    what: What,
) -> Result<NewEvent, Failure> {
    let repository = tasks::load(&mut *connection, task).await?.repository;
    let before = events::last_decided(&mut *connection, task).await?;
    let cause = before.map_or(Cause::Sweep, |(id, cause)| Cause::after(id, &cause));
    Ok(NewEvent {
        at: parts.clock.now(),
        repository,
        subject: Subject::Task(task),
        actor: Actor::System,
        cause,
        dedup_key,
        what,
    })
}
