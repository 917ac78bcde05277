//! The comment by which Baton asks a person what an agent wants to know: new, so that it notifies, and
//! never edited. Its boxes are the options.

use crate::model::{AgentId, Desired, Question, ReportKind, Role, Situation, Task, Untrusted};

use super::commands::typed;
use super::figures::moment;
use super::fit::{COMMENT, fit};
use super::kept::upper_first;
use super::marker::Marker;
use super::people::who_acts;
use super::quote::{block, line};

/// Longest question that is shown, in characters; the tool takes no longer one.
const TEXT: usize = 4000;
/// Longest option.
const OPTION: usize = 300;

/// What the comment of the question with this number should be.
#[must_use]
pub fn question(situation: &Situation, task: &Task, number: u32) -> Desired {
    let Some(question) = situation.questions.iter().find(|question| question.number == number)
    else {
        return Desired::Nothing;
    };
    let waiting = situation.waiting_question();
    let waits = waiting.is_some_and(|waiting| waiting.id == question.id);
    let marker = Marker::of_report(task.id, &ReportKind::Question(number)).write(&situation.name);
    let body = format!("{marker}\n{}", text(situation, question));
    Desired::Comment { body: fit(&body, COMMENT), minimised: !waits, frozen: true }
}

fn text(situation: &Situation, question: &Question) -> String {
    let who = who_acts(situation);
    let asks =
        format!("{} has a question (**Q{}**)", whose(situation, question.agent), question.number);
    let opening = if who.starts_with('@') {
        format!("{who} {asks}:")
    } else {
        format!("{}, waiting for {who}:", upper_first(&asks))
    };
    let boxes: Vec<String> = numbered(question).map(|option| format!("- [ ] {option}")).collect();
    let parts = [
        opening,
        block(&question.text, TEXT),
        boxes.join("\n"),
        how(situation, question, "Tick one"),
    ];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n\n")
}

/// An agent in the words that people see.
#[must_use]
pub fn whose(situation: &Situation, agent: AgentId) -> &'static str {
    match situation.agent(agent).map(|agent| agent.role) {
        Some(Role::Starter) => "the agent that plans",
        Some(Role::Coding | Role::Generic) => "the agent that writes the change",
        Some(Role::Refactor) => "the agent that refactors",
        Some(Role::TestGeneration) => "the agent that writes tests",
        Some(Role::Analysis) => "the agent that looks into the code",
        Some(Role::Reviewer) => "the agent that reads the change",
        Some(Role::Deployer) => "the agent that judges the deployment",
        Some(Role::Verifier) => "the agent that judges the evidence",
        Some(Role::Auditor) => "the agent that audits",
        None => "an agent",
    }
}

/// The options with their numbers: `**1.** round up`. A tick is read by what stands first.
fn numbered(question: &Question) -> impl Iterator<Item = String> {
    let options = question.options.iter().enumerate();
    options.map(|(place, option)| format!("**{}.** {}", place + 1, line(option, OPTION)))
}

/// How it is answered, and what happens when nobody does.
#[must_use]
pub fn how(situation: &Situation, question: &Question, tick: &str) -> String {
    let usage = format!("answer {}: <your answer>", question.number);
    let answer = typed(situation, &usage);
    let first = match question.options.is_empty() {
        true => format!("Answer with {answer}."),
        false => format!("{tick}, or answer with {answer}."),
    };
    match question.fallback {
        Some(fallback) => format!(
            "{first} Without an answer by {} it goes on with **{}.**",
            moment(fallback.at, situation.now),
            fallback.option
        ),
        None => format!("{first} Nothing is spent while it waits."),
    }
}

/// A question and its options without boxes, for the comment that has none.
#[must_use]
pub fn quoted(question: &Question) -> String {
    let options = numbered(question).collect::<Vec<_>>().join("\\\n");
    let asked = format!("**Q{}**, in the agent's words:", question.number);
    let parts = [asked, block(&question.text, TEXT), options];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n\n")
}

/// What was answered, by whom, in a line; none while it waits.
#[must_use]
pub fn answered(question: &Question) -> Option<String> {
    let answer = question.answer.as_ref()?;
    let words = match answer.option.and_then(|number| Some((number, question.option(number)?))) {
        Some((number, option)) => format!("**{number}.** {}", line(option, OPTION)),
        None => line(&answer.text, OPTION),
    };
    let by = match &answer.by {
        Some(person) => format!("{} answered", person.login),
        None => "nobody answered in time, the default counts".to_owned(),
    };
    let asked = line(&Untrusted(question.text.0.clone()), 160);
    Some(format!("**Q{}** {asked} → {by}: {words}", question.number))
}
