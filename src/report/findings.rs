//! Findings as people read them: in checks, reviews and annotations.

use crate::model::{
    Annotation, AnnotationLevel, Finding, FindingState, Severity, Situation, Untrusted,
};

use super::figures::count;
use super::quote::{block, code, line, longest_run, plain};

/// The findings that stood after this round of review, must-fixes first. One that a review neither
/// repeats nor settles still stands.
#[must_use]
pub fn of_round(situation: &Situation, round: u32) -> Vec<&Finding> {
    let stood = |finding: &&Finding| {
        let open = finding.state == FindingState::Open;
        finding.first_round <= round && (open || round <= finding.last_round)
    };
    let mut found: Vec<&Finding> = situation.findings.iter().filter(stood).collect();
    found.sort_by_key(|finding| (finding.severity == Severity::Suggestion, finding.number));
    found
}

/// `1 must fix, 1 suggestion`; `nothing found` without findings.
#[must_use]
pub fn tally(findings: &[&Finding]) -> String {
    let of = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
    match (of(Severity::MustFix), of(Severity::Suggestion)) {
        (0, 0) => "nothing found".to_owned(),
        (0, suggestions) => count(suggestions, "suggestion"),
        (must, 0) => format!("{must} must fix"),
        (must, suggestions) => format!("{must} must fix, {}", count(suggestions, "suggestion")),
    }
}

/// `**F1, must fix** · `src/http/range.rs:88``.
#[must_use]
pub fn heading(finding: &Finding) -> String {
    let place = code(&format!("{}:{}", finding.path, finding.line));
    format!("**F{}, {}** · {place}", finding.number, weight(finding.severity))
}

/// A finding with its whole text.
#[must_use]
pub fn in_full(finding: &Finding) -> String {
    let title = line(&finding.title, 300);
    let body = block(&finding.body, 4000);
    let said = if body.starts_with(&title) { body } else { format!("{title}\n\n{body}") };
    format!("{}\n{}", heading(finding), said.trim_end())
}

/// The block that GitHub offers as a change of the line.
///
/// A text with characters that cannot be seen is shown, but not offered: who commits it should have
/// read it.
#[must_use]
pub fn suggestion(text: &Untrusted) -> String {
    let shown = text.as_code();
    let shown = shown.strip_suffix('\n').unwrap_or(&shown);
    let mark = "`".repeat((longest_run(shown) + 1).max(3));
    let seen_whole =
        text.0.replace('\r', "").trim_end_matches('\n') == shown.trim_end_matches('\n');
    let kind = if seen_whole { "suggestion" } else { "" };
    format!("{mark}{kind}\n{shown}\n{mark}")
}

/// A finding as a remark on its line.
#[must_use]
pub fn annotation(finding: &Finding) -> Annotation {
    let level = match finding.severity {
        Severity::MustFix => AnnotationLevel::Failure,
        Severity::Suggestion => AnnotationLevel::Notice,
    };
    let title = format!("F{}, {}: ", finding.number, weight(finding.severity));
    let room = 255 - title.chars().count();
    Annotation {
        path: finding.path.clone(),
        line: finding.line,
        level,
        title: format!("{title}{}", plain(&finding.title, room)),
        message: super::quote::clip(&finding.body.as_code(), 4000),
    }
}

fn weight(severity: Severity) -> &'static str {
    match severity {
        Severity::MustFix => "must fix",
        Severity::Suggestion => "suggestion",
    }
}
