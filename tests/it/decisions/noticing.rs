//! What agents notice outside of their task: shown, and an issue where a person wants one.

use super::*;

/// How the person with this permission fares who takes a follow-up in this form.
fn taken(play: &Play, number: u32, permission: Permission, form: Form) -> Decision {
    let mut play = play.clone();
    play.s.facts = Facts { permission: Some(permission), ..Facts::default() };
    let command = Command::FollowUp { number };
    let what = What::CommandGiven { command, form, comment: Some(CommentId(50)) };
    let event = Event {
        id: EventId(99),
        at: now(),
        repository: RepositoryId(9),
        subject: Subject::Issue(1),
        actor: Actor::Person(mara()),
        cause: Cause::Sweep,
        what,
    };
    baton::workflow::decide(&play.s, &event)
}

#[test]
fn what_an_agent_noticed_gets_its_boxes_when_it_ends_whichever_way() {
    let ends = [
        End::Succeeded,
        End::Lost,
        End::OutOfBudget,
        End::TimedOut(Watchdog::Silence),
        End::Cancelled(CancelledBy::Operator),
    ];
    for end in ends {
        let mut play = approved();
        let agent = play.notices(StageKey::Code);
        assert_eq!(play.rules.last().unwrap(), "follow_up_noted");
        let outcome = (end == End::Succeeded).then(code_outcome);
        let decision = play.agent_ends(StageKey::Code, end.clone(), outcome, Some(sha(2)));
        let raised = Effect::Raise(ReportKind::FollowUps(agent));
        assert!(decision.effects.contains(&raised), "{end:?}: {decision:?}");
    }
    let mut silent = approved();
    let decision = silent.succeeds(StageKey::Code, code_outcome(), Some(sha(2)));
    let raised = |effect: &Effect| matches!(effect, Effect::Raise(ReportKind::FollowUps(_)));
    assert!(!decision.effects.iter().any(raised), "nothing was noticed");
}

#[test]
fn a_tick_by_whoever_may_push_opens_an_issue_and_does_nothing_else() {
    let play = noticing();
    let opens = [Effect::Act(Act::OpenFollowUp { number: 1 })];
    assert_eq!(taken(&play, 1, Permission::Write, Form::Tick).effects, opens);
    for (permission, form, rule) in [
        (Permission::Triage, Form::Tick, "command_not_allowed"),
        (Permission::Read, Form::Typed, "command_not_allowed"),
        (Permission::Admin, Form::Edited, "edited_comment"),
    ] {
        let decision = taken(&play, 1, permission, form);
        assert_eq!(decision.rule, rule);
        assert!(!decision.effects.contains(&opens[0]), "{permission:?} {form:?}");
    }
}

#[test]
fn a_follow_up_outlives_its_task_and_is_opened_once() {
    let mut play = verifying();
    play.notices(StageKey::Verify);
    play.succeeds(StageKey::Verify, verify_outcome(true), None);
    assert_eq!(*state(&play), TaskState::Done);
    assert_eq!(taken(&play, 1, Permission::Write, Form::Tick).rule, "issue_wanted");
    assert_eq!(taken(&play, 2, Permission::Write, Form::Tick).rule, "command_declined");
    play.s.follow_ups[0].issue = Some(12);
    assert_eq!(taken(&play, 1, Permission::Write, Form::Tick).rule, "command_declined");
    play.s.follow_ups[0].issue = None;
    play.s.repository.off = true;
    assert_eq!(taken(&play, 1, Permission::Write, Form::Tick).rule, "command_declined");
}
