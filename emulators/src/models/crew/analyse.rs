//! Who answers a question: reads the parser, and says what it does with an open range.

use serde_json::json;

use super::parser::{PARSER, flaws, lines_of};
use super::turn::Turn;
use crate::models::answer::Answer;

/// Reads, then answers with the lines that show it.
pub(super) fn step(turn: &Turn<'_>) -> Answer {
    if let Some(reading) = turn.reading("I read the parser.", &[PARSER]) {
        return reading;
    }
    let reading = turn.read(PARSER);
    let Some(text) = reading.text() else {
        let summary = format!("There is no {PARSER} here, so there is nothing that I could say.");
        return turn.conclude(&summary, json!({"summary": summary, "report": summary}));
    };
    let summary = match flaws(&lines_of(text)).is_empty() {
        true => "An open range reaches the last byte.",
        false => "An open range does not come out as RFC 9110 wants it.",
    };
    let shown = lines_of(text).into_iter().find(|line| line.text.contains("const end"));
    let report = shown.map_or_else(
        || format!("{PARSER} computes no end."),
        |line| format!("`{PARSER}:{}`: `{}`", line.number, line.text.trim()),
    );
    turn.conclude(summary, json!({"summary": summary, "report": report}))
}
