//! Audits that agents want: of which commit, how often, and that the task never pays with its state.

use super::*;

/// A coder at work where agents may ask.
fn allowed() -> Play {
    let mut play = approved();
    play.s.policy.agent_audits = true;
    play
}

/// From the coder's end to the pull request.
fn push(play: &mut Play, head: u8) -> Decision {
    play.succeeds(StageKey::Code, code_outcome(), Some(sha(head)));
    play.run_ends(true);
    play.happens(Actor::System, What::PublishDone { pull: 2, head: sha(head) })
}

/// At which commits a decision starts auditors, and for how many wishes each.
fn audits(decision: &Decision) -> Vec<(Sha, usize)> {
    let starts = decision.effects.iter().filter_map(|effect| match effect {
        Effect::StartAgent { stage: StageKey::Audit, inputs, base, .. } => {
            Some((base.clone(), inputs.messages.len()))
        }
        _ => None,
    });
    starts.collect()
}

#[test]
fn what_a_coder_wants_is_looked_at_once_it_is_pushed_and_once() {
    let mut play = allowed();
    let decision = play.wants_audit(StageKey::Code);
    assert_eq!(decision.rule, "audit_wanted_once_pushed");
    assert_eq!(audits(&decision), []);
    let task = play.s.task.clone().unwrap();
    assert!(play.s.audit_waits(&task, &play.s.audit_wishes[0]));
    let decision = push(&mut play, 2);
    assert_eq!(decision.rule, "published");
    assert_eq!(audits(&decision), [(sha(2), 1)]);
    assert!(play.s.audit_for(&play.s.audit_wishes[0]).is_some());
    // The reviewer of that very commit wants the same.
    let decision = play.wants_audit(StageKey::Review);
    assert_eq!(decision.rule, "audit_wanted_in_vain");
    assert_eq!(audits(&decision), []);
}

#[test]
fn what_a_reviewer_wants_is_looked_at_at_once_beside_the_task() {
    let mut play = allowed();
    push(&mut play, 2);
    let before = state(&play).clone();
    let decision = play.wants_audit(StageKey::Review);
    assert_eq!((decision.rule.as_str(), audits(&decision)), ("audit_wanted", vec![(sha(2), 1)]));
    assert_eq!(*state(&play), before);
    let audit = Outcome::Audit(AuditOutcome { summary: "Nothing.".into(), findings: Vec::new() });
    assert_eq!(play.succeeds(StageKey::Audit, audit, None).rule, "audited");
    assert_eq!(*state(&play), before, "the task is where it was");
}

#[test]
fn without_money_or_leave_the_task_goes_on_and_nothing_else_happens() {
    let mut poor = allowed();
    push(&mut poor, 2);
    poor.s.server.spent_today = poor.s.server.limits.server_day;
    let mut unasked = approved();
    push(&mut unasked, 2);
    for mut play in [poor, unasked] {
        let before = state(&play).clone();
        let decision = play.wants_audit(StageKey::Review);
        assert_eq!((decision.rule.as_str(), audits(&decision)), ("audit_wanted_in_vain", vec![]));
        assert_eq!(*state(&play), before);
    }
}

#[test]
fn an_audit_without_quota_or_money_ends_alone() {
    for end in [End::OutOfBudget, End::OutOfQuota { until: now() }] {
        let mut play = allowed();
        push(&mut play, 2);
        play.wants_audit(StageKey::Review);
        let before = state(&play).clone();
        play.agent_ends(StageKey::Audit, end, None, None);
        assert_eq!(*state(&play), before);
    }
}
