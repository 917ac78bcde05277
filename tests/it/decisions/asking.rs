//! Questions of agents to people.

use super::*;

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
    play.command(Command::Stop { now: false });
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
