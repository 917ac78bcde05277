//! Audits that agents want, and what came of them.

use serde::{Deserialize, Serialize};

use super::{Agent, AgentId, Message, Sha, Situation, StageKey, StageState, Task, Untrusted};

/// That an agent wants an auditor to look at the change it works on. It decides nothing: policy does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditWish {
    /// Whose it is: of each agent one.
    pub agent: AgentId,
    /// Why, in its words.
    pub reason: Untrusted,
    /// What is to be looked at; empty where it named nothing.
    pub paths: Vec<Untrusted>,
}

impl Situation {
    /// The audit that a wish led to, its last attempt.
    #[must_use]
    pub fn audit_for(&self, wish: &AuditWish) -> Option<&Agent> {
        let is_for =
            |told: &Message| matches!(told, Message::AuditWanted { wish: its } if its == wish);
        self.audits().rev().find(|agent| agent.inputs.messages.iter().any(is_for))
    }

    /// Whether an audit of this very commit was begun, for whomever.
    #[must_use]
    pub fn is_audited(&self, commit: &Sha) -> bool {
        self.audits().any(|agent| agent.base == *commit)
    }

    /// Whether a wish is of a change that has yet to be pushed.
    #[must_use]
    pub fn audit_waits(&self, task: &Task, wish: &AuditWish) -> bool {
        let code = self.stage(StageKey::Code);
        let is_out = code.is_some_and(|stage| stage.state == StageState::Passed);
        self.is_by_coder(wish) && !is_out && !task.state.is_final()
    }

    /// Whether it was an agent at work on the change that wanted it.
    #[must_use]
    pub fn is_by_coder(&self, wish: &AuditWish) -> bool {
        self.agent(wish.agent).is_some_and(|agent| agent.stage == StageKey::Code)
    }

    fn audits(&self) -> impl DoubleEndedIterator<Item = &Agent> {
        self.agents.iter().filter(|agent| agent.stage == StageKey::Audit)
    }
}
