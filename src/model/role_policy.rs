//! What policy says of one role: by which program it is played, and within which limits.

use serde::{Deserialize, Serialize};

use super::Micros;

/// What one role is played with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolePolicy {
    /// `claude`, `codex` or `command`.
    pub provider: Option<String>,
    /// The model's name, as the provider knows it.
    pub model: Option<String>,
    /// Minutes in all.
    pub minutes: Option<u32>,
    /// Models that its agents may ask; empty means the one above alone.
    #[serde(default)]
    pub models: Vec<String>,
    /// Money for one agent.
    #[serde(default)]
    pub budget: Option<Micros>,
    /// How hard the model thinks; none means as the program has it.
    #[serde(default)]
    pub effort: Option<Effort>,
    /// The tools that are left of those that the role's prompt lists; none means all of them.
    #[serde(default)]
    pub tools: Option<Vec<ProgramTool>>,
    /// Turns of the model that one agent may take, where the role's prompt allows as many.
    #[serde(default)]
    pub max_turns: Option<u32>,
    /// Requests to a model that one agent may make, where the server allows as many.
    #[serde(default)]
    pub requests: Option<u32>,
    /// Whether its agents ask for the web tools that the server names.
    #[serde(default)]
    pub web: bool,
}

impl RolePolicy {
    /// What is left of the tools that a role's prompt lists: policy takes away, it never gives.
    #[must_use]
    pub fn left_of(&self, listed: &[String]) -> Vec<String> {
        let left = |tool: &&String| match &self.tools {
            Some(left) => left.iter().any(|named| named.name() == *tool),
            None => true,
        };
        listed.iter().filter(left).cloned().collect()
    }

    /// The turns that an agent may take, given what the role's prompt allows.
    #[must_use]
    pub fn turns_within(&self, most: u32) -> u32 {
        self.max_turns.map_or(most, |turns| turns.min(most))
    }

    /// The requests that an agent may make, given what the server allows.
    #[must_use]
    pub fn requests_within(&self, most: u32) -> u32 {
        self.requests.map_or(most, |requests| requests.min(most))
    }

    /// Whether agents of a task may use what the server names of the web. Words of somebody who may not push
    /// could talk an agent into putting what it reads into a search: with them there is no web.
    #[must_use]
    pub fn may_use_web(&self, words_of_outsiders: bool) -> bool {
        self.web && !words_of_outsiders
    }
}

/// How hard a model thinks before it answers, in steps that every program takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effort {
    /// Little.
    Low,
    /// In between.
    Medium,
    /// Much.
    High,
}

impl Effort {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Low, Self::Medium, Self::High];

    /// The name in policy and for the programs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// A tool of an agent's program that policy can take away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProgramTool {
    /// Reads a file.
    Read,
    /// Searches in files.
    Grep,
    /// Finds files by name.
    Glob,
    /// Changes a file.
    Edit,
    /// Writes a whole file.
    Write,
    /// Runs commands.
    Bash,
}

impl ProgramTool {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Read, Self::Grep, Self::Glob, Self::Edit, Self::Write, Self::Bash];

    /// The name in policy and in a role's prompt: Claude Code's.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "Read",
            Self::Grep => "Grep",
            Self::Glob => "Glob",
            Self::Edit => "Edit",
            Self::Write => "Write",
            Self::Bash => "Bash",
        }
    }

    /// Whether it can change something, so that roles that read have no use for it.
    #[must_use]
    pub fn changes(self) -> bool {
        match self {
            Self::Edit | Self::Write | Self::Bash => true,
            Self::Read | Self::Grep | Self::Glob => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policy_takes_tools_away_and_gives_none() {
        let listed = ["Read", "Grep", "Edit"].map(str::to_owned);
        let left = |tools: Option<&[ProgramTool]>| {
            let tools = tools.map(<[ProgramTool]>::to_vec);
            RolePolicy { tools, ..RolePolicy::default() }.left_of(&listed)
        };
        assert_eq!(left(None), listed);
        assert_eq!(left(Some(&[ProgramTool::Bash, ProgramTool::Read])), ["Read"]);
        assert!(left(Some(&[])).is_empty());
    }

    #[test]
    fn limits_are_lowered_and_never_raised() {
        let policy = |n| RolePolicy { max_turns: n, requests: n, ..RolePolicy::default() };
        for (named, most, expected) in [(None, 10, 10), (Some(5), 10, 5), (Some(50), 10, 10)] {
            assert_eq!(policy(named).turns_within(most), expected);
            assert_eq!(policy(named).requests_within(most), expected);
        }
    }

    #[test]
    fn the_web_is_for_who_asks_for_it_and_never_beside_words_of_outsiders() {
        for (web, outsiders, may) in
            [(true, false, true), (true, true, false), (false, false, false), (false, true, false)]
        {
            let policy = RolePolicy { web, ..RolePolicy::default() };
            assert_eq!(policy.may_use_web(outsiders), may, "{web} {outsiders}");
        }
    }
}
