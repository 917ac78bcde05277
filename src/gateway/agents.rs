//! Whose token a request carries, what is left to spend, and where usage is written down.

use std::future::Future;
use std::pin::Pin;

use sha2::{Digest, Sha256};

use crate::model::{AgentId, Micros, RepositoryId, TaskId, Timestamp, TokenUsage};

/// The SHA-256 of an agent's token: the token itself is stored nowhere.
pub type TokenHash = [u8; 32];

/// An answer that is on its way.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, AgentsError>> + Send + 'a>>;

/// What an agent may do here, as of now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentGrant {
    /// Who.
    pub agent: AgentId,
    /// For which task.
    pub task: TaskId,
    /// In which repository.
    pub repository: RepositoryId,
    /// The models it may ask.
    pub models: Vec<String>,
    /// Whether it has ended: its token is worth nothing any more.
    pub ended: bool,
    /// What it may still spend: the least of what all budgets above it have left.
    pub remaining: Micros,
}

/// A request that is about to be sent: its cost is held back, so that parallel requests and a crash
/// count too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reservation {
    /// Whose.
    pub agent: AgentId,
    /// For which task.
    pub task: TaskId,
    /// In which repository.
    pub repository: RepositoryId,
    /// The model that is asked.
    pub model: String,
    /// What it will about cost.
    pub reserved: Micros,
    /// Now.
    pub at: Timestamp,
}

/// What a request used in the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestUsage {
    /// The tokens.
    pub tokens: TokenUsage,
    /// What they cost; nothing if the API refused.
    pub cost: Micros,
    /// Whether these are the API's final figures; otherwise an estimate, rather too high.
    pub complete: bool,
    /// When the answer ended.
    pub at: Timestamp,
}

/// The books: who the agents are and what they use.
pub trait Agents: Send + Sync + 'static {
    /// The agent of a token; nothing if the token is nobody's.
    fn of_token(&self, hash: TokenHash) -> Answer<'_, Option<AgentGrant>>;

    /// Holds money back and gives the reservation's number. From then on `of_token` counts it.
    fn reserve(&self, reservation: Reservation) -> Answer<'_, i64>;

    /// Puts what was really used in the reservation's place. One that is never settled, for the
    /// process died, stays held back as long as the agent has not ended.
    fn settle(&self, reservation: i64, usage: RequestUsage) -> Answer<'_, ()>;
}

/// The books cannot be read or written right now; asking again may help.
#[derive(Debug, thiserror::Error)]
#[error("agents and their usage are out of reach: {0}")]
pub struct AgentsError(pub String);

/// Hashes a token for [`Agents::of_token`].
#[must_use]
pub fn token_hash(token: &str) -> TokenHash {
    Sha256::digest(token.as_bytes()).into()
}
