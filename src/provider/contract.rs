//! The seam itself: what Baton asks of a program that is an agent.

use std::fmt;

use crate::model::{AgentEvent, Timestamp};

use super::Command;

/// One running agent's program, as a machine without input and output of its own.
///
/// The caller starts [`Provider::launch`], writes the lines of [`Provider::opening`], feeds every
/// line of standard output to [`Provider::line`] and does what it returns, and calls
/// [`Provider::ended`] once the process is gone. Lines to write carry no line feed; the caller adds
/// one. More lines, and even a second [`AgentEvent::Finished`], may follow the first one: an `Ok`
/// that was told is not taken back by what follows it, unless a further prompt was handed in.
///
/// How much of that one process can take is what [`Provider::talk`] says. Where it is
/// [`Talk::OnePrompt`] and [`Provider::waits`] once the process is gone, the caller begins again with
/// `launch`: the next process goes on in the same session.
pub trait Provider: Send {
    /// How its program is talked with.
    fn talk(&self) -> Talk;

    /// The command line, the environment and the files of the next process.
    fn launch(&self) -> Command;

    /// The lines to write at the start of a process: the prompt, and whatever waits with it. With
    /// [`Talk::OnePrompt`] it is one text that may hold line feeds.
    fn opening(&mut self) -> Vec<String>;

    /// Takes one line of standard output, without its line feed. Never fails: what is not
    /// understood gives no steps.
    fn line(&mut self, line: &[u8]) -> Vec<Step>;

    /// Hands in a further prompt: the lines for the live process, or none where it waits for the next.
    fn follow_up(&mut self, text: &str) -> Vec<String>;

    /// Whether a prompt waits for the next process.
    fn waits(&self) -> bool;

    /// The lines that end the running turn softly; a `Finished` follows and the session stays. None
    /// where that takes a signal.
    fn interrupt(&mut self) -> Vec<String>;

    /// Takes note that the process is gone; `stderr_tail` is the last of what it printed there.
    ///
    /// Returns the `Finished` that the program owes, or nothing if it answered every prompt.
    fn ended(&mut self, exit: Exit, stderr_tail: &str) -> Option<AgentEvent>;

    /// The model API's last refusal that ended a turn, if the newest turn ended so.
    fn refusal(&self) -> Option<ModelRefusal>;
}

/// What one line asks of the caller.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Something to tell.
    Event(AgentEvent),
    /// A line to write to standard input, without line feed.
    Send(String),
}

/// How a program is talked with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Talk {
    /// Over its standard input as long as it lives: further prompts and the interrupt are lines.
    /// Closing the input sends it away; it ends after the running turn.
    Live,
    /// One prompt a process: its input is closed behind the opening, SIGINT interrupts it, and it ends
    /// by itself after its one turn.
    OnePrompt,
}

/// How a process went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
        }
    }
}

/// Why the model's API gave no answer, as far as the program tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelRefusal {
    /// What kind.
    pub kind: RefusalKind,
    /// The HTTP status, where there was an answer.
    pub status: Option<u16>,
    /// When asking again makes sense, if that is known. The gateway often knows it better.
    pub retry_at: Option<Timestamp>,
}

/// What can be done about a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalKind {
    /// Wait: the provider gives no more for now (429).
    Quota,
    /// Give more money: Baton's own budget is spent.
    Budget,
    /// Pay the provider: its account is empty.
    Credit,
    /// Correct the key or the model's name (401, 403, 404).
    Access,
    /// Ask for less: the prompt or the answer is too long.
    TooLong,
    /// Ask otherwise: the model declined.
    Declined,
    /// Try again later: the API failed or could not be reached.
    Unavailable,
    /// The request was wrong.
    Invalid,
}
