//! The auditor: reads how requests become files, and names what it can show.

use serde_json::{Value, json};

use super::parser::{Line, lines_of};
use super::turn::Turn;
use crate::models::answer::Answer;

const SERVER: &str = "server.mjs";
const FILES: &str = "src/files.mjs";

/// Reads, then gives the findings.
pub(super) fn step(turn: &Turn<'_>) -> Answer {
    let reading = turn.reading("I follow a request from the socket to the disk.", &[SERVER, FILES]);
    reading.unwrap_or_else(|| {
        let found: Vec<Value> =
            [malformed_path(turn), sniffing(turn)].into_iter().flatten().collect();
        let summary = match found.len() {
            0 => "Nothing found in how requests become files.".to_owned(),
            1 => "One thing to repair in how requests become files.".to_owned(),
            count => format!("{count} things to repair in how requests become files."),
        };
        turn.conclude(&summary, json!({"summary": summary, "findings": found}))
    })
}

/// A path that cannot be decoded makes the server answer 500.
fn malformed_path(turn: &Turn<'_>) -> Option<Value> {
    let reading = turn.read(FILES);
    let (before, _) = reading.text()?.split_once("decodeURIComponent(")?;
    let guarded = before.rsplit("function ").next().is_some_and(|body| body.contains("try {"));
    let line = first_with(reading.text()?, "decodeURIComponent(")?;
    (!guarded).then(|| {
        json!({
            "title": "A malformed path is answered with 500 instead of 400",
            "severity": "medium",
            "path": FILES,
            "line": line.number,
            "body": "`decodeURIComponent` throws for a path such as `/%zz`. Nothing here catches it, so it is logged and answered as an error of the server; anyone can fill the log with it.",
            "evidence": format!("{FILES}:{}: `{}` stands outside the `try`", line.number, line.text.trim()),
        })
    })
}

/// Without the header browsers may guess another type.
fn sniffing(turn: &Turn<'_>) -> Option<Value> {
    let reading = turn.read(SERVER);
    let text = reading.text()?;
    let line = first_with(text, "\"Content-Type\": file.type")?;
    (!text.to_lowercase().contains("x-content-type-options")).then(|| {
        json!({
            "title": "Files are served without `X-Content-Type-Options: nosniff`",
            "severity": "low",
            "path": SERVER,
            "line": line.number,
            "body": "A file with an unknown ending is sent as bytes; a browser may still guess that it is a page and run what it holds.",
            "evidence": format!("{SERVER}:{}: `{}` sets no such header", line.number, line.text.trim()),
        })
    })
}

fn first_with(text: &str, part: &str) -> Option<Line> {
    lines_of(text).into_iter().find(|line| line.text.contains(part))
}
