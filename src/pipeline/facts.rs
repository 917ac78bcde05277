//! Asks GitHub what a decision rests on. No transaction is open meanwhile.

use super::{Failure, Parts};
use crate::{
    github::{GitHubError, Repo},
    model::{
        Actor, Event, Facts, InputComment, IssueFacts, Permission, Repository, Task, TaskInput,
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
/// more. Baton's own comments and commands are left out. Who of their writers has no write access now is
/// kept with the words.
async fn issue(repo: &Repo, number: u64) -> Result<Option<IssueFacts>, Failure> {
    let Some(issue) = known(repo.issue(number).await)? else { return Ok(None) };
    let author = issue.author.login;
    let mut asked = vec![(author.clone(), known(repo.permission(&author).await)?)];
    let mut outsiders = Vec::new();
    let mut comments = Vec::new();
    if !may_push(asked[0].1) {
        outsiders.push(author.to_string());
    }
    for comment in repo.comments(number).await? {
        if comment.author_is_own || is_command(&comment.body.0) {
            continue;
        }
        let login = &comment.author.login;
        let known_one = asked.iter().find(|(known, _)| known == login).map(|(_, has)| *has);
        let has = match known_one {
            Some(has) => has,
            None => {
                let has = known(repo.permission(login).await)?;
                asked.push((login.clone(), has));
                has
            }
        };
        if has.is_some_and(|has| has >= Permission::Triage) {
            if !may_push(has) && !outsiders.contains(&login.to_string()) {
                outsiders.push(login.to_string());
            }
            comments.push(InputComment { author: login.to_string(), body: comment.body });
        }
    }
    let input = TaskInput {
        title: issue.title,
        body: issue.body,
        author: author.to_string(),
        comments,
        outsiders,
    };
    Ok(Some(IssueFacts { open: issue.open, labels: issue.labels, input, is_pull: issue.is_pull }))
}

/// Whether what they write may reach a branch without being looked at.
fn may_push(has: Option<Permission>) -> bool {
    has.is_some_and(|has| has >= Permission::Write)
}

/// Words for Baton are no words for its agents.
fn is_command(body: &str) -> bool {
    body.trim_start().starts_with('/')
}
