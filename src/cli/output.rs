//! How commands print: text for people, one JSON object a line on request.

use serde::Serialize;

use crate::db::overview::TaskLine;

/// Prints rows as JSON lines, or as the text that each is given.
pub(super) fn rows<T: Serialize>(
    json: bool,
    rows: &[T],
    text: impl Fn(&T) -> String,
) -> anyhow::Result<()> {
    for row in rows {
        if json {
            println!("{}", serde_json::to_string(row)?);
        } else {
            println!("{}", text(row));
        }
    }
    Ok(())
}

/// Prints one thing that was done.
pub(super) fn done(json: bool, what: &str) {
    if json {
        println!("{}", serde_json::json!({ "done": what }));
    } else {
        println!("{what}");
    }
}

/// Text without control characters: what a stranger wrote must not move the cursor.
pub(super) fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

/// The same for text of several lines, which stay apart.
pub(super) fn plain_lines(text: &str) -> String {
    text.trim().lines().map(plain).collect::<Vec<_>>().join("\n")
}

/// Where a task stands, in a few words: `waiting for merge`, `parked: budget`, `open: code`.
pub(super) fn state(task: &TaskLine) -> String {
    let word = |name: &str| task.detail["data"][name].as_str().map(|word| word.replace('_', " "));
    let state = &task.state;
    match (word("for"), word("why")) {
        (Some(what), _) => format!("{state} for {what}"),
        (None, Some(why)) => format!("{state}: {why}"),
        (None, None) if task.at_work.is_empty() => state.clone(),
        (None, None) => format!("{state}: {}", task.at_work),
    }
}
