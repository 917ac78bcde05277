//! `baton agents`.

use clap::Args;

use super::{database::At, output};
use crate::{
    db::overview::{self, AgentLine},
    model::{AgentState, CancelledBy, End, FailKind, Micros, Watchdog, size},
};

/// Lists agents and what each takes: time, processor, memory, disk, tokens, money.
#[derive(Debug, Args)]
pub(super) struct Agents {
    /// Lists those that have ended, too
    #[arg(long)]
    all: bool,
}

/// How many are listed.
const LIMIT: i64 = 200;

impl Agents {
    pub async fn run(&self, at: &At) -> anyhow::Result<u8> {
        let opened = at.open().await?;
        let lines =
            overview::list_agent_lines(&opened.pool, self.all, opened.clock.now(), LIMIT).await?;
        output::rows(at.json, &lines, line)?;
        if lines.is_empty() && !at.json {
            println!("No agent is at work.");
        }
        opened.close().await;
        Ok(0)
    }
}

fn line(agent: &AgentLine) -> String {
    let waits = agent.waits_for.map(|lack| format!(", waits for {}", lack.awaited()));
    format!(
        "{:>5}  {}#{} {} {}  {}{}  {}  cpu {}  memory {} now, {} at most  written {}, {} held  {} tokens  {}  \
         {} tool calls, {} failed, {} denied, {} retries{}",
        agent.id,
        agent.repository,
        agent.number,
        played(agent),
        agent.attempt,
        state(&agent.state),
        waits.unwrap_or_default(),
        seconds(agent.wall_ms),
        seconds(agent.cpu_ms),
        bytes(agent.memory_bytes),
        bytes(agent.memory_peak_bytes),
        bytes(agent.written_bytes),
        bytes(agent.held_bytes),
        agent.tokens,
        Micros(agent.cost_micros),
        agent.calls,
        agent.failed,
        agent.denied,
        agent.retries,
        told(agent),
    )
}

/// The stage; and the part of the plan that it plays of it, and as whom.
fn played(agent: &AgentLine) -> String {
    match agent.subtask {
        Some(subtask) => format!("{} part {subtask} ({})", agent.stage, agent.role.name()),
        None => agent.stage.clone(),
    }
}

/// What the program counted itself, where it did.
fn told(agent: &AgentLine) -> String {
    let cost = (agent.told_micros > 0).then(|| format!(", {}", Micros(agent.told_micros)));
    match agent.told_tokens {
        0 => String::new(),
        tokens => format!("  by its own count {tokens} tokens{}", cost.unwrap_or_default()),
    }
}

fn seconds(millis: i64) -> String {
    format!("{}.{} s", millis / 1000, millis % 1000 / 100)
}

fn bytes(bytes: i64) -> String {
    size(bytes.unsigned_abs())
}

/// Where it stands, and how it ended, in a few words.
fn state(state: &AgentState) -> String {
    let AgentState::Ended(end) = state else { return state.name().to_owned() };
    match end {
        End::Succeeded => "succeeded".to_owned(),
        End::Asked(_) => "asked a person".to_owned(),
        End::OutOfQuota { until } => format!("out of quota until {}", until.format("%H:%M UTC")),
        End::OutOfBudget => "out of budget".to_owned(),
        End::Failed(kind) => format!("failed: {}", output::plain(&failure(kind))),
        End::TimedOut(Watchdog::Total) => "timed out in all".to_owned(),
        End::TimedOut(Watchdog::Silence) => "timed out in silence".to_owned(),
        End::TimedOut(Watchdog::Linger) => "timed out as it did not go".to_owned(),
        End::Cancelled(CancelledBy::Person(_)) => "cancelled by a person".to_owned(),
        End::Cancelled(CancelledBy::Operator) => "cancelled by the operator".to_owned(),
        End::Cancelled(CancelledBy::Shutdown) => "cancelled by a shutdown".to_owned(),
        End::Cancelled(CancelledBy::Superseded) => "cancelled as superseded".to_owned(),
        End::Lost => "lost with its Baton".to_owned(),
    }
}

fn failure(kind: &FailKind) -> String {
    let (what, why) = match kind {
        FailKind::Setup(why) => ("set-up", why.as_str()),
        FailKind::Provider(why) => ("its program", why.as_str()),
        FailKind::InvalidOutcome(why) => ("no valid outcome", why.as_str()),
        FailKind::Model(why) => ("the model API", why.as_str()),
        FailKind::Away(why) => ("the model API was away", why.as_str()),
        FailKind::Tools(why) => ("the tool server", why.as_str()),
        FailKind::Commands => ("the repository's commands", ""),
        FailKind::Verdict => ("the verdict", ""),
        FailKind::Crashed(why) => ("crashed", why.as_str()),
        FailKind::Unpushed(commit) => ("not pushed", commit.short()),
        FailKind::Resources(excess) => return format!("took {}", excess.words()),
    };
    let why: String = why.lines().next().unwrap_or_default().chars().take(100).collect();
    if why.is_empty() { what.to_owned() } else { format!("{what}: {why}") }
}
