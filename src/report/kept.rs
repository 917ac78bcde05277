//! What is safe when a task stops: said before what went wrong.

use crate::model::{RunKind, Situation};

use super::evidence::newest;
use super::people::branch_name;

/// A sentence or two that say what stays and where it is.
#[must_use]
pub fn kept(situation: &Situation) -> String {
    let Some(task) = &situation.task else { return String::new() };
    let pull = task.pull.map(|pull| format!("#{pull}"));
    let mut said = match (&task.merged, &task.head, &task.branch) {
        (Some(merged), _, _) => {
            let pull = pull.unwrap_or_else(|| "The change".to_owned());
            format!("{pull} stays merged as `{}`.", merged.short())
        }
        (None, Some(head), Some(branch)) => {
            let pull = pull.map(|pull| format!(" ({pull})")).unwrap_or_default();
            let branch = branch_name(situation, branch);
            format!("Nothing is lost: `{}` on {branch}{pull}.", head.short())
        }
        (None, Some(head), None) => {
            format!("Nothing is lost: the newest commit is `{}`.", head.short())
        }
        (None, None, _) => before_any_push(situation),
    };
    if task.merged.is_none()
        && task.head.is_some()
        && let Some(tests) = newest(situation, RunKind::Test)
    {
        said.push_str(&format!(" {}.", upper_first(&tests)));
    }
    said
}

fn before_any_push(situation: &Situation) -> String {
    match situation.plan() {
        Some(plan) => {
            let hash = plan.hash.short();
            format!("Nothing is lost: plan {} (`{hash}`) stays. Nothing was pushed.", plan.number)
        }
        None => "Nothing was changed in the repository.".to_owned(),
    }
}

/// The same words as the start of a sentence.
#[must_use]
pub fn upper_first(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}
