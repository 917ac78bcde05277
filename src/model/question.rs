//! What an agent asks a person, and what was answered.

use serde::{Deserialize, Serialize};

use super::{
    Agent, AgentId, AgentState, End, Person, QuestionId, Situation, TaskState, Timestamp,
    Untrusted, WaitFor,
};

/// One question of an agent. Its agent has ended, or is about to; the answer starts another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// Its row.
    pub id: QuestionId,
    /// Which of the task's, from 1: what people type.
    pub number: u32,
    /// Whose session goes on with the answer.
    pub agent: AgentId,
    /// The agent's words.
    pub text: Untrusted,
    /// What can be chosen, in order; none where the words are the answer.
    pub options: Vec<Untrusted>,
    /// What counts when nobody answers; none where it waits for a person without limit.
    pub fallback: Option<Fallback>,
    /// The answer, once there is one.
    pub answer: Option<Answer>,
}

/// The option that counts from a moment on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fallback {
    /// Its number, from 1.
    pub option: u32,
    /// The deadline.
    pub at: Timestamp,
}

/// What was answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The option that was chosen, from 1; none where the words below are the answer.
    pub option: Option<u32>,
    /// The answerer's own words; empty where an option was chosen.
    pub text: Untrusted,
    /// Who answered; nobody when the deadline passed.
    pub by: Option<Person>,
    /// When.
    pub at: Timestamp,
}

impl Question {
    /// The words of an option, by its number from 1.
    #[must_use]
    pub fn option(&self, number: u32) -> Option<&Untrusted> {
        let place = usize::try_from(number.checked_sub(1)?).ok()?;
        self.options.get(place)
    }

    /// Reads what somebody answered: a number is an option where there are any, else it is words.
    ///
    /// # Errors
    /// When it is a number beyond the options: how many there are.
    pub fn read(&self, words: &str) -> Result<(Option<u32>, Untrusted), u32> {
        let count = u32::try_from(self.options.len()).unwrap_or(u32::MAX);
        let plain = words.trim().trim_end_matches('.');
        match plain.parse::<u32>() {
            Ok(number) if self.option(number).is_some() => Ok((Some(number), Untrusted::default())),
            Ok(_) if count > 0 => Err(count),
            Ok(_) | Err(_) => Ok((None, Untrusted(words.trim().to_owned()))),
        }
    }
}

impl Situation {
    /// The question of that id.
    #[must_use]
    pub fn question(&self, id: QuestionId) -> Option<&Question> {
        self.questions.iter().find(|question| question.id == id)
    }

    /// The question that the task waits for an answer to.
    #[must_use]
    pub fn waiting_question(&self) -> Option<&Question> {
        match &self.task.as_ref()?.state {
            TaskState::Waiting(WaitFor::Answer(id)) => self.question(*id),
            TaskState::Waiting(
                WaitFor::PlanApproval(_) | WaitFor::PushApproval(_) | WaitFor::Merge(_),
            )
            | TaskState::Open
            | TaskState::Parked(_)
            | TaskState::Done
            | TaskState::Cancelled { .. } => None,
        }
    }
}

impl Agent {
    /// The question that it ended with.
    #[must_use]
    pub fn asked(&self) -> Option<QuestionId> {
        match &self.state {
            AgentState::Ended(End::Asked(question)) => Some(*question),
            AgentState::Ended(_)
            | AgentState::Queued
            | AgentState::Preparing
            | AgentState::Running
            | AgentState::Finishing => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(options: &[&str]) -> Question {
        Question {
            id: QuestionId(1),
            number: 1,
            agent: AgentId(1),
            text: "Which?".into(),
            options: options.iter().map(|option| Untrusted::from(*option)).collect(),
            fallback: None,
            answer: None,
        }
    }

    #[test]
    fn a_number_chooses_an_option_and_words_are_words() {
        let choice = question(&["round up", "round down"]);
        assert_eq!(choice.read(" 2. "), Ok((Some(2), "".into())));
        assert_eq!(choice.read("2 as before"), Ok((None, "2 as before".into())));
        assert_eq!(choice.read("3"), Err(2));
        assert_eq!(choice.read("0"), Err(2));
        assert_eq!(question(&[]).read("404"), Ok((None, "404".into())));
    }
}
