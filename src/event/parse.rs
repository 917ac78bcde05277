//! From a delivery to a verdict: what every event has in common, then the event's own reading.

use super::{
    delivery::{Delivery, name},
    installation,
    payload::{Account, Payload, Repository},
    pull, push, thread,
    verdict::{
        DeliveryHeaders, Identity, IgnoreReason, ParseError, Parsed, SeenInstallation,
        SeenRepository, Verdict,
    },
};
use crate::model::{Actor, BranchName, InstallationId, Login, Person};

/// Reads one delivery whose signature was checked.
///
/// # Errors
/// When the body is no JSON, or lacks or garbles what the event cannot be understood without.
/// Unknown events, actions and fields are no errors.
pub fn parse(
    identity: &Identity,
    headers: &DeliveryHeaders,
    body: &[u8],
) -> Result<Parsed, ParseError> {
    let Some(kind) = Kind::of(&headers.event) else {
        let reason = IgnoreReason::NotWatched { event: headers.event.clone() };
        return Ok(Parsed::nothing(reason));
    };
    let payload: Payload =
        serde_json::from_slice(body).map_err(|error| ParseError::Body(error.to_string()))?;
    if kind == Kind::Ping {
        return Ok(Parsed::nothing(IgnoreReason::Ping));
    }
    let Some(through) = &payload.installation else {
        return Ok(Parsed::nothing(IgnoreReason::NoInstallation));
    };
    let repository = match &payload.repository {
        Some(repository) => Some(seen_repository(repository, through.id)?),
        None => None,
    };
    let actor = actor(identity, payload.sender.as_ref())?;
    let mut parsed = Parsed {
        repository,
        listed: Vec::new(),
        installation: seen_installation(&payload)?,
        verdict: Verdict::Own,
    };
    if actor != Actor::Own {
        let delivery = Delivery { identity, headers, payload: &payload, actor };
        read(kind, &delivery, &mut parsed)?;
    }
    Ok(parsed)
}

/// The events that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Ping,
    Issues,
    IssueComment,
    PullRequest,
    Review,
    ReviewComment,
    Push,
    Delete,
    Repository,
    Installation,
    InstallationRepositories,
}

impl Kind {
    fn of(event: &str) -> Option<Self> {
        Some(match event {
            "ping" => Self::Ping,
            "issues" => Self::Issues,
            "issue_comment" => Self::IssueComment,
            "pull_request" => Self::PullRequest,
            "pull_request_review" => Self::Review,
            "pull_request_review_comment" => Self::ReviewComment,
            "push" => Self::Push,
            "delete" => Self::Delete,
            "repository" => Self::Repository,
            "installation" => Self::Installation,
            "installation_repositories" => Self::InstallationRepositories,
            _ => return None,
        })
    }
}

fn read(kind: Kind, delivery: &Delivery<'_>, parsed: &mut Parsed) -> Result<(), ParseError> {
    parsed.verdict = match kind {
        Kind::Ping => Verdict::Ignored(IgnoreReason::Ping),
        Kind::Installation => installation::installation(delivery, parsed)?,
        Kind::InstallationRepositories => installation::repositories(delivery, parsed)?,
        Kind::Issues => thread::issues(delivery)?,
        Kind::IssueComment => thread::issue_comment(delivery)?,
        Kind::PullRequest => pull::pull_request(delivery)?,
        Kind::Review => thread::review(delivery)?,
        Kind::ReviewComment => thread::review_comment(delivery)?,
        Kind::Push => push::push(delivery)?,
        Kind::Delete => push::delete(delivery)?,
        Kind::Repository => installation::repository(delivery)?,
    };
    Ok(())
}

impl Parsed {
    fn nothing(reason: IgnoreReason) -> Self {
        Self {
            repository: None,
            listed: Vec::new(),
            installation: None,
            verdict: Verdict::Ignored(reason),
        }
    }
}

fn actor(identity: &Identity, sender: Option<&Account>) -> Result<Actor, ParseError> {
    let sender = sender.ok_or(ParseError::Missing("sender"))?;
    if sender.id == identity.bot {
        return Ok(Actor::Own);
    }
    let person = Person { id: sender.id, login: login(sender, "sender.login")? };
    let is_bot = sender.kind.as_deref() == Some("Bot");
    Ok(if is_bot { Actor::Bot(person) } else { Actor::Person(person) })
}

fn login(account: &Account, field: &'static str) -> Result<Login, ParseError> {
    let login = account.login.as_deref().ok_or(ParseError::Missing(field))?;
    Login::new(login).map_err(ParseError::invalid(field))
}

fn seen_repository(
    repository: &Repository,
    installation: InstallationId,
) -> Result<SeenRepository, ParseError> {
    const BRANCH: &str = "repository.default_branch";
    let branch = repository.default_branch.as_deref().ok_or(ParseError::Missing(BRANCH))?;
    Ok(SeenRepository {
        id: repository.id,
        installation,
        name: name(repository)?,
        default_branch: BranchName::new(branch).map_err(ParseError::invalid(BRANCH))?,
        // Unknown counts as private: the stricter reading.
        private: repository.private.unwrap_or(true),
    })
}

/// Most deliveries hold the installation's id alone; its account is the repository's owner then.
fn seen_installation(payload: &Payload) -> Result<Option<SeenInstallation>, ParseError> {
    let Some(installation) = &payload.installation else { return Ok(None) };
    let owner = payload.repository.as_ref().and_then(|repository| repository.owner.as_ref());
    let Some(account) = installation.account.as_ref().or(owner) else { return Ok(None) };
    Ok(Some(SeenInstallation {
        id: installation.id,
        account_id: account.id,
        account_login: login(account, "installation.account.login")?,
        state: None,
    }))
}

#[cfg(test)]
mod tests;
