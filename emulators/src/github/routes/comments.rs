//! Conversation comments and reactions.

use serde_json::Value;

use super::super::answer::{Answer, Handled, Refusal};
use super::super::auth::Level::{self, Read, Write};
use super::super::model::Comment;
use super::super::reactions::Target;
use super::issues::reach_thread;
use super::{Call, number};

pub(super) fn route(call: &mut Call<'_>, method: &str, segments: &[&str]) -> Option<Handled> {
    let ["repos", owner, name, kind @ ("issues" | "pulls"), rest @ ..] = segments else {
        return None;
    };
    let repository = (*owner, *name);
    Some(match (*kind, method, rest) {
        ("issues", "GET", ["comments"]) => list_all(call, repository),
        ("issues", "GET", [issue, "comments"]) => list(call, repository, issue),
        ("issues", "POST", [issue, "comments"]) => create(call, repository, issue),
        ("issues", "GET", ["comments", id]) => get(call, repository, id),
        ("issues", "PATCH", ["comments", id]) => update(call, repository, id),
        ("issues", "DELETE", ["comments", id]) => delete(call, repository, id),
        (_, _, ["comments", id, "reactions", rest @ ..]) => {
            let id = match number(id) {
                Ok(id) => id,
                Err(refusal) => return Some(Err(refusal)),
            };
            let target =
                if *kind == "issues" { Target::Comment(id) } else { Target::ReviewComment(id) };
            return reactions(call, repository, target, method, rest);
        }
        ("issues", _, [issue, "reactions", rest @ ..]) => {
            let target = match number(issue) {
                Ok(number) => Target::Issue(number),
                Err(refusal) => return Some(Err(refusal)),
            };
            return reactions(call, repository, target, method, rest);
        }
        _ => return None,
    })
}

fn shown(call: &Call<'_>, id: u64, comment: u64) -> Result<Value, Refusal> {
    let (number, place) = call.state.comment_place(id, comment)?;
    let issue = call.state.issue(id, number)?;
    let repository = call.state.repository(id)?;
    Ok(call.state.comment_json(repository, issue, &issue.comments[place]))
}

/// The repository and the comment's id, if the caller may do this to it.
fn reach_comment(
    call: &Call<'_>,
    repository: (&str, &str),
    segment: &str,
    level: Level,
) -> Result<(u64, u64), Refusal> {
    let id = call.reach(repository, &["issues", "pull_requests"], level)?;
    let comment = number(segment)?;
    let (thread, _) = call.state.comment_place(id, comment)?;
    reach_thread(call, repository, &thread.to_string(), level)?;
    Ok((id, comment))
}

fn is_since(call: &Call<'_>, comment: &Comment) -> bool {
    call.since().is_none_or(|since| comment.updated_at >= since)
}

fn list(call: &Call<'_>, repository: (&str, &str), issue: &str) -> Handled {
    let (id, number) = reach_thread(call, repository, issue, Read)?;
    let repository = call.state.repository(id)?;
    let issue = call.state.issue(id, number)?;
    let comments = issue.comments.iter().filter(|comment| is_since(call, comment));
    let shapes = comments.map(|comment| call.state.comment_json(repository, issue, comment));
    Ok(call.page(shapes.collect()))
}

fn list_all(call: &Call<'_>, repository: (&str, &str)) -> Handled {
    let id = call.reach(repository, &["issues", "pull_requests"], Read)?;
    let repository = call.state.repository(id)?;
    let mut comments: Vec<_> = repository
        .issues
        .values()
        .flat_map(|issue| issue.comments.iter().map(move |comment| (issue, comment)))
        .filter(|(_, comment)| is_since(call, comment))
        .collect();
    comments.sort_by_key(|(_, comment)| comment.id);
    if call.parameter("direction") == Some("desc") {
        comments.reverse();
    }
    let shapes = comments
        .into_iter()
        .map(|(issue, comment)| call.state.comment_json(repository, issue, comment));
    Ok(call.page(shapes.collect()))
}

fn create(call: &mut Call<'_>, repository: (&str, &str), issue: &str) -> Handled {
    let (id, number) = reach_thread(call, repository, issue, Write)?;
    let body = call.required("IssueComment", "body")?;
    let comment = call.state.add_comment(id, number, call.bot(), &body)?;
    Ok(Answer::created(shown(call, id, comment)?))
}

fn get(call: &Call<'_>, repository: (&str, &str), comment: &str) -> Handled {
    let (id, comment) = reach_comment(call, repository, comment, Read)?;
    Ok(Answer::ok(shown(call, id, comment)?))
}

fn update(call: &mut Call<'_>, repository: (&str, &str), comment: &str) -> Handled {
    let (id, comment) = reach_comment(call, repository, comment, Write)?;
    let body = call.required("IssueComment", "body")?;
    call.state.edit_comment(id, comment, call.bot(), &body)?;
    Ok(Answer::ok(shown(call, id, comment)?))
}

fn delete(call: &mut Call<'_>, repository: (&str, &str), comment: &str) -> Handled {
    let (id, comment) = reach_comment(call, repository, comment, Write)?;
    call.state.delete_comment(id, comment, call.bot())?;
    Ok(Answer::nothing())
}

fn reactions(
    call: &mut Call<'_>,
    repository: (&str, &str),
    target: Target,
    method: &str,
    rest: &[&str],
) -> Option<Handled> {
    Some(match (method, rest) {
        ("GET", []) => list_reactions(call, repository, target),
        ("POST", []) => react(call, repository, target),
        ("DELETE", [id]) => unreact(call, repository, target, id),
        _ => return None,
    })
}

fn reach_target(
    call: &Call<'_>,
    repository: (&str, &str),
    target: Target,
    level: Level,
) -> Result<u64, Refusal> {
    match target {
        Target::Issue(number) => {
            reach_thread(call, repository, &number.to_string(), level).map(|(id, _)| id)
        }
        Target::Comment(id) => {
            reach_comment(call, repository, &id.to_string(), level).map(|(id, _)| id)
        }
        Target::ReviewComment(_) => call.reach(repository, &["pull_requests"], level),
    }
}

fn list_reactions(call: &mut Call<'_>, repository: (&str, &str), target: Target) -> Handled {
    let id = reach_target(call, repository, target, Read)?;
    let known = call.state.reactions(id, target)?.clone();
    let content = call.parameter("content");
    let wanted = known.iter().filter(|known| content.is_none_or(|word| word == known.content));
    Ok(call.page(wanted.map(|reaction| call.state.reaction_json(reaction)).collect()))
}

fn react(call: &mut Call<'_>, repository: (&str, &str), target: Target) -> Handled {
    let id = reach_target(call, repository, target, Write)?;
    let content = call.required("Reaction", "content")?;
    let (reaction, new) = call.state.react(id, target, call.bot(), &content)?;
    let shape = call.state.reaction_json(&reaction);
    Ok(if new { Answer::created(shape) } else { Answer::ok(shape) })
}

fn unreact(
    call: &mut Call<'_>,
    repository: (&str, &str),
    target: Target,
    reaction: &str,
) -> Handled {
    let id = reach_target(call, repository, target, Write)?;
    call.state.unreact(id, target, call.bot(), number(reaction)?)?;
    Ok(Answer::nothing())
}
