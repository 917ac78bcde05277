//! What parsing needs and what it gives back.

use std::fmt;

use crate::model::{
    ActorId, BranchName, DeliveryGuid, InstallationId, InvalidValue, Login, NewEvent, RepositoryId,
    RepositoryName, Timestamp,
};

/// Who Baton is on GitHub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The App's numeric id.
    pub app_id: u64,
    /// The numeric id of the App's bot account: what `sender.id` is for Baton's own doing.
    pub bot: ActorId,
    /// The App's slug: what people mention.
    pub slug: String,
    /// `BATON_NAME`: prefix of commands, labels and markers.
    pub name: String,
}

/// What the delivery's headers and its arrival tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryHeaders {
    /// `X-GitHub-Event`.
    pub event: String,
    /// `X-GitHub-Delivery`.
    pub guid: DeliveryGuid,
    /// When Baton received it; stands in where the payload has no time.
    pub received_at: Timestamp,
}

/// What one delivery tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parsed {
    /// The repository it is about, as it is now called; to be known before the events are stored.
    pub repository: Option<SeenRepository>,
    /// Repositories that an installation event lists; to be known before the events are stored.
    pub listed: Vec<ListedRepository>,
    /// The installation it came through.
    pub installation: Option<SeenInstallation>,
    /// What happened, or why nothing did.
    pub verdict: Verdict,
}

/// What happened, or why nothing did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// At least one event, in the order in which they happened.
    Events(Vec<NewEvent>),
    /// Nothing that Baton acts on.
    Ignored(IgnoreReason),
    /// The echo of something that Baton did itself.
    Own,
}

/// A repository as a payload shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenRepository {
    /// GitHub's id.
    pub id: RepositoryId,
    /// The installation that the delivery came through.
    pub installation: InstallationId,
    /// Its name now.
    pub name: RepositoryName,
    /// Its default branch now.
    pub default_branch: BranchName,
    /// Whether outsiders cannot read it.
    pub private: bool,
}

/// A repository in an installation's list; GitHub leaves the default branch out there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedRepository {
    /// GitHub's id.
    pub id: RepositoryId,
    /// The installation that lists it.
    pub installation: InstallationId,
    /// Its name.
    pub name: RepositoryName,
    /// Whether outsiders cannot read it.
    pub private: bool,
}

/// An installation as a payload shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenInstallation {
    /// GitHub's id.
    pub id: InstallationId,
    /// The account it is on.
    pub account_id: ActorId,
    /// That account's login.
    pub account_login: Login,
    /// What became of it, where the delivery is about that; most are not.
    ///
    /// The list of repositories can be incomplete in these deliveries: whoever stores a suspension
    /// or deletion has to take all repositories of the installation as removed.
    pub state: Option<InstallationState>,
}

/// What became of an installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InstallationState {
    /// Installed, or taken up again.
    Active,
    /// Suspended: its tokens do not work.
    Suspended,
    /// Gone.
    Deleted,
}

/// Why a delivery tells nothing that Baton acts on. Its `Display` is stored with the delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IgnoreReason {
    /// GitHub's greeting.
    Ping,
    /// An event that Baton does not ask for.
    NotWatched {
        /// `X-GitHub-Event`.
        event: String,
    },
    /// An action that means nothing to Baton.
    Action {
        /// The event.
        event: &'static str,
        /// The payload's `action`; none where there is none.
        action: Option<String>,
    },
    /// It did not come through an installation of the App.
    NoInstallation,
    /// A label of somebody else's.
    NotOurLabel,
    /// A one-shot label came off: Baton takes them off itself.
    OneShotLabelRemoved,
    /// Neither title nor text changed.
    NeitherTitleNorText,
    /// No command in the text, or none that was not there before the edit.
    NoCommand,
    /// Baton's comment was edited, and the edit is not the tick of one box.
    NotATick,
    /// A box was ticked in a comment by which Baton asks nothing.
    NotAsking,
    /// A program ticked the box.
    TickByBot,
    /// The ticked box names no plan.
    TickWithoutHash,
    /// The ticked box of a question has no option behind it.
    TickWithoutOption,
    /// A tag was deleted.
    NotABranch,
    /// No branch of Baton's can have such a name.
    UnusableBranchName,
    /// A push elsewhere than to the default branch.
    NotDefaultBranch,
    /// A push that leaves the policy as it is.
    PolicyUntouched,
    /// Only what is known of the repository changed.
    RepositoryRenamed,
    /// An installation event without repositories.
    NoRepositories,
}

impl fmt::Display for IgnoreReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Ping => "ping: GitHub only greets",
            Self::NotWatched { event } => {
                return write!(f, "event {:?} is not watched", short(event));
            }
            Self::Action { event, action: Some(action) } => {
                return write!(f, "{event}: action {:?} means nothing to Baton", short(action));
            }
            Self::Action { event, action: None } => return write!(f, "{event}: no action given"),
            Self::NoInstallation => "it came through no installation of the App",
            Self::NotOurLabel => "the label is not one of Baton's",
            Self::OneShotLabelRemoved => "a one-shot label came off, which asks for nothing",
            Self::NeitherTitleNorText => "neither title nor text changed",
            Self::NoCommand => "the text holds no command that is new",
            Self::NotATick => "Baton's comment was edited, but not by ticking one box alone",
            Self::NotAsking => "the ticked comment is not one by which Baton asks",
            Self::TickByBot => "a program ticked the box; only people may",
            Self::TickWithoutHash => "the ticked box names no plan",
            Self::TickWithoutOption => "the ticked box names no option",
            Self::NotABranch => "no branch was deleted, but a tag",
            Self::UnusableBranchName => "no branch of Baton's can have this name",
            Self::NotDefaultBranch => "the push is not to the default branch",
            Self::PolicyUntouched => "the push does not touch the policy",
            Self::RepositoryRenamed => "only the repository's name changed, which was noted",
            Self::NoRepositories => "the installation event lists no repository",
        };
        f.write_str(text)
    }
}

/// Words from outside, cut so that a reason stays one line.
fn short(word: &str) -> String {
    word.chars().take(40).collect()
}

/// Why a delivery cannot be read. It is marked as failed: a repetition would fail as well.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// The body is no JSON, or a field has another type than GitHub documents.
    #[error("read the body: {0}")]
    Body(String),
    /// A field is absent or null that the event cannot be understood without.
    #[error("find {0} in the body")]
    Missing(&'static str),
    /// A field holds what GitHub does not allow there.
    #[error("take {field}: {invalid}")]
    Invalid {
        /// The field's path.
        field: &'static str,
        /// What it holds.
        invalid: InvalidValue,
    },
}

impl ParseError {
    /// Says which field an invalid value came from.
    pub(super) fn invalid(field: &'static str) -> impl FnOnce(InvalidValue) -> Self {
        move |invalid| Self::Invalid { field, invalid }
    }
}
