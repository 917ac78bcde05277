//! What people let happen, and what they are shown for it.

use serde::{Deserialize, Serialize};

use super::{Permission, Person, PlanHash, Sha, Situation, Timestamp, Untrusted};

/// Somebody opened a gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// What exactly they approved.
    pub of: Approved,
    /// Who.
    pub actor: Person,
    /// What they were allowed, at that moment.
    pub permission: Permission,
    /// When.
    pub at: Timestamp,
}

/// What an approval is bound to: any change of it, and the approval says nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "gate", content = "of", rename_all = "snake_case")]
pub enum Approved {
    /// This plan may be carried out.
    Plan(PlanHash),
    /// This commit may be pushed.
    Push(Sha),
}

/// What a commit changes, as it is shown to who has to let it out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// The commit that it is compared with.
    pub from: Sha,
    /// The commit.
    pub head: Sha,
    /// Each file with the lines that came and went.
    pub files: Vec<(String, usize, usize)>,
    /// The difference as unified text, secrets taken out; its beginning, where it is long.
    pub text: Untrusted,
    /// Whether there is more.
    pub cut: bool,
}

impl Situation {
    /// The approval of the newest plan, if somebody gave it.
    #[must_use]
    pub fn approval(&self) -> Option<&Approval> {
        let plan = self.plan()?;
        let of = Approved::Plan(plan.hash.clone());
        self.approvals.iter().find(|approval| approval.of == of)
    }

    /// The approval to push this very commit, if somebody gave it.
    #[must_use]
    pub fn push_approval(&self, head: &Sha) -> Option<&Approval> {
        let of = Approved::Push(head.clone());
        self.approvals.iter().find(|approval| approval.of == of)
    }
}
