//! What a repository's maintainers and the server's operator allow. `workflow::policy` reads it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{ActorId, Environment, Micros, Role};

/// How far Baton goes alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Until {
    /// Plans issues, and nothing else.
    Plan,
    /// Plans issues and reviews people's pull requests; writes no code.
    Review,
    /// Writes the change, opens the pull request, reviews and fixes it; ends with the merge.
    Pr,
    /// The same, then deploys and verifies.
    Deploy,
}

/// Who merges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MergePolicy {
    /// A person, always.
    Person,
}

/// `.github/baton.yml`, with every default filled in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// How far.
    pub until: Until,
    /// Whether a plan needs somebody's approval.
    pub approve_plan: bool,
    /// Who merges.
    pub merge: MergePolicy,
    /// Evidence that a change works: shell commands that Baton runs in the sandbox.
    pub test: Vec<String>,
    /// How it is deployed, if at all.
    pub deploy: Option<DeployPolicy>,
    /// Evidence that the deployed program works: shell commands that Baton runs with network.
    pub verify: Vec<String>,
    /// Globs of paths that no agent may change.
    pub protected: Vec<String>,
    /// What each role is played with, where it differs from the server's default.
    pub roles: BTreeMap<Role, RolePolicy>,
    /// Money for one task; the server's limit is the ceiling.
    pub budget: Micros,
    /// How often a change may go back to the coder.
    pub max_rounds: u32,
    /// Bots that may start work, by numeric id.
    pub bots: Vec<ActorId>,
}

/// How a repository is deployed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeployPolicy {
    /// Where to; the server grants secrets per repository and environment.
    pub environment: Environment,
    /// Shell commands, run from the merged commit.
    pub commands: Vec<String>,
}

/// What one role is played with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolePolicy {
    /// `claude`, `codex` or `command`.
    pub provider: Option<String>,
    /// The model's name, as the provider knows it.
    pub model: Option<String>,
    /// Minutes in all.
    pub minutes: Option<u32>,
}

/// The model of a provider that none is named for.
#[must_use]
pub fn usual_model(provider: &str) -> &'static str {
    match provider {
        "codex" => "gpt-5.5",
        _ => "claude-sonnet-4-5",
    }
}

/// What no repository can raise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Money for one task.
    pub task: Micros,
    /// Money for one repository and day.
    pub repository_day: Micros,
    /// Money for the server and day.
    pub server_day: Micros,
    /// Agents at once.
    pub agents: u32,
    /// Agents at once in one repository.
    pub repository_agents: u32,
    /// Open pull requests in one repository.
    pub open_pulls: u32,
    /// Accounts served, by login; empty means the App owner's only.
    pub accounts: Vec<String>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            until: Until::Pr,
            approve_plan: true,
            merge: MergePolicy::Person,
            test: Vec::new(),
            deploy: None,
            verify: Vec::new(),
            protected: vec![".github/**".to_owned()],
            roles: BTreeMap::new(),
            budget: Micros(5_000_000),
            max_rounds: 3,
            bots: Vec::new(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            task: Micros(5_000_000),
            repository_day: Micros(25_000_000),
            server_day: Micros(100_000_000),
            agents: 2,
            repository_agents: 2,
            open_pulls: 5,
            accounts: Vec::new(),
        }
    }
}
