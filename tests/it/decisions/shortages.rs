//! Where money, quota or a sandbox is missing.

use super::*;

#[test]
fn spent_money_parks_before_the_next_agent() {
    let mut play = planned();
    play.s.task.as_mut().unwrap().spent = Micros(5_000_000);
    let decision = play.command(Command::Approve { hash: None });
    assert_eq!(starts(&decision), []);
    assert_eq!(*state(&play), TaskState::Parked(ParkReason::Budget));
}

#[test]
fn more_money_lets_a_task_that_lacked_it_go_on_and_no_more_than_the_server_allows() {
    let budget = |micros| Command::Budget { add: Some(Micros(micros)) };
    let mut play = planned();
    play.s.server.limits.task = Micros(8_000_000);
    play.command(Command::Approve { hash: None });
    play.agent_ends(StageKey::Code, End::OutOfBudget, None, None);
    assert_eq!(*state(&play), TaskState::Parked(ParkReason::Budget));
    play.s.task.as_mut().unwrap().spent = Micros(5_000_000);
    let declined = play.command(budget(3_000_001));
    assert_eq!((declined.rule.as_str(), starts(&declined)), ("command_declined", vec![]));
    let none = play.command(Command::Budget { add: None });
    assert_eq!(none.rule, "command_declined");
    let raised = play.command(budget(3_000_000));
    assert_eq!(raised.rule, "budget_raised_and_resumed");
    assert_eq!(starts(&raised), [StageKey::Code]);
    assert_eq!(play.s.task.as_ref().unwrap().budget, Micros(8_000_000));
    assert_eq!(*state(&play), TaskState::Open);
    // Whoever may only label gives no money.
    let given = What::CommandGiven { command: budget(1), form: Form::Typed, comment: None };
    play.s.facts = Facts { permission: Some(Permission::Triage), ..Facts::default() };
    let refused = play.happens(Actor::Person(mara()), given.clone());
    assert_eq!(refused.rule, "command_not_allowed");
    play.s.facts = Facts { permission: Some(Permission::Write), ..Facts::default() };
    let What::CommandGiven { command, comment, .. } = given else { unreachable!() };
    let edited = What::CommandGiven { command, form: Form::Edited, comment };
    assert_eq!(play.happens(Actor::Person(mara()), edited).rule, "edited_comment");
}

#[test]
fn another_provider_goes_on_where_one_has_no_quota() {
    let provider = |name: &str| Command::Provider { provider: Some(name.to_owned()) };
    let mut play = approved();
    let until = play.s.now + chrono::TimeDelta::hours(3);
    play.agent_ends(StageKey::Code, End::OutOfQuota { until }, None, None);
    assert!(matches!(state(&play), TaskState::Parked(ParkReason::Quota { .. })));
    for nonsense in [provider("gemini"), Command::Provider { provider: None }] {
        assert_eq!(play.command(nonsense).rule, "command_declined");
    }
    let changed = play.command(provider("codex"));
    assert_eq!(changed.rule, "provider_changed_and_resumed");
    assert_eq!(starts(&changed), [StageKey::Code]);
    assert_eq!(*state(&play), TaskState::Open);
    assert_eq!(play.command(provider("claude")).rule, "provider_changed");
}

#[test]
fn without_a_sandbox_no_agent_starts() {
    let mut play = Play::new();
    play.s.server.no_sandbox = Some("install bubblewrap".into());
    let decision = play.person(What::TaskAssigned { trigger: Trigger::Label });
    assert_eq!(starts(&decision), []);
    assert!(matches!(state(&play), TaskState::Parked(ParkReason::NoSandbox { .. })));
}
