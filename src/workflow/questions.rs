//! What agents ask people: the waiting, the answer, the deadline.

use crate::model::{
    Act, Agent, Answer, FailKind, Message, NotHere, Question, QuestionId, Reaction, Reply,
    ReportKind, StageState, TaskState, Untrusted, WaitFor,
};

use super::{Decision, Effect, agents::is_aside, draft::Draft};

/// An agent ended with a question: its stage waits, and nothing else of it is left.
pub(super) fn asked(mut draft: Draft<'_>, agent: &Agent, id: QuestionId) -> Decision {
    let Some(question) = draft.s.question(id) else { return draft.nothing("unknown_question") };
    if is_aside(&draft, agent.stage) {
        let why = "it asked a person, and the task beside it does not wait".to_owned();
        draft.stage(agent.stage, StageState::Failed(FailKind::InvalidOutcome(why)));
        return draft.rule("asked_aside");
    }
    wait(&mut draft, agent, question);
    draft.rule("question_asked")
}

/// Lets the agent's stage, and with it the task, wait for the answer.
fn wait(draft: &mut Draft<'_>, agent: &Agent, question: &Question) {
    let wait = WaitFor::Answer(question.id);
    draft.stage(agent.stage, StageState::Waiting(wait.clone()));
    draft.add(Effect::Raise(ReportKind::Question(question.number)));
    draft.task(TaskState::Waiting(wait));
}

/// Takes up a stage whose newest agent ended with a question: asks again, or goes on with the answer
/// that nobody could go on with before. False where there was no question.
pub(super) fn taken_up(draft: &mut Draft<'_>, agent: Option<&Agent>) -> bool {
    let asked = agent.and_then(|agent| Some((agent, draft.s.question(agent.asked()?)?)));
    match asked {
        Some((agent, question)) if question.answer.is_none() => wait(draft, agent, question),
        Some((agent, question)) => go_on(draft, agent, question),
        None => {}
    }
    asked.is_some()
}

/// Somebody answered.
pub(super) fn answer(mut draft: Draft<'_>, number: u32, words: &str) -> Decision {
    if draft.s.task.is_none() {
        return draft.decline("answer", NotHere::NoTask);
    }
    let Some(question) = draft.s.waiting_question() else {
        return draft.decline("answer", NotHere::NoQuestion);
    };
    if question.number != number {
        let question = question.number;
        return draft.decline("answer", NotHere::Unanswered { question });
    }
    let (option, text) = match question.read(words) {
        Ok(read) => read,
        Err(options) => return draft.decline("answer", NotHere::NoSuchOption { options }),
    };
    let by = draft.event.actor.account().cloned();
    let answer = Answer { option, text, by, at: draft.event.at };
    draft.react(Reaction::Eyes);
    answered(&mut draft, question, answer);
    draft.rule("question_answered")
}

/// Nobody answered in time: what the agent named for that case counts.
pub(super) fn deadline_passed(mut draft: Draft<'_>, id: QuestionId) -> Decision {
    let waiting = draft.s.waiting_question().filter(|question| question.id == id);
    let due = waiting.and_then(|question| {
        let fallback = question.fallback.filter(|fallback| fallback.at <= draft.s.now)?;
        Some((question, fallback))
    });
    let Some((question, fallback)) = due else { return draft.nothing("deadline_without_effect") };
    let option = Some(fallback.option);
    let answer = Answer { option, text: Untrusted::default(), by: None, at: draft.s.now };
    answered(&mut draft, question, answer);
    if let Some(number) = draft.thread() {
        let reply = Reply::AnsweredByDefault { question: id };
        draft.add(Effect::Act(Act::Reply { number, reply }));
    }
    draft.rule("answered_by_default")
}

fn answered(draft: &mut Draft<'_>, question: &Question, answer: Answer) {
    draft.tell(Effect::Answer { question: question.id, answer });
    if let Some(agent) = draft.s.agent(question.agent) {
        go_on(draft, agent, question);
    }
}

/// Starts an agent that goes on with the answer, in the session of the one that asked.
fn go_on(draft: &mut Draft<'_>, agent: &Agent, question: &Question) {
    let mut messages = agent.inputs.messages.clone();
    messages.push(Message::Answered { question: question.id });
    let base = agent.head.clone().unwrap_or_else(|| agent.base.clone());
    draft.start_part(agent.stage, agent.part(), Some(agent.id), messages, base);
}
