//! What a set-up did, and what was fetched from where: in words.

use crate::model::{
    CommandRun, FailKind, Fetch, Fetched, Fetcher, RunKind, RunState, SET_UP, Situation, StageKey,
};

use super::evidence::{in_short, output};
use super::quote::code;

/// Most hosts or packages that a text lists.
const MOST: usize = 30;

/// The set-up that a stage is waiting for, as its line in the checklist says it.
#[must_use]
pub fn setting_up(situation: &Situation, stage: StageKey) -> Option<String> {
    let run = newest(situation, stage).filter(|run| run.state == RunState::Pending)?;
    Some(format!("is being set up first: {} on `{}`", in_short(run), run.sha.short()))
}

/// Why a stage could not begin, where it was its set-up: the command, the hosts that were not let
/// through with the line that would allow each, and what was printed last.
#[must_use]
pub fn setup_failed(situation: &Situation, stage: StageKey, kind: &FailKind) -> Option<String> {
    let by_setup = matches!(kind, FailKind::Setup(why) if why.starts_with(SET_UP));
    let run = newest(situation, stage).filter(|_| by_setup)?;
    let RunState::Ended { passed: false, .. } = &run.state else { return None };
    let ran = format!(
        "The {} stage could not begin: its set-up failed on `{}` of the default branch. {}.",
        stage.name(),
        run.sha.short(),
        super::kept::upper_first(&in_short(run)),
    );
    let parts = [ran, blocked(situation, |by| by == Fetcher::Run(run.id)), output(run)];
    Some(parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n\n"))
}

fn newest(situation: &Situation, stage: StageKey) -> Option<&CommandRun> {
    let mut runs = situation.runs.iter().rev();
    runs.find(|run| run.stage == stage && run.kind == RunKind::Setup)
}

/// What agents and tests fetched, where policy lets them, and what they were not let through to; empty
/// where they asked for nothing.
#[must_use]
pub fn fetched(situation: &Situation) -> String {
    let is_set_up = |by: Fetcher| match by {
        Fetcher::Agent(_) => false,
        Fetcher::Run(id) => situation.run(id).is_some_and(|run| run.kind == RunKind::Setup),
    };
    let passed = situation.fetches.iter().filter(|one| !is_set_up(one.by));
    let mut passed: Vec<String> = passed.filter_map(named).collect();
    passed.sort();
    passed.dedup();
    let said = match passed.len() {
        0 => String::new(),
        n if n > MOST => {
            format!("**Fetched** {}, and {} more", passed[..MOST].join(", "), n - MOST)
        }
        _ => format!("**Fetched** {}", passed.join(", ")),
    };
    let said = if said.is_empty() { said } else { format!("{said} (seen by Baton)") };
    let parts = [said, blocked(situation, |by| !is_set_up(by))];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n\n")
}

/// A package with its host, or the host alone where its address was encrypted. The index that leads to
/// a package is no word of its own.
fn named(one: &Fetched) -> Option<String> {
    let Fetch { package, blocked: None, port, .. } = &one.fetch else { return None };
    let host = code(&one.fetch.named());
    match package {
        Some(package) => Some(format!("{} from {host}", code(package))),
        None if *port == 443 => Some(format!("packages from {host}")),
        None => None,
    }
}

/// The hosts that some were not let through to, each with what would allow it.
fn blocked(situation: &Situation, by: impl Fn(Fetcher) -> bool) -> String {
    let of = situation.fetches.iter().filter(|one| by(one.by));
    let mut lines: Vec<String> = of
        .filter_map(|one| {
            let named = one.fetch.named();
            let remedy = one.fetch.blocked.as_ref()?.remedy(&named);
            Some(format!("- {}: {remedy}", code(&named)))
        })
        .collect();
    lines.sort();
    lines.dedup();
    lines.truncate(MOST);
    if lines.is_empty() {
        return String::new();
    }
    format!("Not let through (seen by Baton):\n\n{}", lines.join("\n"))
}
