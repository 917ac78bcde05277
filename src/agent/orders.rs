//! What passes between a running agent and the rest of Baton: notes out, orders in.

use serde::{Deserialize, Serialize};

use crate::model::{CancelledBy, Fetch, Footprint, Micros, Stop, TodoItem, TokenUsage, Untrusted};

/// Which of the two streams a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Error,
}

/// Something worth keeping about a running agent.
#[derive(Debug, Clone, PartialEq)]
pub enum Note {
    /// Its process is up; the reference finds it again on this machine.
    Started {
        /// Names the process.
        reference: String,
    },
    /// A line it printed, as it came.
    Line {
        /// On which stream.
        stream: Stream,
        /// The line, invalid UTF-8 replaced.
        text: String,
    },
    /// What it last said or did, in a line.
    Doing(Untrusted),
    /// Its list of what is done and left.
    Todo(Vec<TodoItem>),
    /// What it asked of hosts, all of it, at its end.
    Fetched(Vec<Fetch>),
    /// Tokens that its program counted.
    Usage(TokenUsage),
    /// What its processes have used so far.
    Footprint(Footprint),
    /// What its session has cost so far, by its program's own count.
    Cost(Micros),
    /// Its program called a tool.
    Called,
    /// A tool that it called came to nothing.
    CallFailed,
    /// A tool that it called was not allowed.
    Denied,
    /// Its program asks the model API again, which had failed.
    Retried,
    /// What was told up to here had happened already under a Baton that is dead; that one had told the agent
    /// these things.
    CaughtUp(Vec<Said>),
}

/// What a further prompt is, by the number of its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Said {
    /// A word of the task's.
    Message(i64),
    /// What another agent wrote.
    Letter(i64),
}

impl Said {
    /// The number of the letter, where it is one.
    #[must_use]
    pub fn letter(self) -> Option<i64> {
        match self {
            Self::Letter(id) => Some(id),
            Self::Message(_) => None,
        }
    }
}

/// Something that a running agent is told.
#[derive(Debug)]
pub enum Order {
    /// To end.
    Stop {
        /// How.
        stop: Stop,
        /// Who wants it.
        by: CancelledBy,
    },
    /// A further prompt for the live session.
    Say {
        /// The words.
        text: String,
        /// What they are.
        said: Said,
        /// Told once the program was given them; dropped where it is on its way out.
        given: tokio::sync::oneshot::Sender<()>,
    },
}

/// The two ends that an agent holds.
#[derive(Debug)]
pub struct Wires {
    /// Where notes go. A slow reader slows the agent down; nothing is thrown away.
    pub notes: tokio::sync::mpsc::Sender<Note>,
    /// Where orders come from. Closed means: nobody gives orders any more.
    pub orders: tokio::sync::mpsc::Receiver<Order>,
}
