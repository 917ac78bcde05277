//! What agents play.

use serde::{Deserialize, Serialize};

/// What an agent plays: a stage of a task, a part of its plan, or a request given on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Plans.
    Starter,
    /// Writes the change.
    Coding,
    /// Reads the change.
    Reviewer,
    /// Judges whether to deploy and what to watch.
    Deployer,
    /// Judges the deployed program by evidence.
    Verifier,
    /// Looks over the repository.
    Auditor,
    /// Does what a request says.
    Generic,
    /// Changes how code is written and not what it does.
    Refactor,
    /// Writes tests for what is there.
    #[serde(alias = "test-generation")]
    TestGeneration,
    /// Answers a question about the repository.
    Analysis,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 10] = [
        Self::Starter,
        Self::Coding,
        Self::Reviewer,
        Self::Deployer,
        Self::Verifier,
        Self::Auditor,
        Self::Generic,
        Self::Refactor,
        Self::TestGeneration,
        Self::Analysis,
    ];

    /// Those that carry out what they are asked for: a request of the command line, or steps of a plan.
    pub const REQUESTED: [Self; 4] =
        [Self::Generic, Self::Refactor, Self::TestGeneration, Self::Analysis];

    /// The name of the role's file in `prompts/` and in policy.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Starter => "starter",
            Self::Coding => "coding",
            Self::Reviewer => "reviewer",
            Self::Deployer => "deployer",
            Self::Verifier => "verifier",
            Self::Auditor => "auditor",
            Self::Generic => "generic",
            Self::Refactor => "refactor",
            Self::TestGeneration => "test-generation",
            Self::Analysis => "analysis",
        }
    }

    /// The verb that people see for what the role does, and that its prompt begins with.
    #[must_use]
    pub fn verb(self) -> &'static str {
        match self {
            Self::Starter => "plan",
            Self::Coding => "code",
            Self::Reviewer => "review",
            Self::Deployer => "deploy",
            Self::Verifier => "verify",
            Self::Auditor => "audit",
            Self::Generic => "work",
            Self::Refactor => "refactor",
            Self::TestGeneration => "test",
            Self::Analysis => "analyse",
        }
    }

    /// Whether the role changes files; the others only read.
    #[must_use]
    pub fn writes(self) -> bool {
        match self {
            Self::Coding | Self::Generic | Self::Refactor | Self::TestGeneration => true,
            Self::Starter
            | Self::Reviewer
            | Self::Deployer
            | Self::Verifier
            | Self::Auditor
            | Self::Analysis => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_role_is_read_by_the_name_that_people_write() {
        for role in Role::ALL {
            assert_eq!(serde_json::from_value::<Role>(role.name().into()).unwrap(), role);
        }
    }
}
