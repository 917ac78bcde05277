//! Identifiers, each a type of its own so that none can stand for another.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! number_id {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

number_id! {
    /// Baton's row id of an event.
    EventId;
    /// Baton's row id of a task.
    TaskId;
    /// Baton's row id of a stage.
    StageId;
    /// Baton's row id of an agent.
    AgentId;
    /// Baton's row id of a report.
    ReportId;
    /// Baton's row id of an act in the ledger.
    LedgerId;
    /// Baton's row id of a job.
    JobId;
    /// Baton's row id of a run of a repository's commands.
    CommandRunId;
    /// Baton's row id of a question.
    QuestionId;
    /// Baton's row id of a deployment.
    DeploymentId;
    /// GitHub's id of a repository.
    RepositoryId;
    /// GitHub's id of an installation of the App.
    InstallationId;
    /// GitHub's id of a user, an organisation or a bot.
    ActorId;
    /// GitHub's id of an issue comment.
    CommentId;
    /// GitHub's id of a check run.
    CheckRunId;
}

macro_rules! uuid_id {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

uuid_id! {
    /// GitHub's `X-GitHub-Delivery`.
    DeliveryGuid;
    /// A provider's session, chosen by Baton so that a crash cannot start two.
    SessionId;
    /// The fencing token of one lease.
    LeaseToken;
}

/// Namespace of the session ids that [`SessionId::of_agent`] makes.
const SESSIONS: Uuid = Uuid::from_u128(0x6f1d_5c0e_9f0b_4e0a_8c37_5b1f_2d6a_9e41);

impl SessionId {
    /// Derives the session of an agent that starts afresh: the same agent always has the same one.
    ///
    /// `salt` keeps two databases on one machine apart.
    #[must_use]
    pub fn of_agent(salt: Uuid, agent: AgentId) -> Self {
        let mut name = salt.as_bytes().to_vec();
        name.extend_from_slice(&agent.0.to_be_bytes());
        Self(Uuid::new_v5(&SESSIONS, &name))
    }
}

/// Says why a text is no valid value of a validating type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{value:?} is no {expected}")]
pub struct InvalidValue {
    /// What was given, cut to 80 characters.
    pub value: String,
    /// What would have been valid.
    pub expected: &'static str,
}

macro_rules! text_id {
    ($($(#[$doc:meta])* $name:ident, $expected:literal, $valid:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Checks the text and wraps it.
            ///
            /// # Errors
            /// When the text is not of the form that the type's description gives.
            pub fn new(text: impl Into<String>) -> Result<Self, InvalidValue> {
                let text = text.into();
                let valid: fn(&str) -> bool = $valid;
                if valid(&text) {
                    Ok(Self(text))
                } else {
                    let value = text.chars().take(80).collect();
                    Err(InvalidValue { value, expected: $expected })
                }
            }

            /// The text itself.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidValue;
            fn try_from(text: String) -> Result<Self, InvalidValue> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

fn is_hex(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// GitHub's rule for owner and repository names, without the two names that mean folders.
fn is_name(text: &str) -> bool {
    !matches!(text, "" | "." | "..")
        && text.len() <= 100
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

/// A safe part of `git check-ref-format`'s rules: what passes here is a valid branch everywhere.
fn is_branch(text: &str) -> bool {
    let parts_valid = text.split('/').all(|part| {
        !part.is_empty()
            && !part.starts_with(['.', '-'])
            && !part.ends_with(".lock")
            && !part.ends_with('.')
    });
    parts_valid
        && text.len() <= 200
        && !text.contains("..")
        && !text.contains("@{")
        && text != "@"
        && text.chars().all(|c| !c.is_control() && !" ~^:?*[\\\u{7f}".contains(c))
}

text_id! {
    /// A git object id: 40 lower-case hexadecimal digits.
    Sha, "commit id of 40 hexadecimal digits", |text| text.len() == 40 && is_hex(text);
    /// The hash that an approval is bound to: 64 lower-case hexadecimal digits.
    PlanHash, "plan hash of 64 hexadecimal digits", |text| text.len() == 64 && is_hex(text);
    /// The hash of the issue text and comments that agents get: 64 lower-case hexadecimal digits.
    InputHash, "input hash of 64 hexadecimal digits", |text| text.len() == 64 && is_hex(text);
    /// A branch, without `refs/heads/`.
    BranchName, "branch name", is_branch;
    /// A deployment environment's name.
    Environment, "environment name of letters, digits, '-', '_' and '.'", is_name;
    /// The login of a GitHub account, `[bot]` suffix included.
    Login, "login", |text| is_name(text.strip_suffix("[bot]").unwrap_or(text));
}

impl Sha {
    /// The first seven digits, as people read them.
    #[must_use]
    pub fn short(&self) -> &str {
        &self.0[..7]
    }

    /// The first twelve digits: what an approval has to name, as fewer could be met by a commit that was
    /// made for it.
    #[must_use]
    pub fn named(&self) -> &str {
        &self.0[..12]
    }
}

impl PlanHash {
    /// The first six digits, as people type them.
    #[must_use]
    pub fn short(&self) -> &str {
        &self.0[..6]
    }
}

/// `owner/name` of a repository.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RepositoryName {
    owner: String,
    name: String,
}

impl RepositoryName {
    /// Checks and joins the two parts.
    ///
    /// # Errors
    /// When a part holds anything but letters, digits, `-`, `_` and `.`.
    pub fn new(owner: &str, name: &str) -> Result<Self, InvalidValue> {
        if is_name(owner) && is_name(name) {
            return Ok(Self { owner: owner.to_owned(), name: name.to_owned() });
        }
        let value = format!("{owner}/{name}").chars().take(80).collect();
        Err(InvalidValue { value, expected: "repository name owner/name" })
    }

    /// The account that the repository belongs to.
    #[must_use]
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// The repository's own name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl TryFrom<String> for RepositoryName {
    type Error = InvalidValue;
    fn try_from(text: String) -> Result<Self, InvalidValue> {
        let (owner, name) = text.split_once('/').unwrap_or((&text, ""));
        Self::new(owner, name)
    }
}

impl From<RepositoryName> for String {
    fn from(value: RepositoryName) -> Self {
        value.to_string()
    }
}

impl fmt::Display for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_branch_that_could_be_a_flag_or_leave_its_folder_is_refused() {
        for bad in ["", "-x", "a/../b", "a b", "a/.b", "x.lock", "a//b", "@", "a\nb", "a:b", "/a"] {
            assert!(BranchName::new(bad).is_err(), "{bad:?} was taken");
        }
        assert!(BranchName::new("baton/17-open-range").is_ok());
    }

    #[test]
    fn a_repository_name_cannot_climb() {
        assert!(RepositoryName::new("..", "x").is_err());
        assert!(RepositoryName::try_from("a/b/c".to_owned()).is_err());
        assert_eq!(
            RepositoryName::try_from("a/b".to_owned()).map(String::from).as_deref(),
            Ok("a/b")
        );
    }

    #[test]
    fn sessions_differ_by_agent_and_by_database() {
        let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
        assert_eq!(SessionId::of_agent(one, AgentId(7)), SessionId::of_agent(one, AgentId(7)));
        assert_ne!(SessionId::of_agent(one, AgentId(7)), SessionId::of_agent(one, AgentId(8)));
        assert_ne!(SessionId::of_agent(one, AgentId(7)), SessionId::of_agent(two, AgentId(7)));
    }
}
