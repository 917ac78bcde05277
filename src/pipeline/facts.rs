//! Asks GitHub what a decision rests on. No transaction is open meanwhile.

use super::{Failure, Parts};
use crate::{
    github::{GitHubError, Repo},
    model::{
        Actor, Event, Facts, InputComment, IssueFacts, Login, Permission, Repository, Task,
        TaskInput,
    },
    workflow::{Fact, facts_needed},
};

/// Asks everything that `facts_needed` names.
pub(super) async fn ask(
    parts: &Parts,
    repository: &Repository,
    event: &Event,
    task: Option<&Task>,
) -> Result<Facts, Failure> {
    let repo = parts.github.repository(repository);
    let mut facts = Facts::default();
    for fact in facts_needed(event, task) {
        match fact {
            Fact::Permission => facts.permission = permission(&repo, &event.actor).await?,
            Fact::Issue(number) => facts.issue = issue(&repo, number).await?,
            Fact::Pull(number) => facts.pull = known(repo.pull(number).await)?,
            Fact::DefaultHead => {
                facts.default_head =
                    known(repo.branch_head(&repository.default_branch).await)?.flatten();
            }
        }
    }
    Ok(facts)
}

/// What is not there, or not for Baton to see, is no fact.
pub(super) fn known<T>(answer: Result<T, GitHubError>) -> Result<Option<T>, Failure> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(
            GitHubError::NotFound { .. } | GitHubError::Gone { .. } | GitHubError::Forbidden { .. },
        ) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

async fn permission(repo: &Repo, actor: &Actor) -> Result<Option<Permission>, Failure> {
    match actor.account() {
        Some(person) => known(repo.permission(&person.login).await),
        None => Ok(None),
    }
}

/// The issue with the words that agents may get: its own text, and comments by people with triage or
/// more. Baton's own comments and commands are left out.
async fn issue(repo: &Repo, number: u64) -> Result<Option<IssueFacts>, Failure> {
    let Some(issue) = known(repo.issue(number).await)? else { return Ok(None) };
    let mut trusted: Vec<(Login, bool)> = Vec::new();
    let mut comments = Vec::new();
    for comment in repo.comments(number).await? {
        if comment.author_is_own || is_command(&comment.body.0) {
            continue;
        }
        let login = &comment.author.login;
        let known_one = trusted.iter().find(|(known, _)| known == login).map(|(_, may)| *may);
        let may = match known_one {
            Some(may) => may,
            None => {
                let has = known(repo.permission(login).await)?;
                let may = has.is_some_and(|has| has >= Permission::Triage);
                trusted.push((login.clone(), may));
                may
            }
        };
        if may {
            comments.push(InputComment { author: login.to_string(), body: comment.body });
        }
    }
    let input = TaskInput {
        title: issue.title,
        body: issue.body,
        author: issue.author.login.to_string(),
        comments,
    };
    Ok(Some(IssueFacts { open: issue.open, labels: issue.labels, input, is_pull: issue.is_pull }))
}

/// Words for Baton are no words for its agents.
fn is_command(body: &str) -> bool {
    body.trim_start().starts_with('/')
}
