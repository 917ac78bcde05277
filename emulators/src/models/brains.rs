//! Who decides what the model says, and the small brains that tests use.

use super::answer::{Answer, Pace};
use super::request::Request;

/// Decides what the model says. It keeps no state of its own: the request holds the whole conversation.
pub trait Brain: Send + Sync {
    /// Answers one request.
    fn answer(&self, request: &Request) -> Answer;
}

/// Whether a step of a script is meant for a request.
type Matcher = Box<dyn Fn(&Request) -> bool + Send + Sync>;
/// What a step of a script says.
type Answerer = Box<dyn Fn(&Request) -> Answer + Send + Sync>;

/// A list of cases, tried in order; the first that matches answers.
#[derive(Default)]
pub struct Script {
    cases: Vec<(Matcher, Answerer)>,
}

impl Script {
    /// A script without cases.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a case at the end.
    #[must_use]
    pub fn case(
        mut self,
        matches: impl Fn(&Request) -> bool + Send + Sync + 'static,
        answer: impl Fn(&Request) -> Answer + Send + Sync + 'static,
    ) -> Self {
        self.cases.push((Box::new(matches), Box::new(answer)));
        self
    }

    /// Adds a case for requests whose newest user text contains `part`, while `step` tool results have followed it.
    #[must_use]
    pub fn step(self, part: &str, step: usize, answer: Answer) -> Self {
        let part = part.to_owned();
        self.case(
            move |request| {
                request.last_user_text().is_some_and(|text| text.contains(&part))
                    && request.tool_results_since_last_user_text().len() == step
            },
            move |_| answer.clone(),
        )
    }
}

impl Brain for Script {
    /// Answers by the first case that matches; says so in text when none does.
    fn answer(&self, request: &Request) -> Answer {
        self.cases.iter().find(|(matches, _)| matches(request)).map_or_else(
            || Answer::text("The script has no case for this request."),
            |(_, answer)| answer(request),
        )
    }
}

impl std::fmt::Debug for Script {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Script").field("cases", &self.cases.len()).finish()
    }
}

/// Never answers.
#[derive(Debug, Clone, Copy, Default)]
pub struct Hang;

impl Brain for Hang {
    fn answer(&self, _: &Request) -> Answer {
        Answer::new().with_pace(Pace::Never)
    }
}

/// Always says the same text.
#[derive(Debug, Clone)]
pub struct Say(
    /// What it says.
    pub String,
);

impl Brain for Say {
    fn answer(&self, _: &Request) -> Answer {
        Answer::text(self.0.clone())
    }
}
