//! From a situation to what one GitHub object should be: one arm per kind.

use crate::model::{Desired, ReportKind, Situation};

use super::{
    asking, asking_push, check, closing, deployment, follow_ups, labels, progress, pull, question,
};

/// What the object of this kind should be. Deterministic: the same situation says the same.
#[must_use]
pub fn render(situation: &Situation, kind: &ReportKind) -> Desired {
    let Some(task) = &situation.task else { return Desired::Nothing };
    match kind {
        ReportKind::Progress => progress::progress(situation, task),
        ReportKind::Asking(number) => asking::asking(situation, task, *number),
        ReportKind::AskingPush(head) => asking_push::asking_push(situation, task, head),
        ReportKind::Question(number) => question::question(situation, task, *number),
        ReportKind::FollowUps(agent) => follow_ups::follow_ups(situation, task, *agent),
        ReportKind::Check(stage, head) => check::check(situation, task, *stage, head),
        ReportKind::Labels => labels::labels(situation, task),
        ReportKind::Pull => pull::pull(situation, task),
        ReportKind::Deployment { environment, sha, attempt } => {
            deployment::deployment(situation, environment, sha, *attempt)
        }
        ReportKind::Closing(number) => closing::closing(situation, task, *number),
    }
}
