//! Whose token a request carries, what it may spend, and where usage is written down.

use std::cmp::Reverse;
use std::future::Future;
use std::pin::Pin;

use sha2::{Digest, Sha256};

use crate::model::{
    AgentId, BudgetScope, Limited, Micros, RepositoryId, TaskId, Timestamp, TokenUsage,
};

use super::bill::{Allowed, Bill};

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
    /// The limit of each budget that pays for it, in the order of [`BudgetScope::ALL`].
    pub budgets: [Micros; 4],
    /// How many requests it may make in all.
    pub most_requests: u32,
    /// Whether it may use the web tools that the server names.
    pub web: bool,
}

/// A request that is about to be sent: what it may cost is held back, so that parallel requests and a
/// crash count too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reservation {
    /// Whose.
    pub grant: AgentGrant,
    /// The model that is asked.
    pub model: String,
    /// What it may cost.
    pub bill: Bill,
    /// Now.
    pub at: Timestamp,
}

/// What came of a wish to hold money back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reserved {
    /// It is held back.
    Held {
        /// The reservation's number.
        number: i64,
        /// What the answer may have: what was wanted, or less.
        allowed: Allowed,
    },
    /// There is no room: the request must not be sent.
    Refused(Limited),
}

impl Reservation {
    /// The most of an answer that all four budgets have room for, when so much of each is used; else
    /// the budget that has least room.
    ///
    /// # Errors
    /// With the limit that is in the way.
    pub fn fitting(&self, used: &[Micros; 4]) -> Result<Allowed, Limited> {
        let left = self.grant.budgets.iter().zip(used);
        let left = left.map(|(limit, used)| Micros(limit.0.saturating_sub(used.0)));
        // Of several that have as little, the widest is named: an agent's is often its task's.
        let least = left.zip(BudgetScope::ALL).min_by_key(|(left, scope)| (*left, Reverse(*scope)));
        let (left, scope) = least.unwrap_or((Micros::ZERO, BudgetScope::Agent));
        let needs = self.bill.at_most(self.bill.least());
        self.bill.fitting(left).ok_or(Limited::Budget { scope, left, needs })
    }
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

    /// Holds back what a request may cost in all its budgets at once, or in none.
    fn reserve(&self, reservation: Reservation) -> Answer<'_, Reserved>;

    /// Puts what was really used in the reservation's place. One that is never settled, for the
    /// process died, stays held back until its agent has ended.
    fn settle(&self, reservation: i64, usage: RequestUsage) -> Answer<'_, ()>;

    /// Notes that a credential rests, known by its name, so that a restart does not forget it.
    fn rest(
        &self,
        provider: &'static str,
        name: String,
        until: Timestamp,
        reason: String,
    ) -> Answer<'_, ()>;
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
