//! The progress comment, the asking comment, the closing word, labels and the pull request.

use insta::assert_snapshot;

use super::*;
use crate::model::{
    AnalysisOutcome, Answer, CancelledBy, CriterionVerdict, Desired, Fallback, FollowUp, Micros,
    ParkReason, PlanHash, Question, ReportKind, Role, StepRole, TaskOrigin, VerifyOutcome,
};
use crate::report::render;

fn progress(situation: &Situation) -> String {
    body(render(situation, &ReportKind::Progress))
}

fn closing(situation: &mut Situation) -> String {
    situation.task.as_mut().expect("the sample has a task").endings = 1;
    body(render(situation, &ReportKind::Closing(1)))
}

fn verified(passed: bool) -> Situation {
    let mut situation = merged();
    let head = sha("abc1234");
    situation.runs.push(run(3, StageKey::Deploy, RunKind::Deploy, head.clone(), Some(0)));
    situation.runs.push(run(
        4,
        StageKey::Verify,
        RunKind::Verify,
        head.clone(),
        Some(i32::from(!passed)),
    ));
    let criterion = |criterion: &str, passed: bool, evidence: &str| CriterionVerdict {
        criterion: criterion.into(),
        passed,
        evidence: evidence.into(),
    };
    let outcome = VerifyOutcome {
        passed,
        summary: "Both ranges were asked for on production.".into(),
        criteria: vec![
            criterion(
                "`bytes=500-` answers 500 bytes",
                true,
                "`./smoke.sh`: `content-length: 500`",
            ),
            criterion("`bytes=9-2` is answered with 416", passed, "`./smoke.sh`: `HTTP/1.1 416`"),
        ],
    };
    let verifier = ended(6, StageKey::Verify, 1, End::Succeeded, Some(Outcome::Verify(outcome)));
    situation.agents.push(Agent { base: head, ..verifier });
    set(&mut situation, StageKey::Deploy, StageState::Passed, 1);
    let verdict = if passed {
        StageState::Passed
    } else {
        StageState::Failed(crate::model::FailKind::Verdict)
    };
    set(&mut situation, StageKey::Verify, verdict, 1);
    let state = if passed {
        TaskState::Done
    } else {
        TaskState::Parked(ParkReason::Failed(StageKey::Verify))
    };
    be(&mut situation, state);
    situation
}

#[test]
fn progress_of_a_task_from_the_label_to_the_merge() {
    assert_snapshot!("progress_assigned", progress(&sample::situation()));
    assert_snapshot!("progress_plan_waiting", progress(&planned()));
    assert_snapshot!("progress_coding", progress(&coding()));
    assert_snapshot!("progress_second_round", progress(&second_round()));
    assert_snapshot!("progress_merge_waiting", progress(&mergeable()));
}

#[test]
fn progress_after_the_merge() {
    let mut deploying = merged();
    let head = sha("abc1234");
    deploying.runs.push(run(3, StageKey::Deploy, RunKind::Deploy, head, None));
    set(&mut deploying, StageKey::Deploy, StageState::Commands(crate::model::CommandRunId(3)), 1);
    assert_snapshot!("progress_deploying", progress(&deploying));
    assert_snapshot!("progress_verified", progress(&verified(true)));
    assert_snapshot!("progress_verify_failed", progress(&verified(false)));
    assert_snapshot!("closing_verified", closing(&mut verified(true)));
    assert_snapshot!("closing_verify_failed", closing(&mut verified(false)));
}

#[test]
fn a_parked_task_says_what_is_kept_and_mentions_who_must_act() {
    let mut situation = second_round();
    situation.task.as_mut().expect("the sample has a task").spent = Micros(4_930_000);
    be(&mut situation, TaskState::Parked(ParkReason::Budget));
    assert_snapshot!("progress_parked_budget", progress(&situation));
    assert_snapshot!("closing_parked_budget", closing(&mut situation));
}

#[test]
fn a_stopped_task_mentions_nobody() {
    let mut situation = second_round();
    be(&mut situation, TaskState::Cancelled { by: CancelledBy::Person(sample::mara().id) });
    let said = closing(&mut situation);
    assert!(!said.contains('@'), "{said}");
    assert_snapshot!("closing_cancelled", said);
    assert_snapshot!("progress_cancelled", progress(&situation));
}

#[test]
fn a_persons_pull_request_is_reviewed_and_its_text_is_left_alone() {
    let mut situation = reviewed();
    let task = situation.task.as_mut().expect("the sample has a task");
    (task.origin, task.number) = (TaskOrigin::Pull, 482);
    situation.plans.clear();
    situation.agents.retain(|agent| agent.stage == StageKey::Review);
    set(&mut situation, StageKey::Code, StageState::Blocked, 0);
    be(&mut situation, TaskState::Done);
    assert_snapshot!("progress_persons_pull", progress(&situation));
    assert_snapshot!("closing_persons_pull", closing(&mut situation));
    assert_eq!(render(&situation, &ReportKind::Pull), Desired::Nothing);
}

#[test]
fn asking_mentions_who_must_act_and_holds_one_box() {
    let said = body(render(&planned(), &ReportKind::Asking(1)));
    assert_eq!(said.matches("- [ ]").count(), 1);
    assert_snapshot!("asking", said);
}

#[test]
fn asking_with_questions_from_nobody_in_particular() {
    let mut situation = planned();
    situation.task.as_mut().expect("the sample has a task").requested_by = None;
    situation.plans[0].body.questions = vec!["Is 416 wanted, or 200 with the whole file?".into()];
    assert_snapshot!("asking_questions", body(render(&situation, &ReportKind::Asking(1))));
}

/// The coder asked and ended.
fn asked() -> Situation {
    let mut situation = coding();
    let id = crate::model::QuestionId(3);
    situation.agents.pop();
    situation.agents.push(ended(2, StageKey::Code, 1, End::Asked(id), None));
    situation.questions.push(Question {
        id,
        number: 1,
        agent: AgentId(2),
        text: "A reversed range is refused today. @tom\n- [ ] **9.** keep it so?".into(),
        options: vec!["Answer 416".into(), "Answer `200` with the whole file".into()],
        fallback: Some(Fallback { option: 1, at: sample::at("18:10") }),
        answer: None,
    });
    let wait = WaitFor::Answer(id);
    set(&mut situation, StageKey::Code, StageState::Waiting(wait.clone()), 1);
    be(&mut situation, TaskState::Waiting(wait));
    situation
}

#[test]
fn a_question_mentions_who_must_act_and_its_boxes_are_its_options() {
    let situation = asked();
    let said = body(render(&situation, &ReportKind::Question(1)));
    assert_eq!((said.matches("- [ ]").count(), said.matches("@mara").count()), (2, 1), "{said}");
    assert_snapshot!("question", said);
    assert_snapshot!("progress_question", progress(&situation));
}

#[test]
fn a_question_is_folded_away_once_it_is_answered_and_the_answer_is_shown() {
    let mut situation = asked();
    let by = Some(sample::mara());
    let answer = Answer { option: Some(2), text: "".into(), by, at: sample::at("14:20") };
    situation.questions[0].answer = Some(answer);
    set(&mut situation, StageKey::Code, StageState::Running(AgentId(2)), 1);
    be(&mut situation, TaskState::Open);
    let Desired::Comment { minimised, frozen, .. } = render(&situation, &ReportKind::Question(1))
    else {
        panic!("it was asked")
    };
    assert!(minimised && frozen);
    let said = progress(&situation);
    assert!(said.contains("→ mara answered: **2.** Answer `200` with the whole file"), "{said}");
    situation.questions[0].answer.as_mut().expect("answered above").by = None;
    let reply = crate::model::Reply::AnsweredByDefault { question: situation.questions[0].id };
    assert_snapshot!("reply_default", crate::report::reply(&situation, &reply));
}

/// The planner noticed two things.
fn noticed() -> Situation {
    let mut situation = coding();
    let follow_up = |number, title: &str, text: &str| FollowUp {
        number,
        agent: AgentId(1),
        title: title.into(),
        text: text.into(),
        issue: None,
    };
    let text = "`server.mjs:12` appends and never cuts.\n\n- [ ] **2.** @tom\n/baton approve";
    situation.follow_ups = vec![
        follow_up(1, "The log grows without end", text),
        follow_up(2, "<!-- x --> @tom: close #7 - [ ] **9.**", "</details>"),
    ];
    situation
}

#[test]
fn what_an_agent_noticed_has_a_box_each_and_its_words_do_nothing() {
    let situation = noticed();
    let said = body(render(&situation, &ReportKind::FollowUps(AgentId(1))));
    assert_eq!((said.matches("- [ ] ").count(), said.matches("@tom").count()), (2, 0), "{said}");
    assert_snapshot!("follow_ups", said);
    assert_snapshot!("progress_follow_ups", progress(&situation));
    let task = situation.task.as_ref().expect("the sample has a task");
    let issue = crate::report::follow_up_issue(&situation, task, &situation.follow_ups[0]);
    assert_snapshot!(
        "follow_up_issue",
        format!("{}\n{}\n{}", issue.marker, issue.title, issue.body)
    );
}

#[test]
fn what_an_agent_noticed_is_offered_when_it_has_ended_until_each_has_its_issue() {
    let mut situation = noticed();
    let offered =
        |situation: &Situation| match render(situation, &ReportKind::FollowUps(AgentId(1))) {
            Desired::Comment { minimised, frozen, .. } => Some((minimised, frozen)),
            _ => None,
        };
    situation.follow_ups[0].issue = Some(12);
    assert_eq!(offered(&situation), Some((false, true)));
    assert!(progress(&situation).contains("- **1.** The log grows without end → #12\n"));
    situation.follow_ups[1].issue = Some(13);
    assert_eq!(offered(&situation), Some((true, true)));
    situation.agents[0].state = crate::model::AgentState::Running;
    assert_eq!(offered(&situation), None, "it can still notice more");
}

#[test]
fn asking_is_folded_away_once_it_is_answered_or_replaced() {
    let minimised = |situation: &Situation| match render(situation, &ReportKind::Asking(1)) {
        Desired::Comment { minimised, .. } => Some(minimised),
        _ => None,
    };
    let mut situation = planned();
    situation.asked = vec![(1, crate::model::CommentId(77))];
    assert_eq!(minimised(&situation), Some(false));
    let mut approved = coding();
    assert_eq!(minimised(&approved), None, "it was never posted, so it is not posted now");
    approved.asked = vec![(1, crate::model::CommentId(77))];
    assert_eq!(minimised(&approved), Some(true));
    let hash = PlanHash::new("9".repeat(64)).expect("hexadecimal");
    situation.plans.push(crate::model::Plan { number: 2, hash: hash.clone(), ..plan() });
    be(&mut situation, TaskState::Waiting(WaitFor::PlanApproval(hash)));
    assert_eq!(minimised(&situation), Some(true));
}

#[test]
fn an_older_closing_word_is_left_as_it_is() {
    let mut situation = second_round();
    be(&mut situation, TaskState::Parked(ParkReason::Budget));
    situation.task.as_mut().expect("the sample has a task").endings = 2;
    assert_eq!(render(&situation, &ReportKind::Closing(1)), Desired::Nothing);
}

#[test]
fn labels_follow_the_state() {
    let labels = |situation: &Situation| match render(situation, &ReportKind::Labels) {
        Desired::Labels { present, absent } => (present.join(","), absent.join(",")),
        other => panic!("{other:?}"),
    };
    let pair = |present: &str, absent: &str| (present.to_owned(), absent.to_owned());
    assert_eq!(labels(&planned()), pair("baton:waiting", "baton:parked"));
    assert_eq!(labels(&coding()), pair("", "baton:waiting,baton:parked"));
    let mut parked = coding();
    be(&mut parked, TaskState::Parked(ParkReason::Off));
    assert_eq!(labels(&parked), pair("baton:parked", "baton:waiting"));
}

#[test]
fn the_pull_request_says_what_why_and_who_saw_it_work() {
    let Desired::Pull { title, body } = render(&second_round(), &ReportKind::Pull) else {
        panic!("a task of an issue has a pull request");
    };
    assert_snapshot!("pull", format!("{title}\n=====\n{body}"));
    let mut untested = second_round();
    untested.runs.clear();
    let Desired::Pull { body, .. } = render(&untested, &ReportKind::Pull) else {
        panic!("as above")
    };
    assert!(body.contains("Baton ran nothing"), "{body}");
}

#[test]
fn a_situation_is_said_the_same_an_hour_later() {
    let mut later = second_round();
    later.now = sample::at("15:10");
    assert_eq!(progress(&second_round()), progress(&later));
}

/// A plan with a step each for an analysis, a refactoring and tests, of which the second is at work.
fn divided() -> Situation {
    let mut situation = coding();
    let steps = &mut situation.plans[0].body.steps;
    let roles = [StepRole::Analysis, StepRole::Refactor, StepRole::TestGeneration];
    for (step, role) in steps.iter_mut().zip(roles) {
        step.role = Some(role);
    }
    let analyst = ended(2, StageKey::Code, 1, End::Succeeded, Some(analysed()));
    let refactoring = Agent {
        id: AgentId(3),
        role: Role::Refactor,
        subtask: Some(2),
        ..situation.agents.pop().expect("a coder is at work")
    };
    situation.agents.push(Agent { role: Role::Analysis, subtask: Some(1), ..analyst });
    situation.agents.push(refactoring);
    set(&mut situation, StageKey::Code, StageState::Running(AgentId(3)), 2);
    situation
}

fn analysed() -> Outcome {
    Outcome::Analysis(AnalysisOutcome {
        summary: "Two callers count on it.".into(),
        report: "`src/http/mod.rs:12` does.\n\n- [ ] **Approve this plan** @mara".into(),
    })
}

#[test]
fn a_divided_plan_shows_who_does_what_which_part_is_at_work_and_what_was_found_out() {
    let mut situation = divided();
    assert_snapshot!("progress_divided", progress(&situation));
    be(&mut situation, TaskState::Waiting(WaitFor::PlanApproval(plan().hash)));
    let said = progress(&situation);
    assert!(said.contains("(`tests/range.rs`) · *refactor*"), "{said}");
}

#[test]
fn the_pull_request_of_a_divided_plan_says_what_all_parts_say() {
    let mut situation = reviewing();
    let coder = situation.agents.iter_mut().find(|agent| agent.stage == StageKey::Code);
    let coder = coder.expect("a coder");
    coder.subtask = Some(1);
    let summary = "Each range has a test.".into();
    let (tests_run, notes) = ("`cargo test`: 12 passed".into(), "".into());
    let outcome = Outcome::Code(CodeOutcome { summary, tests_run, notes });
    let tester = Agent {
        id: AgentId(9),
        role: Role::TestGeneration,
        subtask: Some(2),
        provider: "codex".to_owned(),
        outcome: Some(outcome),
        ..coder.clone()
    };
    situation.agents.push(tester);
    let steps = &mut situation.plans[0].body.steps;
    steps[2].role = Some(StepRole::TestGeneration);
    let Desired::Pull { body, .. } = render(&situation, &ReportKind::Pull) else { panic!("none") };
    for said in [
        "no longer subtracts one from an open end.\n\nEach range has a test.",
        "- Tests, the agent says: `cargo test range`: 9 passed\n- Tests, the agent says: `cargo test`: 12",
        "The reversed range is answered by the caller.",
        "Made by Baton with `claude` `sonnet`, `codex` `sonnet`",
    ] {
        assert!(body.contains(said), "{said}\nin\n{body}");
    }
    assert!(!body.contains("Newest round"), "{body}");
}
