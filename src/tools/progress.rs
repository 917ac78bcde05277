//! `report_progress`: the list of what is done and left, for the progress comment.

use chrono::TimeDelta;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Tools,
    call::{CallError, held},
};
use crate::{
    db::{
        agents::{self, Caller},
        reports,
    },
    model::{NewJob, ReportKind, TodoItem, TodoState, Untrusted},
    queue,
};

/// Entries of one list.
const MOST_ITEMS: usize = 40;
/// How long a change waits for more before it is said: GitHub does not take an edit a second for long.
const GATHER: TimeDelta = TimeDelta::seconds(5);
/// Characters of one entry.
const LONGEST_ITEM: usize = 200;

/// What it takes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {
    items: Vec<Item>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Item {
    text: String,
    state: TodoState,
}

/// Its description, its properties, and those that are required.
pub(super) fn about() -> (&'static str, Value, Value) {
    let item = json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "text": { "type": "string", "maxLength": LONGEST_ITEM },
            "state": { "type": "string", "enum": ["pending", "doing", "done"] },
        },
        "required": ["text", "state"],
    });
    let properties = json!({ "items": { "type": "array", "maxItems": MOST_ITEMS, "items": item } });
    (
        "Shows people what is done and what is left, in the task's progress comment. Give the whole list \
         each time; it takes the place of the one before.",
        properties,
        json!(["items"]),
    )
}

/// Keeps the list, and has it said where it changed.
pub(super) async fn report(
    tools: &Tools,
    caller: &Caller,
    arguments: Arguments,
) -> Result<String, CallError> {
    if arguments.items.len() > MOST_ITEMS {
        return Err(CallError::refused(format!("a list has at most {MOST_ITEMS} entries")));
    }
    for item in &arguments.items {
        held("an entry", &item.text, LONGEST_ITEM)?;
    }
    let items = arguments.items.into_iter();
    let todo: Vec<TodoItem> = items
        .map(|item| TodoItem { text: Untrusted((tools.redact)(&item.text)), state: item.state })
        .collect();
    let now = tools.clock.now();
    let mut tx = tools.pool.begin().await?;
    if agents::set_todo(&mut *tx, caller.agent, &todo, now).await? {
        let report = reports::raise(&mut *tx, caller.task, &ReportKind::Progress, now).await?;
        let say = NewJob::say(report, Some(caller.repository), now + GATHER);
        let wake = queue::enqueue(&mut tx, &[say]).await?;
        tx.commit().await?;
        wake.release(&tools.wakes);
    }
    Ok("Shown.".to_owned())
}
