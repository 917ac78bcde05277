//! The coder: reads, edits, runs the tests, commits, and tells what it did.

use serde_json::json;

use super::edits::{edits, is_rework, wants_readme};
use super::parser::PARSER;
use super::tests::TESTS;
use super::turn::Turn;
use crate::models::answer::Answer;
use crate::models::request::Call;

const RUN_TESTS: &str = "node --test";
/// Commits what there is; does nothing when that is nothing.
const COMMIT: &str = "git add -A && git diff --cached --quiet || git commit -m";

/// Takes the next step, by what the calls of this turn have shown.
pub(super) fn step(turn: &Turn<'_>) -> Answer {
    let mut paths = vec![PARSER, TESTS];
    if wants_readme(&turn.prompt) {
        paths.push("README.md");
    }
    if let Some(reading) = turn.reading("I read the code before I change it.", &paths) {
        return reading;
    }
    let refused = turn.calls.iter().find(|call| is_edit(call) && call.is_error);
    if let Some(call) = refused {
        return give_up(turn, &format!("I could not change the file: {}", first_line(call.result)));
    }
    let edits = edits(turn);
    let done = turn.calls.iter().filter(|call| is_edit(call)).count();
    if let Some(edit) = edits.get(done) {
        return Answer::text(edit.say).and_tool(edit.tool, edit.input.clone());
    }
    let Some(tested) = bash(turn, |command| command == RUN_TESTS) else {
        return run(turn, "I run the tests.", RUN_TESTS, "Run the tests");
    };
    let Some(committed) = bash(turn, |command| command.starts_with("git add")) else {
        let command = format!("{COMMIT} '{}'", message(turn));
        return run(turn, "I commit it.", &command, "Commit the change");
    };
    conclude(turn, tested, committed, !edits.is_empty())
}

/// Runs a command, or gives up where that is not offered.
fn run(turn: &Turn<'_>, say: &str, command: &str, description: &str) -> Answer {
    if !turn.can("Bash") {
        return give_up(turn, "I have no shell, so I could neither test nor commit.");
    }
    Answer::text(say).and_tool("Bash", json!({"command": command, "description": description}))
}

fn conclude(turn: &Turn<'_>, tested: Call<'_>, committed: Call<'_>, edited: bool) -> Answer {
    let summary = match (edited, is_rework(turn)) {
        (false, _) => "There was nothing left to change; the work is committed.",
        (true, false) => {
            "An open range now ends at the end of the file, and the last byte can be asked for alone. Tests ask for both."
        }
        (true, true) => {
            "Ranges whose end lies before their start are refused with 416 again, and a test asks for one."
        }
    };
    let notes = if committed.is_error {
        format!("The commit failed: {}", first_line(committed.result))
    } else if edited && !is_rework(turn) {
        "The end of `parseRange` is rewritten; `end` stays the first byte that is not sent."
            .to_owned()
    } else {
        String::new()
    };
    let outcome = json!({"summary": summary, "tests_run": tests_run(tested), "notes": notes});
    turn.conclude("That is done.", outcome)
}

fn give_up(turn: &Turn<'_>, why: &str) -> Answer {
    turn.conclude(why, json!({"summary": why, "tests_run": "none", "notes": why}))
}

/// What came out of the tests, in a few words.
fn tests_run(tested: Call<'_>) -> String {
    let count = |name: &str| {
        let marks = ["# ", "ℹ "];
        tested.result.lines().find_map(|line| {
            marks.iter().find_map(|mark| {
                line.strip_prefix(mark)?.strip_prefix(name)?.trim().parse::<u32>().ok()
            })
        })
    };
    match (count("pass "), count("fail ")) {
        (Some(passed), Some(0)) => format!("`{RUN_TESTS}`: all {passed} pass"),
        (Some(passed), Some(failed)) => format!("`{RUN_TESTS}`: {passed} pass, {failed} fail"),
        _ if tested.is_error => format!("`{RUN_TESTS}` failed: {}", first_line(tested.result)),
        _ => format!("`{RUN_TESTS}`"),
    }
}

fn message(turn: &Turn<'_>) -> &'static str {
    if is_rework(turn) {
        "Refuse reversed ranges, and test it"
    } else {
        "Serve open ranges to the last byte"
    }
}

/// The newest shell call whose command is meant.
fn bash<'a>(turn: &Turn<'a>, meant: impl Fn(&str) -> bool) -> Option<Call<'a>> {
    let mut calls = turn.calls.iter().rev();
    calls
        .find(|call| call.name == "Bash" && call.input["command"].as_str().is_some_and(&meant))
        .copied()
}

fn is_edit(call: &Call<'_>) -> bool {
    matches!(call.name, "Edit" | "Write")
}

fn first_line(text: &str) -> &str {
    text.lines().find(|line| !line.trim().is_empty()).unwrap_or("no reason was given").trim()
}
