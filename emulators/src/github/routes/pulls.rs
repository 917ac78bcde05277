//! Pull requests: list, read, open, change, merge, and what they change.

use serde_json::{Value, json};

use super::super::answer::{Answer, Handled, Refusal};
use super::super::auth::Caller;
use super::super::auth::Level::{Read, Write};
use super::super::git;
use super::super::json::merge;
use super::super::merge::MergeOrder;
use super::super::model::Issue;
use super::super::pulls::NewPull;
use super::{Call, number};

pub(super) fn route(call: &mut Call<'_>, method: &str, segments: &[&str]) -> Option<Handled> {
    let ["repos", owner, name, "pulls", rest @ ..] = segments else { return None };
    let repository = (*owner, *name);
    Some(match (method, rest) {
        ("GET", []) => list(call, repository),
        ("POST", []) => open(call, repository),
        ("GET", [pull]) if *pull != "comments" => get(call, repository, pull),
        ("PATCH", [pull]) => update(call, repository, pull),
        ("GET", [pull, "files"]) => files(call, repository, pull),
        ("GET", [pull, "commits"]) => commits(call, repository, pull),
        ("GET", [pull, "merge"]) => is_merged(call, repository, pull),
        ("PUT", [pull, "merge"]) => merge_it(call, repository, pull),
        ("POST", [pull, "requested_reviewers"]) => request_reviewers(call, repository, pull),
        _ => return None,
    })
}

fn list(call: &Call<'_>, repository: (&str, &str)) -> Handled {
    let id = call.reach(repository, &["pull_requests"], Read)?;
    let repository = call.state.repository(id)?;
    let state = call.parameter("state").unwrap_or("open");
    let mut wanted: Vec<&Issue> = repository
        .issues
        .values()
        .filter(|issue| state == "all" || state == issue.state())
        .filter(|issue| {
            issue.pull.as_ref().is_some_and(|pull| {
                let from = call.state.repositories.get(&pull.head_repository);
                let owner = from.map_or("", |from| call.state.login(from.owner));
                let head = format!("{owner}:{}", pull.head_branch);
                call.parameter("head").is_none_or(|asked| asked.eq_ignore_ascii_case(&head))
                    && call.parameter("base").is_none_or(|asked| asked == pull.base_branch)
            })
        })
        .collect();
    let ascending = call.parameter("direction") == Some("asc");
    if !ascending {
        wanted.reverse();
    }
    let shapes = wanted.iter().map(|issue| call.state.pull_json(repository, issue));
    Ok(call.page(shapes.collect()))
}

fn shown(call: &mut Call<'_>, id: u64, number: u64) -> Result<Value, Refusal> {
    let mergeable = call.state.ask_mergeable(id, number)?;
    let commits = call.state.pull_commits(id, number)?.len();
    let files = call.state.pull_files(id, number)?;
    let repository = call.state.repository(id)?;
    let issue = call.state.issue(id, number)?;
    let mut shape = call.state.pull_json(repository, issue);
    merge(&mut shape, call.state.pull_details(issue, mergeable, commits, &files));
    Ok(shape)
}

fn open(call: &mut Call<'_>, repository: (&str, &str)) -> Handled {
    let id = call.reach(repository, &["pull_requests"], Write)?;
    let title = call.required("PullRequest", "title")?;
    let head = call.required("PullRequest", "head")?;
    let base = call.required("PullRequest", "base")?;
    let body = call.text("body")?.unwrap_or_default();
    let draft = call.body["draft"].as_bool().unwrap_or(false);
    let from = call.state.pull_head(id, &head, call.text("head_repo")?.as_deref())?;
    check_fork(call, id, from.repository)?;
    let new = NewPull { head: &from, base: &base, title: &title, body: &body, draft };
    let number = call.state.open_pull(id, call.bot(), &new)?;
    Ok(Answer::created(shown(call, id, number)?))
}

/// A private fork has to be in the token's reach; and who may not push to a fork cannot let maintainers
/// push there, which they may unless it is denied.
fn check_fork(call: &Call<'_>, id: u64, from: u64) -> Result<(), Refusal> {
    let reached = match &call.caller {
        Caller::Installation(token) => call.state.token_repositories(token).contains(&from),
        Caller::App | Caller::Anonymous => false,
    };
    if from == id || reached {
        return Ok(());
    }
    if call.state.repository(from)?.private {
        return Err(Refusal::field("PullRequest", "head", "invalid"));
    }
    if call.body["maintainer_can_modify"].as_bool() != Some(false) {
        let message = "Fork collab can't be granted by someone without permission";
        return Err(Refusal::custom("PullRequest", "fork_collab", message));
    }
    Ok(())
}

fn get(call: &mut Call<'_>, repository: (&str, &str), pull: &str) -> Handled {
    let id = call.reach(repository, &["pull_requests"], Read)?;
    Ok(Answer::ok(shown(call, id, number(pull)?)?))
}

fn update(call: &mut Call<'_>, repository: (&str, &str), pull: &str) -> Handled {
    let id = call.reach(repository, &["pull_requests"], Write)?;
    let number = number(pull)?;
    call.state.pull(id, number)?;
    let bot = call.bot();
    let (title, body) = (call.text("title")?, call.text("body")?);
    call.state.edit_issue(id, number, bot, title.as_deref(), body.as_deref())?;
    if let Some(base) = call.text("base")? {
        call.state.set_base(id, number, bot, &base)?;
    }
    match call.text("state")?.as_deref() {
        Some("closed") => call.state.close(id, number, bot, "completed")?,
        Some("open") => call.state.reopen(id, number, bot)?,
        Some(_) => return Err(Refusal::field("PullRequest", "state", "invalid")),
        None => {}
    }
    Ok(Answer::ok(shown(call, id, number)?))
}

fn files(call: &Call<'_>, repository: (&str, &str), pull: &str) -> Handled {
    let id = call.reach(repository, &["pull_requests"], Read)?;
    let number = number(pull)?;
    let files = call.state.pull_files(id, number)?;
    let sha = &call.state.pull(id, number)?.head_sha;
    let repository = call.state.repository(id)?;
    let shapes = files.iter().map(|file| call.state.file_json(repository, sha, file));
    Ok(call.page(shapes.collect()))
}

fn commits(call: &Call<'_>, repository: (&str, &str), pull: &str) -> Handled {
    let id = call.reach(repository, &["pull_requests"], Read)?;
    let shas = call.state.pull_commits(id, number(pull)?)?;
    let repository = call.state.repository(id)?;
    let mut shapes = Vec::new();
    for sha in shas {
        let commit = git::commit(&repository.path, &sha)?;
        shapes.push(call.state.commit_json(repository, &commit));
    }
    Ok(call.page(shapes))
}

fn is_merged(call: &Call<'_>, repository: (&str, &str), pull: &str) -> Handled {
    let id = call.reach(repository, &["pull_requests"], Read)?;
    match call.state.pull(id, number(pull)?)?.merged {
        Some(_) => Ok(Answer::nothing()),
        None => Err(Refusal::not_found()),
    }
}

/// Merging writes contents: that is the permission it needs.
fn merge_it(call: &mut Call<'_>, repository: (&str, &str), pull: &str) -> Handled {
    let id = call.reach(repository, &["contents"], Write)?;
    let number = number(pull)?;
    let (sha, method) = (call.text("sha")?, call.text("merge_method")?);
    let (title, message) = (call.text("commit_title")?, call.text("commit_message")?);
    let order = MergeOrder {
        sha: sha.as_deref(),
        method: method.as_deref(),
        title: title.as_deref(),
        message: message.as_deref(),
    };
    let sha = call.state.merge(id, number, call.bot(), &order)?;
    let message = "Pull Request successfully merged";
    Ok(Answer::ok(json!({ "sha": sha, "merged": true, "message": message })))
}

fn request_reviewers(call: &mut Call<'_>, repository: (&str, &str), pull: &str) -> Handled {
    let id = call.reach(repository, &["pull_requests"], Write)?;
    let number = number(pull)?;
    let reviewers = call.body["reviewers"].as_array().cloned().unwrap_or_default();
    for login in reviewers.iter().filter_map(Value::as_str) {
        let account = call.state.account(login).map(|account| account.id);
        let message = "Reviews may only be requested from collaborators.";
        let account = account.ok_or_else(|| Refusal::new(422, message))?;
        let role = call.state.role(call.state.repository(id)?, account);
        role.ok_or_else(|| Refusal::new(422, message))?;
        call.state.request_review(id, number, call.bot(), account)?;
    }
    let shape = call.state.pull_json(call.state.repository(id)?, call.state.issue(id, number)?);
    Ok(Answer::created(shape))
}
