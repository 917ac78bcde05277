//! Plans that give steps to several roles: who is next, from where, and what comes back to whom.

use super::*;

pub const WHOLE_WAY: [StepRole; 4] =
    [StepRole::Analysis, StepRole::Refactor, StepRole::Coding, StepRole::TestGeneration];

/// An approved plan whose first subtask is at work.
fn divided(roles: &[StepRole]) -> Play {
    let mut play = assigned();
    play.succeeds(StageKey::Plan, divided_outcome(roles), None);
    play.command(Command::Approve { hash: None });
    play
}

/// The subtask that is at work, its role, where it began, and whether it goes on in a session.
fn at_work(play: &Play) -> (Option<u32>, Role, Sha, bool) {
    let agent = play.s.last_agent(StageKey::Code).unwrap();
    assert!(!agent.has_ended(), "{:?}", play.rules);
    (agent.subtask, agent.role, agent.base.clone(), agent.resumes.is_some())
}

/// The first three of four parts are through; what they left is `sha(11)`.
fn before_the_last() -> Play {
    let mut play = divided(&WHOLE_WAY);
    play.succeeds(StageKey::Code, analysis_outcome(), None);
    play.succeeds(StageKey::Code, code_outcome(), Some(sha(10)));
    play.succeeds(StageKey::Code, code_outcome(), Some(sha(11)));
    play
}

pub fn second_of_two() -> Play {
    let mut play = divided(&[StepRole::Refactor, StepRole::Coding]);
    play.succeeds(StageKey::Code, code_outcome(), Some(sha(10)));
    play
}

pub fn parked_between() -> Play {
    let mut play = divided(&[StepRole::Refactor, StepRole::Coding]);
    play.s.task.as_mut().unwrap().spent = Micros(5_000_000);
    play.succeeds(StageKey::Code, code_outcome(), Some(sha(10)));
    play.s.task.as_mut().unwrap().spent = Micros(140_000);
    play
}

/// Whatever happened: no part is played before the one before it, none again after the next, and nothing
/// goes out before the last.
pub fn in_order(play: &Play) {
    let of_change = play.s.agents.iter().filter(|agent| agent.stage == StageKey::Code);
    let parts: Vec<u32> = of_change.filter_map(|agent| agent.subtask).collect();
    let steps = parts.windows(2).all(|two| two[0] == two[1] || two[0] + 1 == two[1]);
    assert!(steps && parts.first().is_none_or(|first| *first == 1), "{parts:?}: {:?}", play.rules);
    let code = play.s.stage(StageKey::Code).map(|stage| &stage.state);
    let is_out = matches!(code, Some(StageState::Publishing { .. } | StageState::Commands(_)));
    assert!(!is_out || play.s.next_subtask().is_none(), "half a change: {:?}", play.rules);
}

fn published(decision: &Decision) -> Option<&Sha> {
    decision.effects.iter().find_map(|effect| match effect {
        Effect::Publish { head, .. } => Some(head),
        _ => None,
    })
}

#[test]
fn subtasks_follow_one_another_from_what_the_one_before_left_and_are_tested_once() {
    let mut play = divided(&WHOLE_WAY);
    assert_eq!(at_work(&play), (Some(1), Role::Analysis, sha(1), false));
    assert_eq!(play.succeeds(StageKey::Code, analysis_outcome(), None).rule, "subtask_done");
    assert_eq!(at_work(&play), (Some(2), Role::Refactor, sha(1), false));
    play.succeeds(StageKey::Code, code_outcome(), Some(sha(10)));
    assert_eq!(at_work(&play), (Some(3), Role::Coding, sha(10), false));
    play.succeeds(StageKey::Code, code_outcome(), Some(sha(11)));
    assert_eq!(at_work(&play), (Some(4), Role::TestGeneration, sha(11), false));
    let decision = play.succeeds(StageKey::Code, code_outcome(), Some(sha(12)));
    assert_eq!((decision.rule.as_str(), play.s.runs.len()), ("coded", 1));
    assert_eq!(published(&play.run_ends(true)), Some(&sha(12)));
    play.happens(Actor::System, What::PublishDone { pull: 2, head: sha(12) });
    assert_eq!(play.s.agents.iter().filter(|agent| agent.stage == StageKey::Code).count(), 4);
}

#[test]
fn a_plan_that_names_the_coding_role_alone_is_played_as_ever() {
    let mut play = divided(&[StepRole::Coding, StepRole::Coding]);
    assert_eq!(at_work(&play), (None, Role::Coding, sha(1), false));
    assert_eq!(play.succeeds(StageKey::Code, code_outcome(), Some(sha(2))).rule, "coded");
}

#[test]
fn a_part_that_went_wrong_is_tried_again_and_the_parts_before_it_are_not() {
    let mishaps = [End::Lost, End::Failed(FailKind::Crashed("signal 9".into()))];
    for end in mishaps.into_iter().chain([End::Cancelled(CancelledBy::Shutdown)]) {
        let mut play = divided(&WHOLE_WAY);
        play.succeeds(StageKey::Code, analysis_outcome(), None);
        play.agent_ends(StageKey::Code, end.clone(), None, Some(sha(9)));
        assert_eq!(at_work(&play), (Some(2), Role::Refactor, sha(9), true), "{end:?}");
        play.succeeds(StageKey::Code, code_outcome(), Some(sha(10)));
        assert_eq!(at_work(&play), (Some(3), Role::Coding, sha(10), false));
    }
}

#[test]
fn each_part_has_as_many_tries_as_policy_says() {
    let mut play = divided(&[StepRole::Refactor, StepRole::Coding]);
    play.s.policy.restarts.times = 1;
    play.agent_ends(StageKey::Code, End::Lost, None, None);
    play.succeeds(StageKey::Code, code_outcome(), Some(sha(10)));
    let decision = play.agent_ends(StageKey::Code, End::Lost, None, None);
    assert_eq!(starts(&decision), [StageKey::Code], "{}", decision.rule);
    play.agent_ends(StageKey::Code, End::Lost, None, None);
    assert_eq!(*state(&play), TaskState::Parked(ParkReason::Failed(StageKey::Code)));
    play.command(Command::Retry);
    assert_eq!(at_work(&play), (Some(2), Role::Coding, sha(10), true));
}

#[test]
fn a_stop_goes_on_in_the_part_that_was_stopped() {
    let mut play = divided(&WHOLE_WAY);
    play.succeeds(StageKey::Code, analysis_outcome(), None);
    play.command(Command::Stop { now: false });
    let by = CancelledBy::Person(ActorId(7));
    play.agent_ends(StageKey::Code, End::Cancelled(by), None, Some(sha(9)));
    play.command(Command::Resume);
    assert_eq!(at_work(&play), (Some(2), Role::Refactor, sha(9), true));
}

#[test]
fn money_that_ends_between_two_parts_parks_before_the_second_and_nothing_goes_out() {
    let mut play = divided(&[StepRole::Refactor, StepRole::Coding]);
    play.s.policy.test.clear();
    play.s.policy.push = Some(PushPolicy::AfterApproval);
    play.s.task.as_mut().unwrap().spent = Micros(5_000_000);
    let decision = play.succeeds(StageKey::Code, code_outcome(), Some(sha(10)));
    assert_eq!((starts(&decision), published(&decision)), (vec![], None));
    assert_eq!(*state(&play), TaskState::Parked(ParkReason::Budget));
    play.s.task.as_mut().unwrap().spent = Micros(1);
    let decision = play.command(Command::Resume);
    assert_eq!(published(&decision), None, "half a change");
    assert_eq!(at_work(&play), (Some(2), Role::Coding, sha(10), false));
}

#[test]
fn a_question_and_words_for_a_parked_task_go_to_the_part_that_is_at_work() {
    let mut play = divided(&[StepRole::Refactor, StepRole::Coding]);
    play.asks(StageKey::Code);
    play.command(Command::Answer { number: 1, text: "1".into() });
    assert_eq!(at_work(&play), (Some(1), Role::Refactor, sha(3), true));
    play.agent_ends(StageKey::Code, End::TimedOut(Watchdog::Silence), None, None);
    play.command(Command::Revise { text: "smaller".into() });
    assert_eq!(at_work(&play), (Some(1), Role::Refactor, sha(3), true));
    let told = &play.s.last_agent(StageKey::Code).unwrap().inputs.messages;
    assert!(matches!(told.as_slice(), [Message::Revise { .. }]), "{told:?}");
}

#[test]
fn what_comes_back_goes_to_a_coding_agent_of_its_own_that_has_the_whole() {
    let mut play = before_the_last();
    play.succeeds(StageKey::Code, code_outcome(), Some(sha(12)));
    play.run_ends(false);
    assert_eq!(at_work(&play), (None, Role::Coding, sha(12), false), "no part's session");
    play.succeeds(StageKey::Code, code_outcome(), Some(sha(13)));
    assert_eq!(published(&play.run_ends(true)), Some(&sha(13)));
    play.happens(Actor::System, What::PublishDone { pull: 2, head: sha(13) });
    play.succeeds(StageKey::Review, review_outcome(&["Reversed range panics"]), None);
    assert_eq!(at_work(&play), (None, Role::Coding, sha(13), true), "its own session");
    play.succeeds(StageKey::Code, code_outcome(), Some(sha(14)));
    assert_eq!(published(&play.run_ends(true)), Some(&sha(14)));
}

#[test]
fn what_earlier_parts_committed_goes_out_though_the_last_committed_nothing() {
    for last in [StepRole::Refactor, StepRole::Analysis] {
        let mut play = divided(&[StepRole::Coding, last]);
        play.s.policy.push = Some(PushPolicy::AfterApproval);
        play.succeeds(StageKey::Code, code_outcome(), Some(sha(10)));
        match last {
            StepRole::Analysis => play.succeeds(StageKey::Code, analysis_outcome(), None),
            _ => play.succeeds(StageKey::Code, code_outcome(), Some(sha(10))),
        };
        assert_eq!(published(&play.run_ends(true)), Some(&sha(10)), "{last:?}");
        play.happens(Actor::System, What::PublishHeld { head: sha(10) });
        assert_eq!(*state(&play), TaskState::Waiting(WaitFor::PushApproval(sha(10))));
        let hash = Some(sha(10).as_str().to_owned());
        assert_eq!(published(&play.command(Command::Approve { hash })), Some(&sha(10)));
    }
}

#[test]
fn parts_that_committed_nothing_at_all_are_no_change() {
    let mut play = divided(&[StepRole::Refactor, StepRole::Coding]);
    play.succeeds(StageKey::Code, code_outcome(), Some(sha(1)));
    let decision = play.succeeds(StageKey::Code, code_outcome(), Some(sha(1)));
    assert_eq!(decision.rule, "nothing_committed");
    assert_eq!(*state(&play), TaskState::Parked(ParkReason::Refused(Refusal::Nothing)));
}

#[test]
fn a_change_that_is_given_up_is_made_again_as_a_whole() {
    let mut play = divided(&[StepRole::Coding, StepRole::Analysis]);
    play.succeeds(StageKey::Code, code_outcome(), Some(sha(10)));
    play.succeeds(StageKey::Code, analysis_outcome(), None);
    play.run_ends(true);
    let refusal = Refusal::ProtectedPath(".github/CODEOWNERS".into());
    play.happens(Actor::System, What::PublishRefused { refusal: refusal.clone() });
    let decision = play.command(Command::Retry);
    assert_eq!(published(&decision), None, "it was given up");
    assert_eq!(at_work(&play), (None, Role::Coding, sha(1), false));
    let told = &play.s.last_agent(StageKey::Code).unwrap().inputs.messages;
    assert_eq!(told.last(), Some(&Message::Refused { refusal }));
}

#[test]
fn an_audit_that_a_part_wants_waits_until_the_whole_is_pushed() {
    let mut play = divided(&[StepRole::Refactor, StepRole::Coding]);
    play.s.policy.agent_audits = true;
    let decision = play.wants_audit(StageKey::Code);
    assert_eq!(decision.rule, "audit_wanted_once_pushed");
    play.succeeds(StageKey::Code, code_outcome(), Some(sha(10)));
    play.succeeds(StageKey::Code, code_outcome(), Some(sha(11)));
    play.run_ends(true);
    let decision = play.happens(Actor::System, What::PublishDone { pull: 2, head: sha(11) });
    assert_eq!(starts(&decision), [StageKey::Review, StageKey::Audit]);
}
