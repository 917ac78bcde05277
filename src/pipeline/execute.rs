//! One agent's life as the database sees it.

use std::time::Duration;

use chrono::TimeDelta;
use rand::Rng;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use super::{
    Failure, Parts, continuing,
    desk::Desk,
    mirrors,
    own::own_event,
    parse, say,
    setup::{self, Supplied},
    situation, sweep, writing,
};
use crate::{
    agent::{Assignment, Life, Patience, Supplies, Wires, prompt},
    db::{
        agent_inbox, agent_sessions, agents, command_runs, context_entries, questions,
        usage::{self, Settled},
    },
    model::{
        Agent, AgentId, AgentState, CancelledBy, End, FailKind, NewEvent, Outcome, QuestionId,
        RunKind, Situation, StageKey, Sweep, TaskId, What, cut,
    },
    queue::{self, Claimed},
    workspace::{Identity, trailers},
};

/// An agent that ends within this has other news for its thread than that it is at work.
const AT_WORK: TimeDelta = TimeDelta::seconds(3);
/// How long a program may stay after its work is done.
const LINGER: Duration = Duration::from_secs(20);

/// Runs an agent to its end.
pub(super) async fn agent(parts: &Parts, claimed: &Claimed, id: AgentId) -> Result<(), Failure> {
    let row = agents::load(&parts.pool, id).await?;
    let agent = &row.agent;
    let life = match &agent.state {
        AgentState::Ended(_) => return finish(parts, claimed).await,
        // A worker that is gone had begun, and nothing ran yet.
        AgentState::Preparing => lost(),
        AgentState::Running | AgentState::Finishing => {
            continuing::agent(parts, claimed, row.task, agent).await?
        }
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

pub(super) fn lost() -> Life {
    Life::only(End::Lost)
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
    mirrors::refresh(parts, &situation, Some(&agent.base)).await?;
    let now = parts.clock.now();
    agents::set_state(&parts.pool, agent.id, &AgentState::Queued, &AgentState::Preparing, now)
        .await?;
    let assignment = match assignment(parts, &situation, agent).await {
        Ok(assignment) => assignment,
        Err(Failure::Hopeless(problem)) => {
            return Ok(Life::only(End::Failed(FailKind::Setup(problem))));
        }
        Err(failure) => return Err(failure),
    };
    let assignment = match supplies(parts, claimed, &situation, agent).await? {
        Ok(supplies) => Assignment { supplies, ..assignment },
        Err(life) => return Ok(life),
    };
    begun(parts, &situation, task, agent.id).await?;
    let (notes, heard) = mpsc::channel(1024);
    let (give, orders) = mpsc::channel(16);
    let log = parts.logs.open(agent.id);
    let assignment = Assignment { lines_before: Some(log.last_seq()), ..assignment };
    let desk = Desk::new(parts, claimed, task, agent, log, give);
    let playing = parts.runtime.play(&assignment, Wires { notes, orders });
    let (life, ()) = tokio::join!(playing, desk.sit(heard));
    Ok(life)
}

/// Notes that the agent is at work, and has its thread say so.
async fn begun(
    parts: &Parts,
    situation: &Situation,
    task: TaskId,
    agent: AgentId,
) -> Result<(), Failure> {
    let now = parts.clock.now();
    let mut tx = parts.pool.begin().await?;
    agents::set_state(&mut *tx, agent, &AgentState::Preparing, &AgentState::Running, now).await?;
    let repository = situation.repository.id;
    let wake = say::progress(&mut tx, task, repository, now, now + AT_WORK).await?;
    tx.commit().await?;
    wake.release(&parts.wakes);
    Ok(())
}

/// What the agent builds with, or how its life has ended before it began. Only who writes waits for a
/// set-up; who reads sees what is there.
async fn supplies(
    parts: &Parts,
    claimed: &Claimed,
    situation: &Situation,
    agent: &Agent,
) -> Result<Result<Option<Supplies>, Life>, Failure> {
    if !agent.role.writes() {
        return Ok(Ok(setup::shown(parts, situation).await?));
    }
    Ok(match setup::supplied(parts, claimed, situation, setup::For::Agent(agent), false).await {
        Ok(Supplied::Ready(supplies)) => Ok(supplies.map(|supplies| *supplies)),
        Ok(Supplied::Failed(problem)) | Err(Failure::Hopeless(problem)) => {
            Err(Life { end: End::Failed(FailKind::Setup(problem)), ..lost() })
        }
        Ok(Supplied::Stopped) => Err(match agents::wanted(&parts.pool, agent.id).await? {
            Some((_, by)) => Life::cancelled(by),
            None if parts.shutting_down.is_cancelled() => Life::cancelled(CancelledBy::Shutdown),
            None => lost(),
        }),
        Err(failure) => return Err(failure),
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
    agents::set_tools(&parts.pool, agent.id, &rendered.baton).await?;
    let policy = situation.policy.roles.get(&agent.role);
    let minutes = policy.and_then(|role| role.minutes).unwrap_or(rendered.minutes);
    let patience = Patience {
        total: parts.settings.minute * minutes,
        silence: parts.settings.minute * rendered.silence_minutes,
        linger: LINGER,
    };
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
        supplies: None,
        protected: situation.policy.protected.clone(),
        token,
        patience,
        identity: identity(parts),
        trailers: trailers(situation.task.as_ref().map_or(0, |task| task.id.0), agent.id.0).into(),
        lines_before: None,
    })
}

/// Who makes commits: the App's own account, as GitHub shows it.
pub(super) fn identity(parts: &Parts) -> Identity {
    let slug = &parts.identity.slug;
    Identity {
        name: format!("{slug}[bot]"),
        email: format!("{}+{slug}[bot]@users.noreply.github.com", parts.identity.bot),
    }
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
    let (repository, workspaces) = (situation.repository.id, &parts.runtime.workspaces);
    let hopeless = |error: crate::workspace::WorkspaceError| Failure::Hopeless(error.to_string());
    let seeking = workspaces.read(repository, move |mirror| {
        let tip = mirror.branch(&default)?;
        let from = match (stage, &tip) {
            (StageKey::Review, Some(tip)) => mirror.merge_base(tip, &base)?,
            (StageKey::Deploy, _) => mirror.first_parent(&base)?,
            _ => None,
        };
        Ok((tip, from))
    });
    let (tip, from) = seeking.await.map_err(hopeless)?;
    if let Some(from) = &from {
        // What changed has to be there on both sides.
        mirrors::complete(parts, situation, from).await?;
    }
    let base = agent.base.clone();
    let reading = workspaces.read(repository, move |mirror| {
        let diff = from.map(|from| mirror.diff_text(&from, &base, MAX_DIFF)).transpose()?;
        let instructions = tip.map(|tip| mirror.instructions(&tip)).transpose()?;
        Ok((diff, instructions.flatten()))
    });
    let (diff, instructions) = reading.await.map_err(hopeless)?;
    let left = match &situation.task {
        Some(task) => context_entries::list(&parts.pool, task.id).await?,
        None => Vec::new(),
    };
    let mut frame = [0_u8; 8];
    rand::rng().fill_bytes(&mut frame);
    Ok(prompt::Extra {
        diff,
        project_instructions: instructions,
        frame: frame.iter().map(|byte| format!("{byte:02x}")).collect(),
        resumed,
        left: left.into_iter().map(|entry| entry.key).collect(),
        evidence: situation.last_run(RunKind::Verify).cloned(),
        web: may_search(parts, situation, agent),
        said: match stage {
            StageKey::Code => agent_inbox::list_told_before(&parts.pool, agent.id).await?,
            StageKey::Plan
            | StageKey::Review
            | StageKey::Deploy
            | StageKey::Verify
            | StageKey::Audit => Vec::new(),
        },
    })
}

/// Whether the agent's program may search the web, as things stand. The gateway looks at each request anew.
fn may_search(parts: &Parts, situation: &Situation, agent: &Agent) -> bool {
    let outsiders = situation.task.as_ref().is_none_or(|task| !task.input.outsiders.is_empty());
    let role = situation.policy.roles.get(&agent.role);
    role.is_some_and(|role| role.may_use_web(outsiders))
        && parts.settings.web.searches(&agent.provider)
}

/// How much of a diff a prompt holds, in bytes.
const MAX_DIFF: usize = 200_000;

/// How much of an analysis is left for agents to read later, in characters: as much as they may leave themselves.
const MAX_REPORT: usize = 16_000;

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
    let asked = asked(parts, agent.id).await?;
    let mut tx = parts.pool.begin().await?;
    if let Some(bytes) = &life.session {
        agent_sessions::save(&mut *tx, agent.session, &agent.provider, agent.id, bytes, now)
            .await?;
    }
    let mut wake = queue::Wake::none();
    if life.end == End::Lost {
        // Its workspace is still there.
        wake = queue::enqueue(&mut tx, &[sweep::one(Sweep::Agents, now)]).await?;
        // So is what was held back for its requests, and the gateway that carried them is gone.
        for request in usage::list_open_of(&mut *tx, agent.id, None).await? {
            usage::settle(&mut tx, request, Settled::Unseen, now).await?;
        }
    }
    let Life { end, outcome, head, limited, .. } = life;
    let (end, outcome) = match asked {
        Some(question) => (End::Asked(question), None),
        None => (end, outcome),
    };
    if let (Some(Outcome::Analysis(analysis)), Some(subtask)) = (&outcome, agent.subtask) {
        let key = format!("analysis/{subtask}");
        let report = cut(&parts.redactor().redact(&analysis.report.0), MAX_REPORT);
        context_entries::insert(&mut *tx, task, agent.id, &key, &report, now).await?;
    }
    let finished = agents::Finished { end, outcome, head, limited };
    agents::finish(&mut *tx, agent.id, finished, now).await?;
    command_runs::end_lost_setups(&mut *tx, task, agent.stage, now).await?;
    let wake = wake.and(parse::save(&mut tx, &[event], now).await?);
    queue::finish(&mut tx, claimed, now).await?;
    tx.commit().await?;
    wake.release(&parts.wakes);
    Ok(())
}

/// The question that the agent's end stands for. Once it has asked, it matters little how its last turn
/// went, or whether there was one: unless somebody wanted it to end, it ended with its question.
async fn asked(parts: &Parts, agent: AgentId) -> Result<Option<QuestionId>, Failure> {
    match agents::wanted(&parts.pool, agent).await? {
        Some(_) => Ok(None),
        None => Ok(questions::of_agent(&parts.pool, agent).await?),
    }
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
    let end = End::Failed(FailKind::Setup(format!("there is no sandbox for it: {reason}")));
    let event = told(parts, task, agent, What::StartRefused { agent: agent.id, reason }).await?;
    let mut tx = parts.pool.begin().await?;
    agents::finish(&mut *tx, agent.id, agents::Finished::only(end), now).await?;
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
