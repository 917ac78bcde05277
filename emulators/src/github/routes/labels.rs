//! Labels of a repository and of an issue.

use serde_json::{Value, json};

use super::super::answer::{Answer, Handled, Refusal};
use super::super::auth::Level::{Read, Write};
use super::Call;
use super::issues::{label_names, reach_thread};

pub(super) fn route(call: &mut Call<'_>, method: &str, segments: &[&str]) -> Option<Handled> {
    let ["repos", owner, name, rest @ ..] = segments else { return None };
    let repository = (*owner, *name);
    Some(match (method, rest) {
        ("GET", ["labels"]) => list_all(call, repository),
        ("POST", ["labels"]) => create(call, repository),
        ("GET", ["labels", label]) => get(call, repository, label),
        ("GET", ["issues", issue, "labels"]) => list(call, repository, issue),
        ("POST", ["issues", issue, "labels"]) => add(call, repository, issue),
        ("PUT", ["issues", issue, "labels"]) => set(call, repository, issue),
        ("DELETE", ["issues", issue, "labels", label]) => remove(call, repository, issue, label),
        _ => return None,
    })
}

fn list_all(call: &Call<'_>, repository: (&str, &str)) -> Handled {
    let id = call.reach(repository, &["issues", "pull_requests"], Read)?;
    let repository = call.state.repository(id)?;
    let labels = repository.labels.iter();
    Ok(call.page(labels.map(|label| call.state.label_json(repository, label)).collect()))
}

fn create(call: &mut Call<'_>, repository: (&str, &str)) -> Handled {
    let id = call.reach(repository, &["issues", "pull_requests"], Write)?;
    let name = call.required("Label", "name")?;
    let color = call.text("color")?.unwrap_or_else(|| "ededed".to_owned());
    let description = call.text("description")?;
    let label = call.state.create_label(id, &name, &color, description.as_deref())?;
    let shape = call.state.label_json(call.state.repository(id)?, &label);
    let fields = json!({ "label": shape });
    call.state.emit(id, "label", Some("created"), fields, call.state.bot());
    Ok(Answer::created(shape))
}

fn get(call: &Call<'_>, repository: (&str, &str), label: &str) -> Handled {
    let id = call.reach(repository, &["issues", "pull_requests"], Read)?;
    let label = call.state.label(id, label)?.ok_or_else(Refusal::not_found)?;
    Ok(Answer::ok(call.state.label_json(call.state.repository(id)?, label)))
}

fn shown(call: &Call<'_>, id: u64, number: u64) -> Result<Value, Refusal> {
    Ok(call.state.labels_json(call.state.repository(id)?, call.state.issue(id, number)?))
}

fn list(call: &Call<'_>, repository: (&str, &str), issue: &str) -> Handled {
    let (id, number) = reach_thread(call, repository, issue, Read)?;
    let labels = shown(call, id, number)?;
    Ok(call.page(labels.as_array().cloned().unwrap_or_default()))
}

/// The names a body gives: `{"labels": […]}`, or the bare list.
fn wanted(call: &Call<'_>) -> Result<Vec<String>, Refusal> {
    let list = if call.body.is_array() { &call.body } else { &call.body["labels"] };
    if !list.is_array() {
        return Err(Refusal::field("Label", "labels", "missing_field"));
    }
    Ok(label_names(list))
}

fn add(call: &mut Call<'_>, repository: (&str, &str), issue: &str) -> Handled {
    let (id, number) = reach_thread(call, repository, issue, Write)?;
    let names = wanted(call)?;
    call.state.add_labels(id, number, call.bot(), &names)?;
    Ok(Answer::ok(shown(call, id, number)?))
}

fn set(call: &mut Call<'_>, repository: (&str, &str), issue: &str) -> Handled {
    let (id, number) = reach_thread(call, repository, issue, Write)?;
    let names = wanted(call)?;
    replace(call, id, number, &names)?;
    Ok(Answer::ok(shown(call, id, number)?))
}

/// Makes the labels of an issue exactly these.
pub(super) fn replace(
    call: &mut Call<'_>,
    id: u64,
    number: u64,
    names: &[String],
) -> Result<(), Refusal> {
    let bot = call.bot();
    let known = call.state.issue(id, number)?.labels.clone();
    let is_kept = |label: &&String| names.iter().any(|name| name.eq_ignore_ascii_case(label));
    for label in known.iter().filter(|label| !is_kept(label)) {
        call.state.remove_label(id, number, bot, label)?;
    }
    call.state.add_labels(id, number, bot, names)
}

fn remove(call: &mut Call<'_>, repository: (&str, &str), issue: &str, label: &str) -> Handled {
    let (id, number) = reach_thread(call, repository, issue, Write)?;
    call.state.remove_label(id, number, call.bot(), label)?;
    Ok(Answer::ok(shown(call, id, number)?))
}
