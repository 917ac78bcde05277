//! The comment by which Baton asks for a plan's approval: new, so that it notifies, and never edited.

use crate::model::{Desired, Plan, ReportKind, Situation, Task, TaskState, Untrusted, WaitFor};

use super::commands::typed;
use super::fit::{COMMENT, fit};
use super::kept::upper_first;
use super::marker::Marker;
use super::people::who_acts;
use super::quote::line;

/// What the asking comment of the plan with this number should be.
///
/// The marker holds the whole hash: a tick approves that plan and no other.
#[must_use]
pub fn asking(situation: &Situation, task: &Task, number: u32) -> Desired {
    let Some(plan) = situation.plans.iter().find(|plan| plan.number == number) else {
        return Desired::Nothing;
    };
    let waits = waits_for(situation, task, plan);
    let asked = situation.asked.iter().any(|(asked, _)| *asked == number);
    if !waits && !asked {
        return Desired::Nothing;
    }
    let plan_hash = Some(plan.hash.as_str().to_owned());
    let marker =
        Marker { plan: plan_hash, ..Marker::of_report(task.id, &ReportKind::Asking(number)) };
    let body = format!("{}\n{}", marker.write(&situation.name), text(situation, plan));
    Desired::Comment { body: fit(&body, COMMENT), minimised: !waits, frozen: true }
}

/// Whether an approval of this plan would still open the gate.
fn waits_for(situation: &Situation, task: &Task, plan: &Plan) -> bool {
    let newest = situation.plan().is_some_and(|newest| newest.hash == plan.hash);
    newest && task.state == TaskState::Waiting(WaitFor::PlanApproval(plan.hash.clone()))
}

fn text(situation: &Situation, plan: &Plan) -> String {
    let who = who_acts(situation);
    let which = if plan.number == 1 { "the plan" } else { "the new plan" };
    let mut said = if who.starts_with('@') {
        format!("{who} {which} for this issue is ready (in the comment above).\n")
    } else {
        let which = upper_first(which);
        format!("{which} for this issue is ready (in the comment above), waiting for {who}.\n")
    };
    if !plan.body.questions.is_empty() {
        let questions: Vec<String> = plan
            .body
            .questions
            .iter()
            .map(|text: &Untrusted| format!("- {}", line(text, 500)))
            .collect();
        let revise = typed(situation, "revise <your answers>");
        said.push_str(&format!(
            "\nIt asks, and plans again after {revise}:\n\n{}\n",
            questions.join("\n")
        ));
    }
    format!("{said}\n- [ ] **Approve this plan** (`{}`)", plan.hash.short())
}
