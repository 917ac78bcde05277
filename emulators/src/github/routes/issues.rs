//! Issues: list, read, open, change.

use serde_json::Value;

use super::super::answer::{Answer, Handled, Refusal};
use super::super::auth::Level::{self, Read, Write};
use super::super::model::Issue;
use super::{Call, number};

pub(super) fn route(call: &mut Call<'_>, method: &str, segments: &[&str]) -> Option<Handled> {
    let ["repos", owner, name, "issues", rest @ ..] = segments else { return None };
    let repository = (*owner, *name);
    Some(match (method, rest) {
        ("GET", []) => list(call, repository),
        ("POST", []) => open(call, repository),
        ("GET", [issue]) if *issue != "comments" => get(call, repository, issue),
        ("PATCH", [issue]) => update(call, repository, issue),
        _ => return None,
    })
}

/// The repository and number, if the caller may do this to the issue or pull request.
pub(super) fn reach_thread(
    call: &Call<'_>,
    repository: (&str, &str),
    segment: &str,
    level: Level,
) -> Result<(u64, u64), Refusal> {
    let id = call.reach(repository, &["issues", "pull_requests"], level)?;
    let number = number(segment)?;
    let pull = call.state.issue(id, number)?.pull.is_some();
    let permissions: &[&str] = if pull { &["issues", "pull_requests"] } else { &["issues"] };
    call.reach(repository, permissions, level)?;
    Ok((id, number))
}

fn shown(call: &Call<'_>, id: u64, number: u64) -> Result<Value, Refusal> {
    let repository = call.state.repository(id)?;
    Ok(call.state.issue_json(repository, call.state.issue(id, number)?))
}

fn list(call: &Call<'_>, repository: (&str, &str)) -> Handled {
    let id = call.reach(repository, &["issues"], Read)?;
    let repository = call.state.repository(id)?;
    let mut wanted: Vec<&Issue> =
        repository.issues.values().filter(|issue| is_wanted(call, issue)).collect();
    if call.parameter("sort") == Some("updated") {
        wanted.sort_by_key(|issue| issue.updated_at);
    }
    if call.parameter("direction") != Some("asc") {
        wanted.reverse();
    }
    let shapes = wanted.iter().map(|issue| call.state.issue_json(repository, issue));
    Ok(call.page(shapes.collect()))
}

fn is_wanted(call: &Call<'_>, issue: &Issue) -> bool {
    let state = call.parameter("state").unwrap_or("open");
    let labels = call.parameter("labels").unwrap_or_default();
    let mut labels = labels.split(',').filter(|label| !label.is_empty());
    let creator = call.parameter("creator");
    (state == "all" || state == issue.state())
        && labels.all(|label| issue.labels.iter().any(|known| known.eq_ignore_ascii_case(label)))
        && creator.is_none_or(|creator| call.state.login(issue.author) == creator)
        && call.since().is_none_or(|since| issue.updated_at >= since)
}

fn get(call: &Call<'_>, repository: (&str, &str), issue: &str) -> Handled {
    let (id, number) = reach_thread(call, repository, issue, Read)?;
    Ok(Answer::ok(shown(call, id, number)?))
}

fn open(call: &mut Call<'_>, repository: (&str, &str)) -> Handled {
    let id = call.reach(repository, &["issues"], Write)?;
    let title = call.required("Issue", "title")?;
    let body = call.text("body")?.unwrap_or_default();
    let labels = label_names(&call.body["labels"]);
    let number = call.state.open_issue(id, call.bot(), &title, &body, &labels)?;
    Ok(Answer::created(shown(call, id, number)?))
}

fn update(call: &mut Call<'_>, repository: (&str, &str), issue: &str) -> Handled {
    let (id, number) = reach_thread(call, repository, issue, Write)?;
    let (title, body) = (call.text("title")?, call.text("body")?);
    let state = call.text("state")?;
    let reason = call.text("state_reason")?.unwrap_or_else(|| "completed".to_owned());
    if !matches!(state.as_deref(), None | Some("open" | "closed")) {
        return Err(Refusal::field("Issue", "state", "invalid"));
    }
    if !matches!(reason.as_str(), "completed" | "not_planned" | "duplicate" | "reopened") {
        return Err(Refusal::field("Issue", "state_reason", "invalid"));
    }
    let bot = call.bot();
    call.state.edit_issue(id, number, bot, title.as_deref(), body.as_deref())?;
    if call.body["labels"].is_array() {
        let labels = label_names(&call.body["labels"]);
        super::labels::replace(call, id, number, &labels)?;
    }
    match state.as_deref() {
        Some("closed") => call.state.close(id, number, bot, &reason)?,
        Some(_) => call.state.reopen(id, number, bot)?,
        None => {}
    }
    Ok(Answer::ok(shown(call, id, number)?))
}

/// Label names from a list of names or of objects with a `name`.
pub(super) fn label_names(list: &Value) -> Vec<String> {
    let names = list.as_array().into_iter().flatten();
    names
        .filter_map(|label| label.as_str().or_else(|| label["name"].as_str()))
        .map(str::to_owned)
        .collect()
}
