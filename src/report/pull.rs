//! Title and text of Baton's own pull request: what and why, evidence, who made it.

use crate::model::{
    Agent, CodeOutcome, Desired, Outcome, ReportKind, RunKind, Situation, StageKey, Task,
    TaskOrigin,
};

use super::evidence::{agent_says, folded, lines};
use super::figures::count;
use super::fit::{COMMENT, fit};
use super::marker::Marker;
use super::progress::plan_text;
use super::quote::{block, code, line, plain};
use super::setup::fetched;

/// GitHub's limit for titles, in characters.
const TITLE: usize = 256;

/// What the pull request should say. A person's own is never touched.
#[must_use]
pub fn pull(situation: &Situation, task: &Task) -> Desired {
    if task.origin != TaskOrigin::Issue {
        return Desired::Nothing;
    }
    let marker = Marker::of_report(task.id, &ReportKind::Pull).write(&situation.name);
    let newest = situation.newest_coders();
    let mut parts = vec![
        format!("{marker}\n{}", what(situation, &newest)),
        format!("Closes #{}", task.number),
        plan(situation),
        evidence(situation, &newest),
        fetched(situation),
        notes(&newest),
        footer(situation),
    ];
    parts.retain(|part| !part.is_empty());
    let body = fit(&parts.join("\n\n"), COMMENT);
    Desired::Pull { title: title(task), body }
}

fn title(task: &Task) -> String {
    let title = plain(&task.input.title, TITLE);
    if title.is_empty() { format!("Issue {}", task.number) } else { title }
}

/// Agents with what they say of the change.
type Coders<'a> = [(&'a Agent, &'a CodeOutcome)];

fn coders(situation: &Situation) -> impl Iterator<Item = (&Agent, &CodeOutcome)> {
    situation.agents.iter().filter_map(|agent| match &agent.outcome {
        Some(Outcome::Code(outcome)) => Some((agent, outcome)),
        _ => None,
    })
}

/// What the first coder says, or all parts of a divided plan, and what the newest does of what came back.
fn what(situation: &Situation, newest: &Coders<'_>) -> String {
    let first = coders(situation).next();
    let begun: Vec<_> = match first {
        Some((agent, _)) if agent.subtask.is_none() => first.into_iter().collect(),
        _ => coders(situation).filter(|(agent, _)| agent.subtask.is_some()).collect(),
    };
    let said = begun.iter().map(|(_, outcome)| block(&outcome.summary, 4000));
    let mut said = said.filter(|said| !said.is_empty()).collect::<Vec<_>>().join("\n\n");
    if said.is_empty() {
        said = situation.plan().map(|plan| block(&plan.body.summary, 3000)).unwrap_or_default();
    }
    let is_begun = |agent: &Agent| begun.iter().any(|(other, _)| other.id == agent.id);
    match newest.last().filter(|(agent, _)| !is_begun(agent)) {
        Some((_, again)) => format!("{said}\n\n**Newest round:** {}", line(&again.summary, 1500)),
        None => said,
    }
}

fn plan(situation: &Situation) -> String {
    let Some(plan) = situation.plan() else { return String::new() };
    let approved = situation
        .approval()
        .map(|approval| format!(", approved by {}", approval.actor.login))
        .unwrap_or_default();
    let steps = count(plan.body.steps.len(), "step");
    folded(&format!("The plan: {steps}{approved}"), &plan_text(plan))
}

fn evidence(situation: &Situation, newest: &Coders<'_>) -> String {
    let run = situation.last_run(RunKind::Test);
    let mut said = match run {
        Some(run) => {
            let mut said = vec![format!("**Evidence** on `{}`", run.sha.short()), String::new()];
            said.extend(lines(run));
            said
        }
        None => vec![
            "**Evidence:** Baton ran nothing, because `.github/baton.yml` names no `test` commands."
                .to_owned(),
        ],
    };
    let claimed = newest.iter().map(|(_, outcome)| line(&outcome.tests_run, 600));
    for claimed in claimed.filter(|claimed| !claimed.is_empty()) {
        let lead = if run.is_some() { "- " } else { "" };
        said.push(format!("{lead}Tests, the agent says: {claimed}"));
    }
    said.join("\n")
}

fn notes(newest: &Coders<'_>) -> String {
    let said = newest.iter().map(|(_, outcome)| agent_says(&outcome.notes, 3000));
    let said = said.filter(|said| !said.is_empty()).collect::<Vec<_>>().join("\n\n");
    if said.is_empty() { said } else { format!("**For the reviewer.** {said}") }
}

fn footer(situation: &Situation) -> String {
    let wrote = |agent: &&Agent| agent.subtask.is_some() && agent.role.writes();
    let parts = situation.agents.iter().filter(wrote);
    let mut made: Vec<String> = Vec::new();
    for agent in parts.chain(situation.last_agent(StageKey::Code)) {
        let by = format!("{} {}", code(&agent.provider), code(&agent.model));
        if !made.contains(&by) {
            made.push(by);
        }
    }
    let made = if made.is_empty() { String::new() } else { format!(" with {}", made.join(", ")) };
    let cost = situation.task.as_ref().map(|task| format!(" · {} so far", task.spent));
    format!("<sub>Made by Baton{made}{}</sub>", cost.unwrap_or_default())
}
