//! What agents may emit: things they noticed outside of their task, and that an auditor should look.

use serde::{Deserialize, Serialize};

use super::{Agent, AgentId, AgentState, Role, Situation, Untrusted};

/// What an agent can emit. Closed: approvals, permissions and outcomes of stages are none of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Emission {
    /// Something outside of its task that deserves work of its own.
    FollowUp,
    /// That an auditor looks at the change, too.
    AuditWanted,
}

impl Emission {
    /// All there are.
    pub const ALL: [Self; 2] = [Self::FollowUp, Self::AuditWanted];

    /// The name by which agents emit it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::FollowUp => "follow_up",
            Self::AuditWanted => "audit_wanted",
        }
    }

    /// Whether a role may emit it.
    #[must_use]
    pub fn is_for(self, role: Role) -> bool {
        match self {
            Self::FollowUp => true,
            Self::AuditWanted => role.writes() || role == Role::Reviewer,
        }
    }

    /// What a role may emit.
    #[must_use]
    pub fn of(role: Role) -> Vec<Self> {
        Self::ALL.into_iter().filter(|emission| emission.is_for(role)).collect()
    }
}

/// Something that an agent noticed outside of its task. It starts nothing: a person may have an issue
/// opened for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FollowUp {
    /// Which of the thread's, from 1: what people type.
    pub number: u32,
    /// Who noticed it.
    pub agent: AgentId,
    /// A few words, on one line.
    pub title: Untrusted,
    /// The whole.
    pub text: Untrusted,
    /// The issue that a person had opened for it.
    pub issue: Option<u64>,
}

impl Situation {
    /// The follow-up of that number.
    #[must_use]
    pub fn follow_up(&self, number: u32) -> Option<&FollowUp> {
        self.follow_ups.iter().find(|follow_up| follow_up.number == number)
    }

    /// What an agent noticed, by number.
    pub fn noticed_by(&self, agent: AgentId) -> impl Iterator<Item = &FollowUp> {
        self.follow_ups.iter().filter(move |follow_up| follow_up.agent == agent)
    }
}

impl Agent {
    /// Whether it is over.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        matches!(self.state, AgentState::Ended(_))
    }
}
