//! The starter: reads the parser and says what to do about it.

use serde_json::{Value, json};

use super::parser::{Flaw, PARSER, flaws, lines_of};
use super::tests::{Coverage, TESTS};
use super::turn::Turn;
use crate::models::answer::Answer;

/// Reads, then gives the plan.
pub(super) fn step(turn: &Turn<'_>) -> Answer {
    let reading =
        turn.reading("I look at how ranges are parsed, and at what is tested.", &[PARSER, TESTS]);
    reading.unwrap_or_else(|| turn.conclude("Here is the plan.", outcome(turn)))
}

fn outcome(turn: &Turn<'_>) -> Value {
    let parser = turn.read(PARSER);
    let Some(text) = parser.text() else { return nothing_known() };
    let lines = lines_of(text);
    let wrong = flaws(&lines);
    let coverage = Coverage::of(turn.read(TESTS).text().unwrap_or_default());
    let Some((flaw, line)) = wrong.first() else { return nothing_wrong() };
    let what = match flaw {
        Flaw::OpenRange => format!(
            "An open range loses its last byte: `end` is the first byte that is not sent, but line {} of `{PARSER}` gives \
             `size - 1` where no last position was asked for.",
            line.number
        ),
        Flaw::Absent => format!("`{PARSER}` holds no parser that I can follow."),
        Flaw::ClosedRange => {
            format!("Line {} of `{PARSER}` ends closed ranges at the wrong byte.", line.number)
        }
        Flaw::BehindTheEnd | Flaw::Reversed => {
            format!(
                "Line {} of `{PARSER}` lets through a range that should be refused.",
                line.number
            )
        }
    };
    let tested = if coverage.open { "" } else { " No test asks for an open range." };
    json!({
        "summary": format!("{what}{tested}"),
        "steps": steps(turn),
        "acceptance": [
            "`bytes=500-` of 1000 bytes gives 206, 500 bytes, `Content-Range: bytes 500-999/1000`",
            "`bytes=999-` gives the last byte",
            "Closed and suffix ranges are answered as before",
            "`bytes=1000-` and `bytes=9-2` are refused with 416",
            "`node --test` passes and asks for an open range",
        ],
        "risks": ["`parseRange` also decides what is refused: reversed ranges must not get through"],
        "questions": [],
    })
}

fn steps(turn: &Turn<'_>) -> Vec<Value> {
    let mut steps = vec![
        json!({"title": "Let an open range end at the end of the file", "files": [PARSER]}),
        json!({"title": "Test open ranges", "files": [TESTS]}),
    ];
    if super::edits::wants_readme(&turn.prompt) {
        steps.push(json!({"title": "Say so in the README", "files": ["README.md"]}));
    }
    steps
}

fn nothing_wrong() -> Value {
    json!({
        "summary": format!("`{PARSER}` already serves open ranges to the last byte and refuses what cannot be satisfied."),
        "steps": [], "acceptance": [], "risks": [], "questions": [],
    })
}

fn nothing_known() -> Value {
    json!({
        "summary": format!("I could not read `{PARSER}`, where I expected ranges to be parsed."),
        "steps": [], "acceptance": [], "risks": [],
        "questions": ["Which file of this repository parses the Range header?"],
    })
}
