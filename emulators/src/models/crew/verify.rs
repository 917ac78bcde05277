//! The verifier: judges the evidence in its prompt, and believes nothing else.
//!
//! Evidence is exit codes (`exit code: 0`, `"exit_code": 0`, `exited with 1`, `(exit 0)`) and lines that start with
//! `PASS` or `FAIL`. It passes only if there is at least one exit code, all of them are 0, and no line fails.

use serde_json::{Value, json};

use super::turn::Turn;
use crate::models::answer::Answer;

/// Gives the judgement; there is nothing to read but the prompt.
pub(super) fn step(turn: &Turn<'_>) -> Answer {
    let codes = exit_codes(&turn.prompt);
    let criteria = criteria(&turn.prompt);
    let failed = criteria.iter().filter(|criterion| criterion["passed"] == false).count();
    let ended_well = !codes.is_empty() && codes.iter().all(|code| *code == 0);
    let passed = ended_well && failed == 0;
    let summary = if passed {
        format!(
            "The deployed program does what was asked: {} of {} checks hold.",
            criteria.len(),
            criteria.len()
        )
    } else if failed > 0 {
        format!("{failed} of {} checks fail on the deployed program.", criteria.len())
    } else if codes.is_empty() {
        "There is no evidence that any check was run.".to_owned()
    } else {
        "A check ended with an error.".to_owned()
    };
    let criteria = if criteria.is_empty() { vec![by_code(&codes, ended_well)] } else { criteria };
    turn.conclude(&summary, json!({"passed": passed, "summary": summary, "criteria": criteria}))
}

/// One criterion for each line of evidence.
fn criteria(prompt: &str) -> Vec<Value> {
    prompt.lines().filter_map(criterion).collect()
}

/// Reads `PASS  what was asked: what was seen`.
fn criterion(line: &str) -> Option<Value> {
    let line = line.trim_start_matches(|character: char| " \t>|".contains(character));
    let passed = line.starts_with("PASS ");
    let rest = line.strip_prefix("PASS ").or_else(|| line.strip_prefix("FAIL "))?.trim();
    let (criterion, _) = rest.split_once(": ").unwrap_or((rest, ""));
    Some(json!({"criterion": criterion, "passed": passed, "evidence": line.trim()}))
}

/// What can be said when there are only exit codes.
fn by_code(codes: &[i64], ended_well: bool) -> Value {
    let listed: Vec<String> = codes.iter().map(i64::to_string).collect();
    let evidence = if codes.is_empty() {
        "no exit code was given".to_owned()
    } else {
        format!("exit codes: {}", listed.join(", "))
    };
    json!({"criterion": "every check ends without an error", "passed": ended_well, "evidence": evidence})
}

/// Every exit code that a text tells.
fn exit_codes(text: &str) -> Vec<i64> {
    const WORDS: [&str; 7] = [
        "exit code",
        "exit_code",
        "exit status",
        "exitcode",
        "exited with code",
        "exited with",
        "(exit",
    ];
    text.lines()
        .map(str::to_lowercase)
        .filter_map(|line| WORDS.iter().find_map(|word| number_after(line.split_once(word)?.1)))
        .collect()
}

/// The number that follows at once, behind punctuation only.
fn number_after(text: &str) -> Option<i64> {
    let text = text.trim_start_matches(|character: char| " :=\"'*`|".contains(character));
    let end = text
        .char_indices()
        .find(|(index, character)| {
            !(character.is_ascii_digit() || (*index == 0 && *character == '-'))
        })
        .map_or(text.len(), |(index, _)| index);
    text[..end].parse().ok()
}
