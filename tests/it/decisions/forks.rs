//! Branches that go to a fork: nobody is asked before, and what the fork did not take goes out later.

use super::*;

fn to_fork(mut play: Play) -> Play {
    let name = RepositoryName::new("friends", "files-work").unwrap();
    play.s.policy.push = Some(PushPolicy::Fork(name));
    play
}

fn refused(problem: ForkProblem) -> What {
    let name = RepositoryName::new("friends", "files-work").unwrap();
    What::PublishRefused { refusal: Refusal::Fork { name, problem } }
}

/// The task with a change that the fork did not take.
fn parked() -> Play {
    let mut play = to_fork(publishing());
    play.happens(Actor::System, refused(ForkProblem::NotInstalled));
    play
}

fn publishes(decision: &Decision) -> Option<&Sha> {
    decision.effects.iter().find_map(|effect| match effect {
        Effect::Publish { head, .. } => Some(head),
        _ => None,
    })
}

#[test]
fn words_of_outsiders_ask_nobody_where_the_branch_goes_to_a_fork() {
    let mut play = to_fork(publishing());
    play.s.task.as_mut().unwrap().input.outsiders.push("olga".into());
    let task = play.s.task.clone().unwrap();
    assert!(!baton::workflow::is_held(&play.s, &task, &sha(2)));
}

#[test]
fn what_a_fork_did_not_take_is_kept_and_pushed_without_another_agent() {
    for command in [Command::Retry, Command::Resume] {
        let mut play = parked();
        assert_eq!(play.rules.last().unwrap(), "fork_not_ready");
        let kept = StageState::Failed(FailKind::Unpushed(sha(2)));
        assert_eq!(play.s.stage(StageKey::Code).unwrap().state, kept);
        let decision = play.command(command);
        assert_eq!(publishes(&decision), Some(&sha(2)));
        assert_eq!(starts(&decision), [] as [StageKey; 0], "no agent runs for that");
        assert_eq!(play.s.task.as_ref().unwrap().state, TaskState::Open);
        // And again, if it is not mended yet.
        play.happens(Actor::System, refused(ForkProblem::Archived));
        assert_eq!(play.rules.last().unwrap(), "fork_not_ready");
    }
}

#[test]
fn a_stop_in_between_keeps_it_too() {
    let mut play = parked();
    play.command(Command::Stop { now: false });
    let decision = play.command(Command::Resume);
    assert_eq!(publishes(&decision), Some(&sha(2)));
}

#[test]
fn it_is_made_again_where_a_person_has_pushed_something_else_meanwhile() {
    let mut play = to_fork(reviewing());
    play.succeeds(StageKey::Review, review_outcome(&["Reversed range panics"]), None);
    play.succeeds(StageKey::Code, code_outcome(), Some(sha(3)));
    play.run_ends(true);
    play.happens(Actor::System, refused(ForkProblem::Archived));
    play.s.facts = Facts { pull: Some(pull(sha(5))), ..Facts::default() };
    play.happens(Actor::Person(mara()), What::PullUpdated { head: sha(5) });
    let decision = play.command(Command::Retry);
    assert_eq!(publishes(&decision), None);
    assert_eq!(starts(&decision), [StageKey::Code]);
    assert_eq!(play.s.last_agent(StageKey::Code).unwrap().base, sha(5));
}

#[test]
fn another_refusal_still_goes_back_to_the_coder() {
    let mut play = to_fork(publishing());
    let refusal = Refusal::GitHub("GH013: rule violations found".into());
    play.happens(Actor::System, What::PublishRefused { refusal });
    assert_eq!(starts(&play.command(Command::Retry)), [StageKey::Code]);
}

#[test]
fn what_was_refused_for_another_reason_is_not_asked_for_again() {
    let mut play = publishing();
    play.s.policy.push = Some(PushPolicy::AfterApproval);
    play.happens(Actor::System, What::PublishRefused { refusal: Refusal::BranchMoved });
    assert_eq!(starts(&play.command(Command::Retry)), [StageKey::Code]);
    assert_eq!(play.s.task.as_ref().unwrap().state, TaskState::Open);
}

#[test]
fn a_branch_of_that_name_in_the_repository_itself_is_another() {
    let mut play = to_fork(reviewing());
    play.s.facts =
        Facts { pull: Some(PullFacts { branch: None, ..pull(sha(2)) }), ..Facts::default() };
    let decision = play.happens(Actor::Person(mara()), What::BranchDeleted);
    assert_eq!(decision.rule, "branch_of_another");
    assert_eq!(decision.effects, []);
}
