//! What is tried again by itself, how often, and what a person makes of it.

use super::*;

fn crashed() -> End {
    End::Failed(FailKind::Crashed("signal 9".into()))
}

fn coder(play: &Play) -> &Agent {
    play.s.last_agent(StageKey::Code).unwrap()
}

#[test]
fn what_may_pass_is_tried_again_in_its_session_and_what_repeats_itself_is_not() {
    let passing = [
        crashed(),
        End::Failed(FailKind::Away("HTTP 500".into())),
        End::Failed(FailKind::Tools("no connection".into())),
        End::Lost,
    ];
    for end in passing {
        let mut play = approved();
        let first = coder(&play).id;
        let decision = play.agent_ends(StageKey::Code, end, None, Some(sha(4)));
        assert_eq!(starts(&decision), [StageKey::Code], "{}", decision.rule);
        assert_eq!((coder(&play).resumes, &coder(&play).base), (Some(first), &sha(4)));
        assert_eq!(*state(&play), TaskState::Open);
    }
    let final_ends = [
        End::Failed(FailKind::InvalidOutcome("no".into())),
        End::Failed(FailKind::Setup("no".into())),
        End::Failed(FailKind::Model("HTTP 401".into())),
        End::Failed(FailKind::Resources(Excess::Disk { most: 1 })),
        End::OutOfBudget,
        End::TimedOut(Watchdog::Total),
    ];
    for end in final_ends {
        let mut play = approved();
        let decision = play.agent_ends(StageKey::Code, end, None, None);
        assert_eq!(starts(&decision), [], "{}", decision.rule);
        assert!(matches!(state(&play), TaskState::Parked(_)));
    }
}

#[test]
fn it_ends_after_as_many_times_as_policy_says_and_when_the_money_is_spent() {
    let mut play = approved();
    play.s.policy.restarts.times = 2;
    for _ in 0..2 {
        let decision = play.agent_ends(StageKey::Code, crashed(), None, None);
        assert_eq!(decision.rule, "agent_restarted");
    }
    let last = play.agent_ends(StageKey::Code, crashed(), None, None);
    assert_eq!((last.rule.as_str(), starts(&last)), ("agent_failed", vec![]));
    assert_eq!(*state(&play), TaskState::Parked(ParkReason::Failed(StageKey::Code)));

    let mut play = approved();
    play.s.policy.restarts.after = vec![Mishap::Lost];
    let decision = play.agent_ends(StageKey::Code, crashed(), None, None);
    assert_eq!((decision.rule.as_str(), starts(&decision)), ("agent_failed", vec![]));

    let mut play = approved();
    play.s.task.as_mut().unwrap().spent = Micros(5_000_000);
    let decision = play.agent_ends(StageKey::Code, crashed(), None, None);
    assert_eq!(starts(&decision), []);
    assert_eq!(*state(&play), TaskState::Parked(ParkReason::Budget));
}

#[test]
fn retry_starts_at_once_what_waits_for_its_time_and_nothing_else() {
    for command in [Command::Retry, Command::Resume] {
        let mut play = approved();
        play.agent_ends(StageKey::Code, crashed(), None, None);
        let waiting = play.s.agents.last_mut().unwrap();
        waiting.state = AgentState::Queued;
        waiting.not_before = Some(now() + chrono::TimeDelta::seconds(10));
        let id = waiting.id;
        let decision = play.command(command.clone());
        assert_eq!(decision.rule, "restarted_now");
        assert!(decision.effects.contains(&Effect::StartNow { agent: id }));
        assert_eq!(play.command(command).rule, "command_declined");
    }
}

#[test]
fn stop_now_kills() {
    let mut play = approved();
    play.command(Command::Stop { now: true });
    assert_eq!(coder(&play).wanted, Some(Stop::Kill));
    assert!(matches!(state(&play), TaskState::Parked(ParkReason::Stopped(_))));
}
