//! Where a policy is wrong, in words for the person who wrote it.

use serde_yaml_ng::Error;

use crate::event::nearest;

/// The first mistake in a policy file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct PolicyMistake {
    /// From 1.
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl PolicyMistake {
    pub(super) fn of(error: &Error, file: &str) -> Self {
        let (line, column) =
            error.location().map_or((1, 1), |place| (place.line(), place.column()));
        let text = error.to_string();
        let place = format!(" at line {line} column {column}");
        let text = text.strip_suffix(&place).unwrap_or(&text);
        if let Some(key) = text.strip_prefix("duplicate field `") {
            // The reader gives the place of the whole map here.
            let key = key.trim_end_matches('`');
            return Self::at_key(file, key, &format!("`{key}` stands here twice"));
        }
        Self { line: number(line), column: number(column), message: in_our_words(text) }
    }

    /// A mistake at a key of the file's outermost level; at its last place, if it has several.
    pub(super) fn at_key(file: &str, key: &str, message: &str) -> Self {
        let at_key = |line: &str| line.strip_prefix(key).is_some_and(|rest| rest.starts_with(':'));
        let lines = file.lines().enumerate().filter(|(_, line)| at_key(line));
        let line = lines.last().map_or(1, |(index, _)| index + 1);
        Self { line: number(line), column: 1, message: message.to_owned() }
    }

    /// A mistake of the file as a whole.
    pub(super) fn of_file(message: &str) -> Self {
        Self { line: 1, column: 1, message: message.to_owned() }
    }
}

fn number(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

/// The deserializer's words are kept where they tell what is wrong; unknown keys and files that
/// hold nothing get better ones.
fn in_our_words(text: &str) -> String {
    if let Some((place, rest)) = text.split_once("unknown field `")
        && let Some((key, known)) = rest.split_once("`, expected ")
    {
        return unknown_key(place.trim_end_matches([':', ' ']), key, known);
    }
    if text.contains("missing field `version`") || text.starts_with("EOF") || is_empty(text) {
        return "`version: 1` is missing".to_owned();
    }
    if text.contains("while scanning an alias") {
        return format!("{text} (a text that starts with `*` needs quotes: \"*.sql\")");
    }
    text.to_owned()
}

fn is_empty(text: &str) -> bool {
    text.starts_with("invalid type: unit value")
}

fn unknown_key(place: &str, key: &str, known: &str) -> String {
    let place = match place {
        "" => String::new(),
        place => format!(" in `{place}`"),
    };
    let known: Vec<&str> = known.split('`').skip(1).step_by(2).collect();
    let key: String = key.chars().take(80).collect();
    match nearest(&key, &known) {
        Some(near) => format!("unknown key `{key}`{place}; did you mean `{near}`?"),
        None => format!("unknown key `{key}`{place}; known here: {}", known.join(", ")),
    }
}
