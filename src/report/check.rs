//! The check run of a stage on a commit: queued, at work, or how it came out and what follows.

use crate::model::{
    Agent, AgentState, Annotation, CheckStatus, Conclusion, Desired, End, Outcome, RunState, Sha,
    Situation, StageKey, StageState, Task, TaskState, Timestamp, Untrusted,
};

use super::ended::{Ending, ending, failed};
use super::evidence::{folded, output};
use super::figures::{called, taken, worked};
use super::findings::{annotation, of_round};
use super::fit::{CHECK, fit};
use super::quote::{clip, code, fence};
use super::seen::Seen;
use super::steps::queued;
use super::verdict::{Judgement, judge};

/// Longest title: GitHub names no limit and shows about one line.
const TITLE: usize = 120;

/// What the check of a stage on a commit should say.
#[must_use]
pub fn check(situation: &Situation, task: &Task, key: StageKey, head: &Sha) -> Desired {
    let seen = Seen::of(situation, key, head);
    let standing = standing(situation, task, key, &seen);
    let (status, judgement) = match standing {
        Standing::Queued(title) => (CheckStatus::Queued, Judgement::running(title)),
        Standing::Working(title) => (CheckStatus::InProgress, Judgement::running(title)),
        Standing::Over(judgement) => {
            let at = ended_at(task, &seen);
            (CheckStatus::Completed { conclusion: judgement.conclusion, at }, judgement)
        }
    };
    let summary = format!("{}\n\n{}", judgement.summary, footer(head, seen.agent));
    Desired::Check {
        name: format!("{} / {}", situation.name, key.name()),
        head: head.clone(),
        status,
        title: clip(&judgement.title, TITLE),
        summary: fit(summary.trim_start(), CHECK),
        text: fit(&text(situation, &seen), CHECK),
        annotations: annotations(situation, key, &seen),
        started_at: seen.agent.and_then(|agent| agent.started_at),
    }
}

/// How far the stage is on this commit.
enum Standing {
    Queued(String),
    Working(String),
    Over(Judgement),
}

fn standing(situation: &Situation, task: &Task, key: StageKey, seen: &Seen<'_>) -> Standing {
    let ending = seen.agent.map(|agent| &agent.state);
    match ending {
        Some(AgentState::Queued) => {
            return Standing::Queued(seen.agent.map(queued).unwrap_or_default());
        }
        Some(AgentState::Preparing | AgentState::Running | AgentState::Finishing) => {
            return Standing::Working("at work".to_owned());
        }
        Some(AgentState::Ended(End::Succeeded)) | None => {}
        Some(AgentState::Ended(end)) => {
            let said = seen.agent.and_then(|agent| ending_of(situation, agent, end));
            return said.map_or(Standing::Working("at work".to_owned()), Standing::Over);
        }
    }
    let state = seen.stage.filter(|_| seen.current).map(|stage| &stage.state);
    match (state, seen.run.map(|run| &run.state)) {
        (_, Some(RunState::Pending)) => Standing::Working("running the commands".to_owned()),
        (Some(StageState::Publishing { .. }), _) => {
            Standing::Working("pushing the change".to_owned())
        }
        (Some(StageState::Commands(_)), None) => {
            Standing::Working("running the commands".to_owned())
        }
        (Some(StageState::Failed(kind)), None) if seen.agent.is_none() => {
            Standing::Over(Judgement::from(failed(situation, key, kind)))
        }
        (_, None) if seen.agent.is_none() => nothing_done(task),
        (Some(state), Some(_)) if state.is_active() && seen.agent.is_none() => {
            Standing::Working("judging what came out".to_owned())
        }
        _ => Standing::Over(judge(situation, key, seen)),
    }
}

/// Nothing ran on this commit: it still may, or the task is over and the check must not hang.
fn nothing_done(task: &Task) -> Standing {
    match &task.state {
        TaskState::Open | TaskState::Waiting(_) => {
            Standing::Queued("waits for its turn".to_owned())
        }
        TaskState::Parked(_) => Standing::Over(Judgement {
            conclusion: Conclusion::Cancelled,
            title: "not run, the task is parked".to_owned(),
            summary: "The task was parked before this ran. Its progress comment says how to go on."
                .to_owned(),
        }),
        TaskState::Done | TaskState::Cancelled { .. } => Standing::Over(Judgement {
            conclusion: Conclusion::Skipped,
            title: "not needed".to_owned(),
            summary: "The task ended before this ran.".to_owned(),
        }),
    }
}

fn ending_of(situation: &Situation, agent: &Agent, end: &End) -> Option<Judgement> {
    ending(situation, agent, end).map(Judgement::from)
}

impl From<Ending> for Judgement {
    fn from(said: Ending) -> Self {
        let summary = format!("{}\n\n**Next:** {}", said.what, said.next);
        Self { conclusion: said.conclusion, title: said.title, summary }
    }
}

/// When it ended. Never the present moment: the same situation must say the same again.
fn ended_at(task: &Task, seen: &Seen<'_>) -> Timestamp {
    let stage = seen.stage.filter(|_| seen.current).map(|stage| stage.changed_at);
    let agent = seen.agent.and_then(|agent| agent.ended_at);
    let run = seen.run.map(|run| run.at);
    agent.max(run).or(stage).unwrap_or(task.opened_at)
}

fn footer(head: &Sha, agent: Option<&Agent>) -> String {
    let mut said = vec![format!("`{}`", head.short())];
    if let Some(agent) = agent {
        said.push(format!("{} {}", code(&agent.provider), code(&agent.model)));
        said.extend(worked(agent));
        said.push(agent.cost.to_string());
        said.extend(taken(agent.footprint));
        said.extend(called(agent.tally));
    }
    format!("<sub>{}</sub>", said.join(" · "))
}

/// What the commands printed and the agent's last words, folded away.
/// What Baton ran, the last lines of the agent's log, and its last words: folded.
fn text(situation: &Situation, seen: &Seen<'_>) -> String {
    let ran = seen.run.map(output);
    let tail =
        situation.tail.as_ref().filter(|(id, _)| seen.agent.is_some_and(|agent| agent.id == *id));
    let tail = tail.filter(|(_, lines)| !lines.is_empty()).map(|(_, lines)| {
        let lines: Vec<String> = lines.iter().map(Untrusted::as_code).collect();
        folded("The agent's last steps", &fence(&lines.join("\n"), ""))
    });
    let last = seen
        .agent
        .and_then(|agent| agent.last_line.as_ref())
        .map(|words| folded("The agent's last words", &fence(&words.as_code(), "")));
    ran.into_iter()
        .chain(tail)
        .chain(last)
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("\n\n")
}

/// Remarks on lines: the findings of the round in which this commit was read.
fn annotations(situation: &Situation, key: StageKey, seen: &Seen<'_>) -> Vec<Annotation> {
    let reviewed = seen.agent.filter(|agent| matches!(agent.outcome, Some(Outcome::Review(_))));
    match reviewed {
        Some(agent) if key == StageKey::Review => {
            of_round(situation, agent.attempt).into_iter().map(annotation).collect()
        }
        _ => Vec::new(),
    }
}
