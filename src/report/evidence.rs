//! What is known of a change or a deployment, and who saw it.

use crate::model::{
    CommandResult, CommandRun, CriterionVerdict, RunKind, RunState, Situation, Untrusted,
};

use super::figures::{count, duration};
use super::quote::{self, block, code, fence, line};

/// Said with everything that Baton ran itself.
pub const RUN_BY_BATON: &str = "(run by Baton)";

/// How a run came out, in a few words: `` `cargo test` passes (run by Baton) ``.
#[must_use]
pub fn in_short(run: &CommandRun) -> String {
    let named = match run.commands.as_slice() {
        [] => "nothing".to_owned(),
        [only] => code(&quote::clip(only, 80)),
        many => count(many.len(), "command"),
    };
    let pass = if run.commands.len() == 1 { "passes" } else { "pass" };
    match &run.state {
        RunState::Pending => format!("{named} will be run, or is being run, by Baton"),
        RunState::Ended { passed: true, .. } => format!("{named} {pass} {RUN_BY_BATON}"),
        RunState::Ended { passed: false, results } => match results.last() {
            Some(last) => {
                let command = code(&quote::clip(&last.command, 80));
                format!("{command} {} {RUN_BY_BATON}", failure(last))
            }
            None => format!("{named} failed {RUN_BY_BATON}"),
        },
        RunState::Broken { reason } => {
            format!("{named} could not be run: {}", line(&Untrusted::from(reason.as_str()), 300))
        }
    }
}

/// One line a command: what was run, how it came out, how long it took.
#[must_use]
pub fn lines(run: &CommandRun) -> Vec<String> {
    let RunState::Ended { results, .. } = &run.state else {
        return vec![format!("- {}", in_short(run))];
    };
    let ran = results.iter().map(|result| {
        let seconds = i64::try_from(result.millis / 1000).unwrap_or(i64::MAX);
        let how = if result.exit == Some(0) { "passes".to_owned() } else { failure(result) };
        let command = code(&quote::clip(&result.command, 300));
        format!("- {command} {how}, {} {RUN_BY_BATON}", duration(seconds))
    });
    let skipped = run.commands.iter().skip(results.len()).map(|command| {
        format!("- {} was not run: the one before it failed", code(&quote::clip(command, 300)))
    });
    ran.chain(skipped).collect()
}

/// What the commands of a run printed, each folded away.
#[must_use]
pub fn output(run: &CommandRun) -> String {
    let RunState::Ended { results, .. } = &run.state else { return String::new() };
    let folded = results.iter().map(|result| {
        let exit =
            result.exit.map_or("no exit code".to_owned(), |exit| format!("exit code {exit}"));
        let title = format!("{}: {exit}", html(&quote::clip(&result.command, 120)));
        folded(&title, &fence(result.output.as_code().trim_end(), ""))
    });
    folded.collect::<Vec<_>>().join("\n\n")
}

/// A block that opens on a click. `title` is HTML, `body` Markdown.
#[must_use]
pub fn folded(title: &str, body: &str) -> String {
    format!("<details><summary>{title}</summary>\n\n{body}\n\n</details>")
}

/// One line per acceptance criterion. The verdict is the agent's; the run behind it is Baton's.
#[must_use]
pub fn criteria(verdicts: &[CriterionVerdict]) -> Vec<String> {
    let said = verdicts.iter().map(|verdict| {
        let mark = if verdict.passed { "✓" } else { "➜ **not met:**" };
        let criterion = line(&verdict.criterion, 300);
        format!("- {mark} {criterion} · {} (the agent says)", line(&verdict.evidence, 300))
    });
    said.collect()
}

/// The newest run of a kind, in short.
#[must_use]
pub fn newest(situation: &Situation, kind: RunKind) -> Option<String> {
    situation.last_run(kind).map(in_short)
}

/// An agent's own words, named as such; empty where it said nothing.
#[must_use]
pub fn agent_says(text: &Untrusted, limit: usize) -> String {
    match block(text, limit) {
        said if said.is_empty() => said,
        said if said.contains('\n') => format!("The agent says:\n\n{said}"),
        said => format!("The agent says: {said}"),
    }
}

fn failure(result: &CommandResult) -> String {
    match result.exit {
        Some(exit) => format!("fails with exit code {exit}"),
        None => "was ended by a signal or took too long".to_owned(),
    }
}

/// For the title of a folded block, where Markdown is not read.
fn html(text: &str) -> String {
    let shown = Untrusted::from(text).as_code().replace('&', "&amp;").replace('<', "&lt;");
    format!("<code>{}</code>", shown.replace('\n', " "))
}
