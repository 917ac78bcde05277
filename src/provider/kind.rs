//! The closed set of providers.

use super::claude::Claude;
use super::codex::Codex;
use super::command::CommandProvider;
use super::{Launch, Provider};

/// Which program an agent is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProviderKind {
    /// Claude Code.
    Claude,
    /// Codex.
    Codex,
    /// A program that speaks Baton's line protocol.
    Command,
}

impl ProviderKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Claude, Self::Codex, Self::Command];

    /// The name in policy and configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Claude => "claude",
            Self::Codex => "codex",
            Self::Command => "command",
        }
    }

    /// The version that the parser was measured with; none where the protocol is Baton's own.
    #[must_use]
    pub fn pinned_version(self) -> Option<&'static str> {
        match self {
            Self::Claude => Some("2.1.329"),
            Self::Codex => Some("0.169.0"),
            Self::Command => None,
        }
    }

    /// Whether the program can be held to some of its tools; one that does all it does in a shell cannot.
    #[must_use]
    pub fn keeps_to_tools(self) -> bool {
        match self {
            Self::Claude | Self::Command => true,
            Self::Codex => false,
        }
    }

    /// Begins one agent.
    #[must_use]
    pub fn begin(self, task: Launch) -> Box<dyn Provider> {
        match self {
            Self::Claude => Box::new(Claude::new(task)),
            Self::Codex => Box::new(Codex::new(task)),
            Self::Command => Box::new(CommandProvider::new(task)),
        }
    }
}

/// The provider of that name.
#[must_use]
pub fn by_name(name: &str) -> Option<ProviderKind> {
    ProviderKind::ALL.into_iter().find(|kind| kind.name() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_provider_is_found_by_its_name() {
        for kind in ProviderKind::ALL {
            assert_eq!(by_name(kind.name()), Some(kind));
        }
        assert_eq!(by_name("Claude"), None);
    }
}
