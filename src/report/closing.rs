//! The word with which a task ends or is parked: a new short comment, because edits notify nobody.

use crate::model::{
    Desired, Outcome, ParkReason, ReportKind, Situation, Task, TaskOrigin, TaskState,
};

use super::commands::{in_a_line, typed};
use super::evidence::criteria;
use super::figures::{spent, split};
use super::findings::{of_round, tally};
use super::fit::{COMMENT, fit};
use super::kept::{kept, upper_first};
use super::marker::Marker;
use super::parked::parked;
use super::parking::led;
use super::people::{ended_by, who_acts};
use super::progress::{done, is_plan, options};

/// What the n-th closing word should be. Once posted it stays as it is; an older one is history.
#[must_use]
pub fn closing(situation: &Situation, task: &Task, number: u32) -> Desired {
    if number != task.endings {
        return Desired::Nothing;
    }
    let parts = match &task.state {
        TaskState::Open | TaskState::Waiting(_) => return Desired::Nothing,
        TaskState::Parked(reason) => parking(situation, reason),
        TaskState::Done => finished(situation, task),
        TaskState::Cancelled { by } => vec![
            format!("**Ended** by {}. {}", ended_by(situation, by), kept(situation)),
            again(situation, task),
        ],
    };
    let marker = Marker::of_report(task.id, &ReportKind::Closing(number)).write(&situation.name);
    let said: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    let body = format!("{marker}\n{}\n\n{}", said.join("\n\n"), money(situation));
    Desired::Comment { body: fit(&body, COMMENT), minimised: false, frozen: true }
}

fn parking(situation: &Situation, reason: &ParkReason) -> Vec<String> {
    let said = parked(situation, reason);
    let headline = upper_first(&led(reason, "parked: ", &said.headline));
    let who = if said.needs_person { format!("{}: ", who_acts(situation)) } else { String::new() };
    vec![
        format!("{}**{headline}.** {}", upper_first(&who), kept(situation)),
        said.wrong,
        options(&said.next),
    ]
}

fn finished(situation: &Situation, task: &Task) -> Vec<String> {
    let headline = format!("**{}.**", upper_first(&done(situation, task)));
    match task.origin {
        TaskOrigin::Audit => vec![headline],
        TaskOrigin::Pull => vec![reviewed(situation, task), next_for_pull(situation)],
        TaskOrigin::Issue if is_plan(situation, task) => {
            vec![format!("{headline} It is in the comment above."), again(situation, task)]
        }
        TaskOrigin::Issue => {
            vec![format!("{headline}{}", merged(task)), verdicts(situation)]
        }
    }
}

fn merged(task: &Task) -> String {
    let merged = task.merged.as_ref().map(|merged| format!(" Merged as `{}`.", merged.short()));
    merged.unwrap_or_default()
}

/// What was judged at the end, criterion by criterion.
fn verdicts(situation: &Situation) -> String {
    let outcomes = situation.agents.iter().rev().filter_map(|agent| agent.outcome.as_ref());
    let verdict = outcomes.into_iter().find_map(|outcome| match outcome {
        Outcome::Verify(verify) => Some(criteria(&verify.criteria).join("\n")),
        Outcome::Plan(_)
        | Outcome::Code(_)
        | Outcome::Review(_)
        | Outcome::Deploy(_)
        | Outcome::Audit(_)
        | Outcome::Analysis(_) => None,
    });
    verdict.unwrap_or_default()
}

fn reviewed(situation: &Situation, task: &Task) -> String {
    let round = situation.stage(crate::model::StageKey::Review).map_or(0, |stage| stage.round);
    let head = task.head.as_ref().map(|head| format!(" at `{}`", head.short())).unwrap_or_default();
    let found = tally(&of_round(situation, round));
    format!("**Reviewed #{}{head}: {found}.**", task.pull.unwrap_or(task.number))
}

fn next_for_pull(situation: &Situation) -> String {
    let round = situation.stage(crate::model::StageKey::Review).map_or(0, |stage| stage.round);
    super::review::whats_next(situation, &of_round(situation, round))
}

/// How the same work is begun anew.
fn again(situation: &Situation, task: &Task) -> String {
    match task.origin {
        TaskOrigin::Issue if is_plan(situation, task) => format!(
            "The policy goes no further (`until` in `.github/baton.yml`). {} plans it again.",
            typed(situation, "plan")
        ),
        TaskOrigin::Issue | TaskOrigin::Pull | TaskOrigin::Audit => {
            format!("To begin anew: {}", in_a_line(situation))
        }
    }
}

fn money(situation: &Situation) -> String {
    let split = split(situation);
    let split = if split.is_empty() { split } else { format!(": {split}") };
    format!("<sub>{}{split}</sub>", spent(situation))
}
