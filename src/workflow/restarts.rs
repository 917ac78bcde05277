//! Which ends are worth another attempt by itself, how often, and after which pause.
//!
//! What would only repeat itself is none of them: an answer of the wrong form, spent money, a set-up that
//! failed, a limit of the machine. Those wait for a person.

use chrono::TimeDelta;

use crate::model::{Agent, AgentState, End, Mishap, Policy, StageKey};

/// Whether another agent plays the stage by itself, now that its newest has ended so.
pub(super) fn worth_another(agents: &[Agent], stage: StageKey, end: &End, policy: &Policy) -> bool {
    let restarts = &policy.restarts;
    Mishap::of(end).is_some_and(|mishap| restarts.after.contains(&mishap))
        && mishaps_in_a_row(agents, stage) <= restarts.times as usize
}

/// How long the next agent of a stage waits: not at all after the first loss, and longer after each further
/// mishap in a row, as what ends Baton could be what the agent does, and what is away needs its time.
#[must_use]
pub fn restart_pause(agents: &[Agent], stage: StageKey) -> TimeDelta {
    let last = agents.iter().rev().find(|agent| agent.stage == stage);
    let lost = last.is_some_and(|agent| agent.state == AgentState::Ended(End::Lost));
    match (mishaps_in_a_row(agents, stage), lost) {
        (0, _) | (1, true) => TimeDelta::zero(),
        (1, false) | (2, true) => TimeDelta::seconds(10),
        (2, false) | (3, _) => TimeDelta::seconds(60),
        (4, _) => TimeDelta::minutes(5),
        _ => TimeDelta::minutes(15),
    }
}

pub(super) fn mishaps_in_a_row(agents: &[Agent], stage: StageKey) -> usize {
    let of_stage = agents.iter().rev().filter(|other| other.stage == stage);
    let mishap = |agent: &&Agent| match &agent.state {
        AgentState::Ended(end) => Mishap::of(end).is_some(),
        AgentState::Queued
        | AgentState::Preparing
        | AgentState::Running
        | AgentState::Finishing => false,
    };
    of_stage.take_while(mishap).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{FailKind, sample};

    fn ended(id: i64, end: End) -> Agent {
        sample::ended(id, StageKey::Code, 1, end, None)
    }

    #[test]
    fn each_further_loss_in_a_row_is_waited_for_longer() {
        let lost = |id| ended(id, End::Lost);
        let good = ended(9, End::Succeeded);
        let other = sample::ended(8, StageKey::Plan, 1, End::Succeeded, None);
        let pause = |agents: &[Agent]| restart_pause(agents, StageKey::Code).num_seconds();
        assert_eq!(pause(&[lost(1), lost(2), good.clone()]), 0);
        assert_eq!(pause(&[good.clone(), lost(1)]), 0);
        assert_eq!(pause(&[good, lost(1), other, lost(2)]), 10);
        assert_eq!(pause(&[lost(1), lost(2), lost(3)]), 60);
    }

    #[test]
    fn what_may_go_better_is_tried_again_as_often_as_policy_says() {
        let policy = Policy::default();
        let crashed = || End::Failed(FailKind::Crashed("signal 9".to_owned()));
        let away = || End::Failed(FailKind::Away("HTTP 500".to_owned()));
        let again = |policy: &Policy, ends: Vec<End>| {
            let agents: Vec<Agent> =
                ends.iter().zip(1..).map(|(end, id)| ended(id, end.clone())).collect();
            worth_another(&agents, StageKey::Code, ends.last().unwrap(), policy)
        };
        assert!(again(&policy, vec![crashed(), away(), End::Lost]));
        assert!(!again(&policy, vec![crashed(), away(), End::Lost, crashed()]));
        let mut lost_only = policy.clone();
        lost_only.restarts.after.retain(|mishap| *mishap == Mishap::Lost);
        assert!(!again(&lost_only, vec![crashed()]) && again(&lost_only, vec![End::Lost]));
        for useless in [
            End::Failed(FailKind::InvalidOutcome(String::new())),
            End::Failed(FailKind::Setup(String::new())),
            End::Failed(FailKind::Model("HTTP 401".to_owned())),
            End::OutOfBudget,
        ] {
            assert!(!again(&policy, vec![useless.clone()]), "{useless:?}");
        }
        let pause = |agents: &[Agent]| restart_pause(agents, StageKey::Code).num_seconds();
        assert_eq!(pause(&[ended(1, crashed())]), 10);
        assert_eq!(pause(&[ended(1, crashed()), ended(2, away())]), 60);
    }
}
