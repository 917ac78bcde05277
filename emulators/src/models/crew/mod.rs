//! The brain of the demo: plays every role on the sample repository, by looking at what is there.
//!
//! It knows one subject, the range parser of [`crate::sample`], and reads everything else from the request: the role
//! from a line `Role: plan|code|review|deploy|verify|audit|work|refactor|test|analyse` in the system text or the
//! user's texts, the state of the work from the files that its tools showed it, the change from the diff in the
//! prompt. So it can be asked again after a crash, in another session, or about a change that a person made, and
//! still says what is true.

mod analyse;
mod audit;
mod code;
mod deploy;
mod diff;
mod edits;
mod findings;
mod parser;
mod plan;
mod review;
mod tests;
mod turn;
mod verify;

use super::answer::{Answer, Pace};
use super::brains::Brain;
use super::request::Request;
use turn::{Role, Turn};

/// Plays starter, coder, reviewer, deployer, verifier and auditor, and who answers requests.
#[derive(Debug, Clone, Copy, Default)]
pub struct Crew {
    pace: Pace,
}

impl Crew {
    /// A crew that answers at once.
    pub fn new() -> Self {
        Self::default()
    }

    /// A crew that thinks before each answer, so that people can watch.
    pub fn with_pace(pace: Pace) -> Self {
        Self { pace }
    }
}

impl Brain for Crew {
    /// Takes the next step of the role; without a role it says so in text.
    fn answer(&self, request: &Request) -> Answer {
        let turn = Turn::of(request);
        let answer = match turn.role {
            Some(Role::Plan) => plan::step(&turn),
            Some(Role::Code) => code::step(&turn),
            Some(Role::Review) => review::step(&turn),
            Some(Role::Deploy) => deploy::step(&turn),
            Some(Role::Verify) => verify::step(&turn),
            Some(Role::Audit) => audit::step(&turn),
            Some(Role::Analyse) => analyse::step(&turn),
            None => Answer::text("I was given no role, so there is nothing for me to do."),
        };
        answer.with_pace(self.pace)
    }
}
