//! What Baton decides, as conversations and as a table of every state and event.

mod forks;
mod late;
mod noticing;

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
    play.command(Command::Stop);
    assert_eq!(play.s.agent(coder).unwrap().wanted, Some(Stop::Interrupt));
    let by = CancelledBy::Person(ActorId(7));
    play.agent_ends(StageKey::Code, End::Cancelled(by), None, Some(sha(4)));
    assert!(matches!(state(&play), TaskState::Parked(ParkReason::Stopped(_))));
    play.command(Command::Resume);
    let again = play.s.last_agent(StageKey::Code).unwrap();
    assert_eq!((again.resumes, &again.base), (Some(coder), &sha(4)));
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
    play.command(Command::Stop);
    let code = play.s.stages.iter_mut().find(|stage| stage.key == StageKey::Code).unwrap();
    code.state = StageState::Cancelled;
    play.command(Command::Resume);
    assert_eq!(play.s.last_agent(StageKey::Code).unwrap().base, sha(5));
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

#[test]
fn a_question_waits_without_an_agent_and_its_answer_resumes_the_session() {
    let mut play = approved();
    let decision = play.asks(StageKey::Code);
    let wait = WaitFor::Answer(QuestionId(1));
    assert_eq!(starts(&decision), []);
    assert_eq!(*state(&play), TaskState::Waiting(wait.clone()));
    assert_eq!(play.s.stage(StageKey::Code).unwrap().state, StageState::Waiting(wait));
    let decision = play.command(Command::Answer { number: 1, text: "2".into() });
    assert!(decision.effects.contains(&Effect::Raise(ReportKind::Question(1))), "it folds away");
    let asked = play.s.questions[0].clone();
    assert_eq!(asked.answer.as_ref().unwrap().option, Some(2));
    assert_eq!(asked.answer.unwrap().by, Some(mara()));
    let again = play.s.last_agent(StageKey::Code).unwrap();
    assert_eq!((again.resumes, &again.base), (Some(asked.agent), &sha(3)));
    assert_eq!(again.inputs.messages, [Message::Answered { question: asked.id }]);
    assert_eq!(*state(&play), TaskState::Open);
}

#[test]
fn only_who_may_approve_answers_and_no_edit_does() {
    let answer = Command::Answer { number: 1, text: "1".into() };
    for (permission, form) in [(Permission::Triage, Form::Typed), (Permission::Admin, Form::Edited)]
    {
        let mut play = asking();
        play.s.facts.permission = Some(permission);
        let comment = Some(CommentId(1));
        play.happens(
            Actor::Person(mara()),
            What::CommandGiven { command: answer.clone(), form, comment },
        );
        assert_eq!(play.s.questions[0].answer, None, "{permission:?} {form:?}");
    }
}

#[test]
fn an_answer_to_another_question_or_beyond_its_options_is_none() {
    let mut play = asking();
    for (number, text) in [(2, "1"), (1, "3")] {
        let decision = play.command(Command::Answer { number, text: text.into() });
        assert_eq!(starts(&decision), [], "{number}: {text}");
        assert_eq!(play.s.questions[0].answer, None);
    }
    // Other work would take the branch from under the question.
    for command in [Command::Retry, Command::Review, Command::Fix, Command::Plan] {
        assert_eq!(starts(&play.command(command)), []);
    }
}

#[test]
fn the_default_counts_when_the_deadline_has_passed_and_not_before() {
    let mut play = asking();
    let passed = What::DeadlinePassed { question: QuestionId(1) };
    assert_eq!(play.happens(Actor::System, passed.clone()).effects, []);
    play.s.now = now() + chrono::TimeDelta::days(1);
    let decision = play.happens(Actor::System, passed);
    assert_eq!(starts(&decision), [StageKey::Code]);
    let answer = play.s.questions[0].answer.as_ref().unwrap();
    assert_eq!((answer.option, &answer.by), (Some(1), &None));
    let said = decision.effects.iter().any(|effect| {
        matches!(effect, Effect::Act(Act::Reply { reply: Reply::AnsweredByDefault { .. }, .. }))
    });
    assert!(said, "the thread hears of it");
}

#[test]
fn a_question_outlives_a_stop_and_an_answer_outlives_spent_money() {
    let mut play = asking();
    play.command(Command::Stop);
    play.command(Command::Resume);
    assert_eq!(*state(&play), TaskState::Waiting(WaitFor::Answer(QuestionId(1))));
    play.s.task.as_mut().unwrap().spent = Micros(5_000_000);
    play.command(Command::Answer { number: 1, text: "down".into() });
    assert_eq!(*state(&play), TaskState::Parked(ParkReason::Budget));
    play.s.task.as_mut().unwrap().spent = Micros::ZERO;
    play.command(Command::Resume);
    let again = play.s.last_agent(StageKey::Code).unwrap();
    assert_eq!(again.inputs.messages, [Message::Answered { question: QuestionId(1) }]);
}

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

/// Every state of a task that people can meet.
fn states() -> Vec<(&'static str, Play)> {
    let mut parked = approved();
    parked.agent_ends(StageKey::Code, End::TimedOut(Watchdog::Silence), None, None);
    let mut done = verifying();
    done.succeeds(StageKey::Verify, verify_outcome(true), None);
    vec![
        ("no task", Play::new()),
        ("planning", assigned()),
        ("plan waits", planned()),
        ("coding", approved()),
        ("coding, something noticed", noticing()),
        ("question waits", asking()),
        ("testing", tested()),
        ("publishing", publishing()),
        ("push waits", held()),
        ("reviewing", reviewing()),
        ("waits for merge", mergeable()),
        ("deploying", deploying()),
        ("verifying", verifying()),
        ("parked", parked),
        ("done", done),
    ]
}

/// Every event that can come from outside.
fn outside_events() -> Vec<What> {
    let commands = vec![
        Command::Plan,
        Command::Approve { hash: None },
        Command::Revise { text: "smaller".into() },
        Command::Reject { why: "no".into() },
        Command::Answer { number: 1, text: "2".into() },
        Command::FollowUp { number: 1 },
        Command::Fix,
        Command::Review,
        Command::Audit,
        Command::Retry,
        Command::Stop,
        Command::Resume,
        Command::Budget { add: Some(Micros(1_000_000)) },
        Command::Provider { provider: Some("codex".into()) },
        Command::Off,
        Command::On,
        Command::Status,
        Command::Help,
        Command::Unknown { word: "aprove".into(), near: Some("approve".into()) },
    ];
    let given =
        |command| What::CommandGiven { command, form: Form::Typed, comment: Some(CommentId(50)) };
    let mut events: Vec<What> = commands.into_iter().map(given).collect();
    events.extend([
        What::TaskAssigned { trigger: Trigger::Label },
        What::TaskUnassigned,
        What::TaskEdited,
        What::TaskClosed,
        What::TaskReopened,
        What::PullOpened { head: sha(2) },
        What::PullUpdated { head: sha(5) },
        What::PullMerged { commit: sha(9) },
        What::PullClosed,
        What::PullReopened,
        What::BranchDeleted,
        What::PolicyChanged,
        What::RepositoryAdded,
        What::RepositoryRemoved,
        What::DeadlinePassed { question: QuestionId(1) },
        What::FollowUpNoted { number: 1 },
    ]);
    events
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

fn name(what: &What) -> String {
    match what {
        What::CommandGiven { command: Command::Unknown { .. }, .. } => "a typo".into(),
        What::CommandGiven { command, .. } => format!("`{}`", command.word()),
        other => other.name().to_owned(),
    }
}

/// The effects that matter to a reader, in a few words.
fn words(decision: &Decision) -> String {
    let mut words: Vec<String> = Vec::new();
    for effect in &decision.effects {
        words.push(match effect {
            Effect::Open(_) => "task opens".into(),
            Effect::Task { next: TaskState::Waiting(WaitFor::Merge(_)) } => {
                "waits for merge".into()
            }
            Effect::Task { next: TaskState::Waiting(WaitFor::PushApproval(_)) } => {
                "waits to be pushed".into()
            }
            Effect::Publish { .. } => "pushed".into(),
            Effect::Task { next } => match next {
                TaskState::Open => continue,
                TaskState::Waiting(WaitFor::Answer(_)) => "waits for an answer".into(),
                TaskState::Waiting(_) => "waits for approval".into(),
                TaskState::Parked(_) => "parked".into(),
                TaskState::Done => "done".into(),
                TaskState::Cancelled { .. } => "cancelled".into(),
            },
            Effect::StartAgent { stage, resumes, .. } => {
                let how = if resumes.is_some() { "goes on" } else { "starts" };
                format!("{} {how}", stage.name())
            }
            Effect::StartRun { kind, .. } => format!("{} commands run", kind.name()),
            Effect::StopAgents { .. } => "agents stop".into(),
            Effect::FollowUp { .. } => "told to the running agent".into(),
            Effect::Act(Act::Reply { reply, .. }) => match reply {
                Reply::NotHere { .. } => "declined".into(),
                _ => "answered".into(),
            },
            Effect::Act(Act::OpenFollowUp { .. }) => "issue opens".into(),
            Effect::Raise(ReportKind::Progress) if decision.rule == "follow_up_noted" => {
                "named on the thread".into()
            }
            Effect::Switch { off } => if *off { "switched off" } else { "switched on" }.into(),
            Effect::Answer { .. } => "answer kept".into(),
            Effect::Merged { .. } => "merge noted".into(),
            Effect::Pull { .. } => "head noted".into(),
            _ => continue,
        });
    }
    words.dedup();
    if words.is_empty() { "–".into() } else { words.join(", ") }
}

/// Prints the table; a row that does not say what happens fails.
#[test]
fn the_table_of_states_and_events_is_the_one_in_the_documents() {
    let states = states();
    let mut table = String::from(
        "# What Baton decides\n\nEach state of a task against each event from outside, given by somebody who may, as the code \
         decides today. A test writes this page; run it with `UPDATE_DOCS=1` after a change that is meant. `–`: nothing happens.\n",
    );
    for (label, play) in &states {
        let _ = writeln!(table, "\n## {label}\n\n| event | what happens | rule |\n|---|---|---|");
        for what in outside_events() {
            let mut play = play.clone();
            facts_after(&mut play, &what);
            let decision = play.happens(Actor::Person(mara()), what.clone());
            assert!(!decision.rule.is_empty(), "{label} × {} has no rule", name(&what));
            let _ =
                writeln!(table, "| {} | {} | {} |", name(&what), words(&decision), decision.rule);
        }
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/DECISIONS.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, &table).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap_or_default();
    let differs = written.lines().zip(table.lines()).find(|(is, should)| is != should);
    assert!(
        written == table,
        "docs/DECISIONS.md differs, first here: {differs:?}; run with UPDATE_DOCS=1"
    );
}

/// Whatever happens in whatever order, the rules that hold everywhere hold.
#[test]
fn any_order_of_events_keeps_the_rules() {
    use proptest::prelude::*;
    let events = outside_events();
    let count = events.len();
    proptest!(ProptestConfig::with_cases(3000), |(steps in proptest::collection::vec(0..count + 6, 1..40))| {
        let mut play = Play::new();
        for step in steps {
            let before = play.s.task.as_ref().map(|task| task.state.clone());
            let decision = match step.checked_sub(count) {
                None => {
                    let what = events[step].clone();
                    facts_after(&mut play, &what);
                    play.happens(Actor::Person(mara()), what)
                }
                Some(inner) => match inside(&mut play, inner) {
                    Some(decision) => decision,
                    None => continue,
                },
            };
            check(&play, before.as_ref(), &decision);
        }
    });
}

/// Something that Baton itself does, where it makes sense.
fn inside(play: &mut Play, which: usize) -> Option<Decision> {
    let active = play.s.stages.iter().find(|stage| stage.state.is_active())?.clone();
    let head = sha(u8::try_from(play.s.agents.len() % 200 + 20).unwrap());
    match active.state {
        StageState::Running(_) => {
            let outcome = match active.key {
                StageKey::Plan => plan_outcome(),
                StageKey::Code => code_outcome(),
                StageKey::Review => {
                    review_outcome(if which.is_multiple_of(2) { &[] } else { &["Something"] })
                }
                StageKey::Deploy => deploy_outcome(which != 1),
                StageKey::Verify => verify_outcome(which != 1),
                StageKey::Audit => {
                    return Some(play.agent_ends(StageKey::Audit, End::Lost, None, None));
                }
            };
            let head = (active.key == StageKey::Code).then_some(head);
            Some(match which {
                4 => play.agent_ends(active.key, End::Lost, None, None),
                5 => play.agent_ends(
                    active.key,
                    End::Failed(FailKind::Crashed("x".into())),
                    None,
                    None,
                ),
                _ => play.succeeds(active.key, outcome, head),
            })
        }
        StageState::Commands(_) => Some(play.run_ends(which != 1)),
        StageState::Publishing { head, .. } => Some(match which {
            2 => play.happens(Actor::System, What::PublishHeld { head }),
            1 => {
                play.happens(Actor::System, What::PublishRefused { refusal: Refusal::BranchMoved })
            }
            _ => play.happens(Actor::System, What::PublishDone { pull: 2, head }),
        }),
        _ => None,
    }
}

fn check(play: &Play, before: Option<&TaskState>, decision: &Decision) {
    let Some(task) = &play.s.task else { return };
    let main: Vec<&Stage> =
        play.s.stages.iter().filter(|stage| stage.key != StageKey::Audit).collect();
    let active = main.iter().filter(|stage| stage.state.is_active()).count();
    assert!(active <= 1, "two stages at work after {}: {:?}", decision.rule, play.rules);
    if task.state.is_final() {
        assert_eq!(active, 0, "{} left something running: {:?}", decision.rule, play.rules);
    }
    if task.state == TaskState::Open && task.origin == TaskOrigin::Issue {
        assert_eq!(
            active, 1,
            "open, and nothing at work after {}: {:?}",
            decision.rule, play.rules
        );
    }
    let changed = before != Some(&task.state);
    let ended =
        matches!(task.state, TaskState::Parked(_) | TaskState::Done | TaskState::Cancelled { .. });
    if changed && ended && task.origin == TaskOrigin::Issue {
        let told =
            decision.effects.iter().any(|e| matches!(e, Effect::Raise(ReportKind::Closing(_))));
        assert!(told, "{} ended the task in silence", decision.rule);
    }
    assert!(task.rounds <= task.max_rounds + 3, "rounds run away: {:?}", play.rules);
}
