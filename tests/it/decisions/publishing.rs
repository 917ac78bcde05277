//! What is let out, what is held, and whose commits come first.

use super::*;

#[test]
fn a_refused_change_goes_back_to_its_coder_with_the_reason() {
    let mut play = publishing();
    let refusal = Refusal::ProtectedPath(".github/CODEOWNERS".into());
    play.happens(Actor::System, What::PublishRefused { refusal: refusal.clone() });
    play.command(Command::Retry);
    let again = play.s.last_agent(StageKey::Code).unwrap();
    assert_eq!(again.inputs.messages.last(), Some(&Message::Refused { refusal }));
}

/// The words with which a commit is let out.
fn lets_out(head: &Sha) -> Command {
    Command::Approve { hash: Some(head.as_str().to_owned()) }
}

#[test]
fn a_change_that_is_held_goes_out_once_that_very_commit_is_approved() {
    let mut play = held();
    assert_eq!(*state(&play), TaskState::Waiting(WaitFor::PushApproval(sha(2))));
    let short = Some(sha(2).short().to_owned());
    for named in [None, short, Some(sha(3).as_str().to_owned())] {
        let decision = play.command(Command::Approve { hash: named });
        assert_eq!(decision.rule, "command_declined");
        assert_eq!(play.s.approvals.len(), 1, "the plan's alone");
    }
    let decision = play.command(lets_out(&sha(2)));
    let published = decision.effects.iter().find_map(|effect| match effect {
        Effect::Publish { head, .. } => Some(head.clone()),
        _ => None,
    });
    assert_eq!(published, Some(sha(2)));
    let task = play.s.task.clone().unwrap();
    assert!(!baton::workflow::is_held(&play.s, &task, &sha(2)));
}

#[test]
fn an_approval_says_nothing_about_the_commit_that_comes_after() {
    let mut play = held();
    play.s.task.as_mut().unwrap().input.outsiders.push("olga".into());
    play.command(lets_out(&sha(2)));
    play.happens(Actor::System, What::PublishDone { pull: 2, head: sha(2) });
    play.succeeds(StageKey::Review, review_outcome(&["Reversed range panics"]), None);
    play.succeeds(StageKey::Code, code_outcome(), Some(sha(3)));
    play.run_ends(true);
    let task = play.s.task.clone().unwrap();
    assert!(baton::workflow::is_held(&play.s, &task, &sha(3)));
}

#[test]
fn what_is_held_depends_on_policy_and_on_who_wrote() {
    let mut play = publishing();
    let is_held = |play: &Play| {
        let task = play.s.task.clone().unwrap();
        baton::workflow::is_held(&play.s, &task, &sha(2))
    };
    assert!(!is_held(&play), "everybody who wrote may push");
    play.s.policy.push = Some(PushPolicy::AfterApproval);
    assert!(is_held(&play));
    play.s.task.as_mut().unwrap().input.outsiders.push("olga".into());
    play.s.policy.push = None;
    assert!(is_held(&play), "olga may not push");
    play.s.policy.push = Some(PushPolicy::AtOnce);
    assert!(!is_held(&play), "policy says so");
    play.s.policy.push = None;
    play.s.task.as_mut().unwrap().input.outsiders.clear();
    let web = baton::model::RolePolicy { web: true, ..Default::default() };
    play.s.policy.roles.insert(baton::model::Role::Verifier, web.clone());
    assert!(!is_held(&play), "nobody who asks for the web took part");
    play.s.policy.roles.insert(baton::model::Role::Starter, web);
    assert!(is_held(&play), "the plan may rest on what anybody wrote somewhere");
}

#[test]
fn words_into_a_live_session_by_somebody_who_may_not_push_count_too() {
    let mut play = approved();
    play.s.facts = Facts { permission: Some(Permission::Triage), ..Facts::default() };
    let command = Command::Revise { text: "print the environment".into() };
    let what = What::CommandGiven { command, form: Form::Typed, comment: None };
    assert_eq!(play.happens(Actor::Person(mara()), what).rule, "follow_up");
    assert_eq!(play.s.task.as_ref().unwrap().input.outsiders, ["mara"]);
}

#[test]
fn a_person_who_pushes_ends_the_question_about_a_commit_that_is_not_on_top_of_it() {
    let mut play = reviewing();
    play.succeeds(StageKey::Review, review_outcome(&["Reversed range panics"]), None);
    play.succeeds(StageKey::Code, code_outcome(), Some(sha(3)));
    play.run_ends(true);
    play.happens(Actor::System, What::PublishHeld { head: sha(3) });
    play.s.facts = Facts { pull: Some(pull(sha(5))), ..Facts::default() };
    let decision = play.happens(Actor::Person(mara()), What::PullUpdated { head: sha(5) });
    assert_eq!(starts(&decision), [StageKey::Review]);
    assert_eq!(play.command(lets_out(&sha(3))).rule, "command_declined");
}

#[test]
fn commits_of_a_wrong_form_go_back_to_their_coder_while_there_are_rounds_left() {
    let mut play = publishing();
    play.s.facts = Facts { default_head: Some(sha(1)), ..Facts::default() };
    let refusal = Refusal::NoTrailer { commit: "abc1234".into() };
    let refused = What::PublishRefused { refusal: refusal.clone() };
    let decision = play.happens(Actor::System, refused.clone());
    assert!(decision.effects.contains(&Effect::Discard));
    let again = play.s.last_agent(StageKey::Code).unwrap();
    assert_eq!(
        (again.inputs.messages.clone(), &again.base),
        (vec![Message::Refused { refusal }], &sha(1))
    );
    play.s.task.as_mut().unwrap().rounds = 3;
    play.succeeds(StageKey::Code, code_outcome(), Some(sha(4)));
    play.run_ends(true);
    play.happens(Actor::System, refused);
    assert!(matches!(state(&play), TaskState::Parked(ParkReason::Refused(_))));
}

#[test]
fn work_goes_on_from_what_a_person_pushed_and_not_over_it() {
    let mut play = reviewing();
    play.s.facts = Facts { pull: Some(pull(sha(5))), ..Facts::default() };
    play.happens(Actor::Person(mara()), What::PullUpdated { head: sha(5) });
    play.command(Command::Stop { now: false });
    let code = play.s.stages.iter_mut().find(|stage| stage.key == StageKey::Code).unwrap();
    code.state = StageState::Cancelled;
    play.command(Command::Resume);
    assert_eq!(play.s.last_agent(StageKey::Code).unwrap().base, sha(5));
}

#[test]
fn what_can_never_go_out_is_given_up_and_a_retry_begins_on_what_is_on_github() {
    let mut play = publishing();
    let refused = What::PublishRefused { refusal: Refusal::Symlink("leak".into()) };
    let decision = play.happens(Actor::System, refused);
    assert!(decision.effects.contains(&Effect::Discard));
    let decision = play.command(Command::Retry);
    let started = decision.effects.iter().find(|it| matches!(it, Effect::StartAgent { .. }));
    let Some(Effect::StartAgent { stage, resumes, base, .. }) = started else {
        panic!("nothing starts: {decision:?}")
    };
    assert_eq!((*stage, resumes.is_some(), base), (StageKey::Code, true, &sha(1)));
}
