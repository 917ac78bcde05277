//! The reviewer: judges the diff in its prompt and the files it reads, and nothing else.

use serde_json::{Value, json};

use super::diff::{FileDiff, files_in, prose_of};
use super::findings::{Finding, Kind, ids_in, named_in};
use super::parser::{Line, PARSER, flaws, lines_of};
use super::tests::{Coverage, TESTS, is_test};
use super::turn::Turn;
use crate::models::answer::Answer;

/// Reads the changed code, then gives the verdict.
pub(super) fn step(turn: &Turn<'_>) -> Answer {
    let reading =
        turn.reading("I read the parser and its tests as they are now.", &[PARSER, TESTS]);
    reading.unwrap_or_else(|| {
        let files = files_in(&turn.prompt);
        let findings = findings(turn, &files);
        let say =
            if findings.is_empty() { "I have no objection." } else { "I have found something." };
        turn.conclude(say, outcome(turn, &files, &findings))
    })
}

/// Everything that is wrong, the parser first.
fn findings(turn: &Turn<'_>, files: &[FileDiff]) -> Vec<Finding> {
    let wrong = flaws(&current(turn, files, PARSER)).into_iter();
    let mut findings: Vec<Finding> = wrong
        .map(|(flaw, line)| Finding { kind: Kind::Parser(flaw), path: PARSER.to_owned(), line })
        .collect();
    findings.extend(files.iter().filter(|file| removes_tests(file)).map(removed));
    findings.extend(untested(turn, files));
    findings
}

/// A file after the change: as read if that holds the change, else as far as the diff shows it.
fn current(turn: &Turn<'_>, files: &[FileDiff], path: &str) -> Vec<Line> {
    let file = files.iter().find(|file| file.path == path);
    let read = turn.read(path).text().map(lines_of);
    match (read, file) {
        (Some(read), Some(file)) if !holds(&read, file) => file.shown.clone(),
        (Some(read), _) => read,
        (None, Some(file)) => file.shown.clone(),
        (None, None) => Vec::new(),
    }
}

/// Whether every line that the diff adds stands in the file as it was read.
fn holds(read: &[Line], file: &FileDiff) -> bool {
    file.added.iter().all(|added| read.iter().any(|line| line.text == added.text))
}

/// Whether a diff leaves a test file with fewer tests than it had.
fn removes_tests(file: &FileDiff) -> bool {
    let is_case = |text: &str| text.trim_start().starts_with("test(");
    let before = file.removed.iter().filter(|text| is_case(text)).count();
    let after = file.added.iter().filter(|line| is_case(&line.text)).count();
    is_test(&file.path) && before > after
}

fn removed(file: &FileDiff) -> Finding {
    let line = file.shown.first().cloned().unwrap_or(Line { number: 1, text: String::new() });
    Finding { kind: Kind::TestsRemoved, path: file.path.clone(), line }
}

/// What the tests do not ask for.
fn untested(turn: &Turn<'_>, files: &[FileDiff]) -> Vec<Finding> {
    let mut lines = current(turn, files, TESTS);
    let changed = files.iter().find(|file| file.path == TESTS);
    let place = changed.and_then(|file| file.added.first()).or(lines.first()).cloned();
    let line = place.unwrap_or(Line { number: 1, text: String::new() });
    let others = files.iter().filter(|file| is_test(&file.path));
    lines.extend(others.flat_map(|file| file.added.clone()));
    let text: Vec<&str> = lines.iter().map(|line| line.text.as_str()).collect();
    let coverage = Coverage::of(&text.join("\n"));
    let missing = [
        (!coverage.open).then_some(Kind::OpenUntested),
        (!coverage.reversed).then_some(Kind::ReversedUntested),
    ];
    let finding = |kind| Finding { kind, path: TESTS.to_owned(), line: line.clone() };
    missing.into_iter().flatten().map(finding).collect()
}

fn outcome(turn: &Turn<'_>, files: &[FileDiff], findings: &[Finding]) -> Value {
    let blocked = findings.iter().any(|finding| finding.kind.must_fix());
    let listed: Vec<Value> = findings.iter().map(Finding::as_json).collect();
    let (looked_at, not_looked_at) = coverage(turn, files);
    json!({
        "verdict": if blocked { "changes" } else { "approve" },
        "summary": summary(findings, blocked),
        "findings": listed,
        "settled": settled(turn, findings),
        "looked_at": looked_at,
        "not_looked_at": not_looked_at,
    })
}

fn summary(findings: &[Finding], blocked: bool) -> String {
    let Some(first) = findings.first() else {
        return "Open ranges reach the last byte, ranges that cannot be satisfied are still refused, and tests ask for both."
            .to_owned();
    };
    let rest = match findings.len() - 1 {
        0 => String::new(),
        1 => " There is one more remark.".to_owned(),
        more => format!(" There are {more} more remarks."),
    };
    if blocked {
        format!("Not yet: {}.{rest}", lower_first(first.kind.title()))
    } else {
        format!("The change is right. A suggestion: {}.{rest}", lower_first(first.kind.title()))
    }
}

/// The ids of earlier findings in the prompt that no longer hold.
fn settled(turn: &Turn<'_>, findings: &[Finding]) -> Vec<String> {
    let blocked = findings.iter().any(|finding| finding.kind.must_fix());
    let holds = |kind: &Kind| findings.iter().any(|finding| finding.kind == *kind);
    let mut settled: Vec<String> = Vec::new();
    for (id, kinds) in earlier(&turn.prompt) {
        // What it was about may be unknown: a person's finding, say. It is settled when nothing must be fixed.
        let open = if kinds.is_empty() { blocked } else { kinds.iter().any(holds) };
        if !open && !settled.contains(&id) {
            settled.push(id);
        }
    }
    settled
}

/// The ids of findings in a prompt, with what they are about: the title stands beside the id or on the line below.
fn earlier(prompt: &str) -> Vec<(String, Vec<Kind>)> {
    let lines = prose_of(prompt);
    let about = |index: usize| {
        let kinds = |at: usize| lines.get(at).map(|line| named_in(line)).unwrap_or_default();
        if kinds(index).is_empty() { kinds(index + 1) } else { kinds(index) }
    };
    let ids = lines.iter().enumerate();
    ids.flat_map(|(index, line)| ids_in(line).into_iter().map(move |id| (id, index)))
        .map(|(id, index)| (id, about(index)))
        .collect()
}

/// Which files the verdict rests on, and which parts of the change it does not.
fn coverage(turn: &Turn<'_>, files: &[FileDiff]) -> (Vec<String>, Vec<String>) {
    let mut looked_at: Vec<String> = [PARSER, TESTS]
        .into_iter()
        .filter(|path| turn.read(path).text().is_some())
        .map(str::to_owned)
        .collect();
    for file in files.iter().filter(|file| is_test(&file.path) || file.path == PARSER) {
        if !looked_at.contains(&file.path) {
            looked_at.push(file.path.clone());
        }
    }
    let mut rest: Vec<String> = files.iter().map(|file| file.path.clone()).collect();
    rest.retain(|path| !looked_at.contains(path));
    rest.push("How the program behaves when it runs: I only read it.".to_owned());
    (looked_at, rest)
}

fn lower_first(title: &str) -> String {
    let mut characters = title.chars();
    characters.next().map_or_else(String::new, |first| {
        format!("{}{}", first.to_lowercase(), characters.as_str())
    })
}
