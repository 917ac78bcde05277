//! The review that Baton posts on a pull request: remarks on lines, and the whole in a body.

use crate::model::{
    Finding, FindingState, Outcome, ReviewComment, ReviewOutcome, Sha, Situation, Untrusted,
};

use super::commands::typed;
use super::evidence::agent_says;
use super::findings::{of_round, suggestion, tally};
use super::fit::{COMMENT, fit};
use super::quote::{block, line};

/// Room for the marker that the ledger puts before the body.
const MARKER_ROOM: usize = 500;

/// A review as it is posted, without its marker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Markdown.
    pub body: String,
    /// Remarks on lines.
    pub comments: Vec<ReviewComment>,
}

/// The review of round `round` on a pull request's head.
///
/// New findings become remarks on their lines; those that still stand from an earlier round have a
/// thread already and are only named.
#[must_use]
pub fn review(situation: &Situation, head: &Sha, outcome: &ReviewOutcome, round: u32) -> Written {
    let found = of_round(situation, round);
    let (new, standing): (Vec<&Finding>, Vec<&Finding>) =
        found.iter().partition(|finding| finding.first_round == round);
    let mut parts = vec![format!("**{}** in `{}`", tally(&found), head.short())];
    parts.push(agent_says(&outcome.summary, 3000));
    parts.push(named("Still open", &standing));
    let settled: Vec<&Finding> = settled_since(situation, round);
    parts.push(named("Settled", &settled));
    parts.push(looked_at(outcome));
    parts.push(whats_next(situation, &found));
    parts.retain(|part| !part.is_empty());
    let comments = new.into_iter().map(comment).collect();
    let body = fit(&parts.join("\n\n"), COMMENT - MARKER_ROOM);
    Written { body, comments }
}

/// The text of a finding's remark, with a suggestion where there is one.
#[must_use]
pub fn comment(finding: &Finding) -> ReviewComment {
    let heading = format!(
        "**F{}, {}**",
        finding.number,
        match finding.severity {
            crate::model::Severity::MustFix => "must fix",
            crate::model::Severity::Suggestion => "suggestion",
        }
    );
    let mut parts =
        vec![format!("{heading} · {}", line(&finding.title, 300)), block(&finding.body, 6000)];
    parts.extend(finding.suggestion.as_ref().map(suggestion));
    ReviewComment {
        finding: finding.number,
        path: finding.path.clone(),
        line: finding.line,
        body: fit(&parts.join("\n\n"), COMMENT - MARKER_ROOM),
    }
}

/// What the reviewer says it looked at, and what not.
#[must_use]
pub fn looked_at(outcome: &ReviewOutcome) -> String {
    let list = |items: &[Untrusted]| {
        items.iter().map(|item| line(item, 200)).collect::<Vec<_>>().join(", ")
    };
    let said =
        [("Looked at", list(&outcome.looked_at)), ("Not looked at", list(&outcome.not_looked_at))];
    let said = said.into_iter().filter(|(_, items)| !items.is_empty());
    said.map(|(label, items)| format!("{label}: {}.", items.trim_end_matches('.')))
        .collect::<Vec<_>>()
        .join(" ")
}

/// Findings that the round before still had and this one settled.
#[must_use]
pub fn settled_since(situation: &Situation, round: u32) -> Vec<&Finding> {
    let reviews = situation
        .agents
        .iter()
        .filter(|agent| agent.attempt < round && matches!(agent.outcome, Some(Outcome::Review(_))));
    let before = reviews.map(|agent| agent.attempt).max();
    let settled = |finding: &&Finding| {
        finding.state == FindingState::Settled && Some(finding.last_round) == before
    };
    situation.findings.iter().filter(settled).collect()
}

/// `Settled: F1, F3`; empty without findings.
#[must_use]
pub fn named(label: &str, findings: &[&Finding]) -> String {
    if findings.is_empty() {
        return String::new();
    }
    let ids: Vec<String> = findings.iter().map(|finding| format!("F{}", finding.number)).collect();
    format!("{label}: {}", ids.join(", "))
}

/// What happens next with what was found.
#[must_use]
pub fn whats_next(situation: &Situation, found: &[&Finding]) -> String {
    use crate::model::{ParkReason, Severity, TaskOrigin, TaskState};
    let Some(task) = &situation.task else { return String::new() };
    let must: Vec<&Finding> =
        found.iter().copied().filter(|finding| finding.severity == Severity::MustFix).collect();
    if task.origin == TaskOrigin::Pull {
        return format!("**Next:** {} reads the newest commit.", typed(situation, "review"));
    }
    let fix = typed(situation, "fix");
    let ids = named("", &must).replacen(": ", "", 1);
    match (must.is_empty(), found.is_empty()) {
        (true, true) => "**Next:** a person merges.".to_owned(),
        (true, false) => {
            format!("**Next:** a person merges; or {fix} has the suggestions taken up.")
        }
        (false, _) if task.state != TaskState::Parked(ParkReason::NotConverging) => {
            format!(
                "**Next:** the coder settles {ids} (fix round {} of {}).",
                task.rounds.max(1),
                task.max_rounds,
            )
        }
        (false, _) => format!("**Next:** the rounds are used up; a person decides about {ids}."),
    }
}
