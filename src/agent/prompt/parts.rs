//! What an agent of a divided plan is told besides the words of its role: its own part, and what the others left.

use serde::Serialize;

use super::Extra;
use super::context::{code_words, steps_text};
use super::follow_up::{answer_words, login};
use crate::model::{Agent, Message, Outcome, Role, Situation, StageKey, Subtask};

/// The names that the template of parts may use besides those of every role's.
#[derive(Debug, Default, Serialize)]
pub(super) struct Parts {
    /// What it plays itself; none where it plays what comes back of the whole.
    part: Option<Own>,
    done: Vec<Done>,
    said: Vec<Said>,
    asked: Vec<Asked>,
}

#[derive(Debug, Serialize)]
struct Own {
    number: u32,
    of: usize,
    steps: String,
    writes: bool,
    by_coding: bool,
}

#[derive(Debug, Serialize)]
struct Done {
    number: u32,
    role: &'static str,
    words: String,
}

#[derive(Debug, Serialize)]
struct Said {
    by: String,
    text: String,
}

#[derive(Debug, Serialize)]
struct Asked {
    asked: String,
    answer: String,
    by: Option<String>,
}

impl Parts {
    /// Gathers it; none where nothing is divided, or nothing of what was made is there any more.
    pub(super) fn of(situation: &Situation, agent: &Agent, extra: &Extra) -> Option<Self> {
        let own = situation.subtask_of(agent);
        let goes_on = agent.stage == StageKey::Code && situation.is_made_here(&agent.base);
        let is_told = own.is_some() || goes_on && situation.parts_done(None).next().is_some();
        is_told.then(|| Self {
            done: situation.parts_done(agent.subtask).filter_map(done).collect(),
            part: own.map(|subtask| Own::of(situation, &subtask)),
            said: said(situation, agent, extra),
            asked: asked(situation, agent),
        })
    }
}

impl Own {
    fn of(situation: &Situation, subtask: &Subtask) -> Self {
        Self {
            number: subtask.number,
            of: situation.subtasks().len(),
            steps: situation
                .plan()
                .map(|plan| steps_text(&plan.body, subtask.steps.clone()))
                .unwrap_or_default(),
            writes: subtask.role.writes(),
            by_coding: subtask.role == Role::Coding,
        }
    }
}

fn done(agent: &Agent) -> Option<Done> {
    let words = match agent.outcome.as_ref()? {
        Outcome::Code(code) => code_words(code),
        Outcome::Analysis(analysis) => {
            format!("{}\n\n{}", analysis.summary.visible(), analysis.report.as_code())
        }
        Outcome::Plan(_)
        | Outcome::Review(_)
        | Outcome::Deploy(_)
        | Outcome::Verify(_)
        | Outcome::Audit(_) => return None,
    };
    Some(Done { number: agent.subtask?, role: agent.role.name(), words })
}

/// Those who worked on the change in other sessions.
fn others<'a>(situation: &'a Situation, agent: &Agent) -> impl Iterator<Item = &'a Agent> {
    let (id, session) = (agent.id, agent.session);
    let of_change = situation.agents.iter().filter(|it| it.stage == StageKey::Code);
    of_change.filter(move |it| it.id < id && it.session != session)
}

/// What people said to those who worked on other parts: when these were started, or while they worked.
fn said(situation: &Situation, agent: &Agent, extra: &Extra) -> Vec<Said> {
    let at_start = others(situation, agent).flat_map(Agent::wishes);
    let mut told: Vec<&Message> = Vec::new();
    for message in at_start.chain(&extra.said) {
        if !told.contains(&message) {
            told.push(message);
        }
    }
    let said = told.into_iter().filter_map(|message| match message {
        Message::Revise { text, by } => Some(Said { by: login(by), text: text.visible() }),
        Message::CommandsFailed { .. }
        | Message::Findings { .. }
        | Message::Refused { .. }
        | Message::Evidence { .. }
        | Message::Answered { .. }
        | Message::AuditWanted { .. }
        | Message::GoOn => None,
    });
    said.collect()
}

/// What those asked, where it was answered.
fn asked(situation: &Situation, agent: &Agent) -> Vec<Asked> {
    let whose: Vec<_> = others(situation, agent).map(|other| other.id).collect();
    let answered = situation.questions.iter().filter(|question| question.answer.is_some());
    let of_others = answered.filter(|question| whose.contains(&question.agent));
    let told = of_others.map(|question| {
        let (asked, answer, by) = answer_words(question);
        Asked { asked, answer, by }
    });
    told.collect()
}
