//! `baton doctor`: looks at everything that Baton needs, and says what to do about what is missing.

use std::io::Write;

use super::{database::At, output};
use crate::{
    app::checks::{self, Check, Given, Verdict},
    clock::Clock,
};

pub(super) async fn run(at: &At) -> anyhow::Result<u8> {
    let given = Given {
        environment: std::env::vars().collect(),
        file: at.file().map_err(|error| format!("{error:#}")),
        clock: Clock::system(),
        least_free: checks::LEAST_FREE,
    };
    let mut failed = 0;
    let mut printed = Ok(());
    checks::run(&given, &mut |check| {
        failed += usize::from(matches!(check.verdict, Verdict::Fails { .. }));
        let line = if at.json { json(&check) } else { text(&check) };
        if printed.is_ok() {
            let mut out = std::io::stdout().lock();
            printed = writeln!(out, "{line}").and_then(|()| out.flush());
        }
    })
    .await;
    printed?;
    if !at.json && failed > 0 {
        println!(
            "\n{failed} of these need you: do what stands behind → and run baton doctor again."
        );
    }
    Ok(u8::from(failed > 0))
}

fn text(check: &Check) -> String {
    let mark = match check.verdict {
        Verdict::Holds => '✓',
        Verdict::Fails { .. } => '✗',
        Verdict::Skipped => '–',
    };
    let mut text = format!("{mark} {:<17} {}", check.name, lines(&check.seen));
    if let Verdict::Fails { remedy } = &check.verdict {
        text.push_str("\n  → ");
        text.push_str(&lines(remedy));
    }
    text
}

/// Later lines stand below the first; what others wrote moves no cursor.
fn lines(text: &str) -> String {
    text.lines().map(output::plain).collect::<Vec<_>>().join("\n    ")
}

fn json(check: &Check) -> String {
    let (ok, remedy) = match &check.verdict {
        Verdict::Holds => (Some(true), None),
        Verdict::Fails { remedy } => (Some(false), Some(remedy)),
        Verdict::Skipped => (None, None),
    };
    serde_json::json!({ "check": check.name, "ok": ok, "seen": check.seen, "remedy": remedy })
        .to_string()
}
