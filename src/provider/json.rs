//! Reading fields out of lines that nobody vouches for: what is absent or odd reads as nothing.

use serde_json::Value;

use crate::model::{TodoItem, TodoState, TokenUsage, Untrusted};

/// How many characters of a tool's call are told.
const SUMMARY: usize = 200;

/// The text at a field; empty if there is none.
pub(super) fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

/// Whether a field is `true`.
pub(super) fn is_true(value: &Value, field: &str) -> bool {
    value[field].as_bool().unwrap_or_default()
}

/// The number at a field; 0 if there is none or it does not fit.
pub(super) fn count(value: &Value, field: &str) -> u64 {
    value[field].as_u64().unwrap_or_default()
}

/// An HTTP status at a field.
pub(super) fn status(value: &Value, field: &str) -> Option<u16> {
    value[field].as_u64().and_then(|status| u16::try_from(status).ok())
}

/// The elements of an array; none if it is no array.
pub(super) fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Says in one line what a tool is called for: its most telling argument.
pub(super) fn tool_summary(input: &Value) -> Untrusted {
    const TELLING: [&str; 7] =
        ["command", "file_path", "pattern", "path", "url", "query", "description"];
    let told = TELLING.iter().map(|field| text(input, field)).find(|told| !told.is_empty());
    let line: String = match told {
        Some(told) => told.lines().next().unwrap_or_default().chars().take(SUMMARY).collect(),
        None if input.is_null() => String::new(),
        None => input.to_string().chars().take(SUMMARY).collect(),
    };
    Untrusted(line)
}

/// The first line of what a program says of a call that was lost on the way.
pub(super) fn lost_words(words: &str) -> String {
    words.lines().next().unwrap_or_default().chars().take(SUMMARY).collect()
}

/// Reads a list of what is done and left.
pub(super) fn todo_items(list: &Value, text_field: &str, state_field: &str) -> Vec<TodoItem> {
    items(list)
        .iter()
        .map(|entry| TodoItem {
            text: text(entry, text_field).into(),
            state: match text(entry, state_field) {
                "completed" | "done" => TodoState::Done,
                "in_progress" | "doing" => TodoState::Doing,
                _ => TodoState::Pending,
            },
        })
        .collect()
}

/// Adds two counts without overflow: they come from outside.
pub(super) fn add(one: TokenUsage, other: TokenUsage) -> TokenUsage {
    TokenUsage {
        input: one.input.saturating_add(other.input),
        output: one.output.saturating_add(other.output),
        cache_read: one.cache_read.saturating_add(other.cache_read),
        cache_write: one.cache_write.saturating_add(other.cache_write),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_summary_is_one_short_line() {
        let long = "x".repeat(500);
        assert_eq!(tool_summary(&json!({"command": "ls\nrm"})).0, "ls");
        assert_eq!(tool_summary(&json!({"file_path": long})).0.len(), SUMMARY);
        assert_eq!(tool_summary(&json!({"other": 1})).0, r#"{"other":1}"#);
        assert_eq!(tool_summary(&Value::Null).0, "");
    }
}
