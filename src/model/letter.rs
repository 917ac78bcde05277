//! What the agents of one task write to each other.

use serde::{Deserialize, Serialize};

use super::{AgentId, Role, Timestamp, Untrusted};

/// What a message between agents is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LetterKind {
    /// Asks another agent to do or find out something.
    TaskRequest,
    /// Answers such a request.
    TaskResponse,
    /// Says how far its writer is.
    StatusUpdate,
    /// Says who does what, or in which order.
    Coordination,
    /// Says that its writer is there.
    Heartbeat,
    /// Says that something went wrong.
    Error,
}

impl LetterKind {
    /// All kinds.
    pub const ALL: [Self; 6] = [
        Self::TaskRequest,
        Self::TaskResponse,
        Self::StatusUpdate,
        Self::Coordination,
        Self::Heartbeat,
        Self::Error,
    ];

    /// The name in SQL and for agents.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::TaskRequest => "task_request",
            Self::TaskResponse => "task_response",
            Self::StatusUpdate => "status_update",
            Self::Coordination => "coordination",
            Self::Heartbeat => "heartbeat",
            Self::Error => "error",
        }
    }
}

/// Whom a message is for, within its task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Addressee {
    /// All agents.
    All,
    /// Whoever plays this role, now or next.
    Role(Role),
    /// One agent, or whoever goes on with its session.
    Agent(AgentId),
}

/// A message from one agent to others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// Its row.
    pub id: i64,
    /// Who wrote it.
    pub from: AgentId,
    /// Whom its writer plays.
    pub role: Role,
    /// What it is.
    pub kind: LetterKind,
    /// What ties a response to its request.
    pub correlation: Option<String>,
    /// The words.
    pub body: Untrusted,
    /// When.
    pub at: Timestamp,
}
