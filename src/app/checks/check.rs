//! What one look gives.

use std::fmt::Display;

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What, in a word or two.
    pub name: &'static str,
    /// What was seen.
    pub seen: String,
    /// Whether that is well.
    pub verdict: Verdict,
}

/// Whether what was seen is well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is.
    Holds,
    /// It is not.
    Fails {
        /// What to do: a command or a setting.
        remedy: String,
    },
    /// Nobody can tell before something else is well.
    Skipped,
}

impl Check {
    pub(super) fn holds(name: &'static str, seen: impl Display) -> Self {
        Self { name, seen: seen.to_string(), verdict: Verdict::Holds }
    }

    pub(super) fn fails(name: &'static str, seen: impl Display, remedy: impl Display) -> Self {
        let verdict = Verdict::Fails { remedy: remedy.to_string() };
        Self { name, seen: seen.to_string(), verdict }
    }

    pub(super) fn skipped(name: &'static str, seen: impl Display) -> Self {
        Self { name, seen: seen.to_string(), verdict: Verdict::Skipped }
    }
}
