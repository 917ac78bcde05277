//! What Baton decides, as conversations and as a table of every state and event.

mod asking;
mod auditing;
mod every;
mod forks;
mod late;
mod noticing;
mod publishing;
mod restarts;
mod shortages;
mod subtasks;

use std::fmt::Write as _;

use baton::{
    model::*,
    workflow::{Decision, Effect},
};

use crate::support::play::*;

fn approved() -> Play {
    let mut play = planned();
    play.command(Command::Approve { hash: None });
    play
}

fn assigned() -> Play {
    let mut play = Play::new();
    play.person(What::TaskAssigned { trigger: Trigger::Label });
    play
}

fn planned() -> Play {
    let mut play = assigned();
    play.succeeds(StageKey::Plan, plan_outcome(), None);
    play
}

fn asking() -> Play {
    let mut play = approved();
    play.asks(StageKey::Code);
    play
}

fn noticing() -> Play {
    let mut play = approved();
    play.notices(StageKey::Code);
    play
}

fn tested() -> Play {
    let mut play = approved();
    play.succeeds(StageKey::Code, code_outcome(), Some(sha(2)));
    play
}

fn publishing() -> Play {
    let mut play = tested();
    play.run_ends(true);
    play
}

fn held() -> Play {
    let mut play = publishing();
    play.happens(Actor::System, What::PublishHeld { head: sha(2) });
    play
}

fn reviewing() -> Play {
    let mut play = publishing();
    play.happens(Actor::System, What::PublishDone { pull: 2, head: sha(2) });
    play
}

fn mergeable() -> Play {
    let mut play = reviewing();
    play.succeeds(StageKey::Review, review_outcome(&[]), None);
    play
}

fn deploying() -> Play {
    let mut play = mergeable();
    play.merge();
    play.succeeds(StageKey::Deploy, deploy_outcome(true), None);
    play
}

fn verifying() -> Play {
    let mut play = deploying();
    play.run_ends(true);
    play.run_ends(true);
    play
}

fn state(play: &Play) -> &TaskState {
    &play.s.task.as_ref().unwrap().state
}

fn starts(decision: &Decision) -> Vec<StageKey> {
    let stage = |effect: &Effect| match effect {
        Effect::StartAgent { stage, .. } => Some(*stage),
        _ => None,
    };
    decision.effects.iter().filter_map(stage).collect()
}

#[test]
fn an_issue_goes_from_label_to_verified_production() {
    let mut play = verifying();
    play.succeeds(StageKey::Verify, verify_outcome(true), None);
    assert_eq!(*state(&play), TaskState::Done);
    assert_eq!(
        play.rules,
        [
            "issue_assigned",
            "plan_waits",
            "plan_approved",
            "coded",
            "tests_passed",
            "published",
            "review_passed",
            "merged",
            "ready_to_deploy",
            "deployed",
            "evidence_there",
            "verified",
        ]
    );
}

#[test]
fn a_review_sends_the_coder_back_into_its_session_until_it_is_content() {
    let mut play = reviewing();
    let coder = play.s.last_agent(StageKey::Code).unwrap().id;
    let decision =
        play.succeeds(StageKey::Review, review_outcome(&["Reversed range panics"]), None);
    assert_eq!(starts(&decision), [StageKey::Code]);
    let again = play.s.last_agent(StageKey::Code).unwrap();
    assert_eq!(again.resumes, Some(coder));
    assert_eq!(again.inputs.messages, [Message::Findings { numbers: vec![1] }]);
    play.succeeds(StageKey::Code, code_outcome(), Some(sha(3)));
    play.run_ends(true);
    play.happens(Actor::System, What::PublishDone { pull: 2, head: sha(3) });
    play.succeeds(StageKey::Review, review_outcome(&[]), None);
    assert_eq!(*state(&play), TaskState::Waiting(WaitFor::Merge(sha(3))));
    assert_eq!(play.s.findings[0].state, FindingState::Settled);
}

#[test]
fn the_same_remark_twice_stops_the_loop() {
    let mut play = reviewing();
    play.succeeds(StageKey::Review, review_outcome(&["Reversed range panics"]), None);
    play.succeeds(StageKey::Code, code_outcome(), Some(sha(3)));
    play.run_ends(true);
    play.happens(Actor::System, What::PublishDone { pull: 2, head: sha(3) });
    play.succeeds(StageKey::Review, review_outcome(&["reversed range panics!"]), None);
    assert_eq!(*state(&play), TaskState::Parked(ParkReason::NotConverging));
}

#[test]
fn a_stranger_starts_nothing_and_hears_nothing() {
    let mut play = Play::new();
    play.s.facts.permission = Some(Permission::Read);
    play.s.facts.issue = Some(issue(true));
    play.s.facts.default_head = Some(sha(1));
    for command in [Command::Plan, Command::Audit, Command::Help, Command::Status, Command::Off] {
        let what = What::CommandGiven { command, form: Form::Typed, comment: Some(CommentId(1)) };
        assert_eq!(play.happens(Actor::Person(mara()), what).effects, []);
    }
    let label = What::TaskAssigned { trigger: Trigger::Label };
    assert_eq!(play.happens(Actor::Person(mara()), label.clone()).effects, []);
    play.s.facts.permission = Some(Permission::Admin);
    assert_eq!(play.happens(Actor::Bot(mara()), label).effects, []);
}

#[test]
fn an_edited_comment_opens_no_gate() {
    let mut play = planned();
    play.s.facts.permission = Some(Permission::Admin);
    let command = Command::Approve { hash: None };
    let what = What::CommandGiven { command, form: Form::Edited, comment: Some(CommentId(1)) };
    play.happens(Actor::Person(mara()), what);
    assert!(matches!(state(&play), TaskState::Waiting(WaitFor::PlanApproval(_))));
}

#[test]
fn an_approval_of_another_plan_opens_nothing() {
    let mut play = planned();
    play.command(Command::Approve { hash: Some("000000".into()) });
    assert!(matches!(state(&play), TaskState::Waiting(WaitFor::PlanApproval(_))));
    assert_eq!(play.s.approvals, []);
}

#[test]
fn the_verifiers_word_counts_only_where_the_commands_agree() {
    let mut play = deploying();
    play.run_ends(true);
    play.run_ends(false);
    let decision = play.succeeds(StageKey::Verify, verify_outcome(true), None);
    assert_eq!(*state(&play), TaskState::Parked(ParkReason::Failed(StageKey::Verify)));
    assert!(decision.effects.contains(&Effect::Act(Act::ReopenIssue { number: 1 })));
}

#[test]
fn a_stop_keeps_the_work_and_resume_goes_on_in_the_session() {
    let mut play = approved();
    let coder = play.s.last_agent(StageKey::Code).unwrap().id;
    play.command(Command::Stop { now: false });
    assert_eq!(play.s.agent(coder).unwrap().wanted, Some(Stop::Interrupt));
    let by = CancelledBy::Person(ActorId(7));
    play.agent_ends(StageKey::Code, End::Cancelled(by), None, Some(sha(4)));
    assert!(matches!(state(&play), TaskState::Parked(ParkReason::Stopped(_))));
    play.command(Command::Resume);
    let again = play.s.last_agent(StageKey::Code).unwrap();
    assert_eq!((again.resumes, &again.base), (Some(coder), &sha(4)));
}

#[test]
fn words_for_a_parked_task_set_the_coder_to_work_again_for_those_who_may_approve() {
    let mut play = approved();
    play.agent_ends(StageKey::Code, End::TimedOut(Watchdog::Silence), None, None);
    let revise = Command::Revise { text: "smaller".into() };
    let what = What::CommandGiven { command: revise.clone(), form: Form::Typed, comment: None };
    play.s.facts = Facts {
        permission: Some(Permission::Triage),
        default_head: Some(sha(1)),
        ..Facts::default()
    };
    assert_eq!(starts(&play.happens(Actor::Person(mara()), what)), []);
    assert_eq!(starts(&play.command(revise)), [StageKey::Code]);
}

/// GitHub, and the clock, as they would be right after the event.
fn facts_after(play: &mut Play, what: &What) {
    if matches!(what, What::DeadlinePassed { .. }) {
        play.s.now = now() + chrono::TimeDelta::days(2);
    }
    let head = play.s.task.as_ref().and_then(|task| task.head.clone());
    let mut pull_facts = head.map(pull);
    let mut issue_facts = issue(true);
    match (what, &mut pull_facts) {
        (What::PullUpdated { head }, Some(pull)) => pull.head = head.clone(),
        (What::PullMerged { commit }, Some(pull)) => {
            (pull.merged, pull.open) = (Some(commit.clone()), false);
        }
        (What::PullClosed, Some(pull)) => pull.open = false,
        (What::BranchDeleted, Some(pull)) => (pull.open, pull.branch) = (false, None),
        (What::TaskClosed, _) => issue_facts.open = false,
        (What::TaskUnassigned, _) => issue_facts.labels.clear(),
        (What::TaskEdited, _) => issue_facts.input.body = "Also reversed ranges".into(),
        _ => {}
    }
    let permission = Some(Permission::Maintain);
    play.s.facts = Facts {
        permission,
        issue: Some(issue_facts),
        pull: pull_facts,
        default_head: Some(sha(1)),
    };
}
