//! Remarks that live through rounds: which are new, which are repeated, which are settled.

use crate::model::{
    Finding, FindingState, ReviewFinding, ReviewOutcome, Severity, Situation, Verdict,
};

use super::hashes::fingerprint;

/// Numbers of the open findings that must be fixed.
pub(super) fn open_numbers(s: &Situation) -> Vec<u32> {
    must_fix(&s.findings).map(|finding| finding.number).collect()
}

fn must_fix(findings: &[Finding]) -> impl Iterator<Item = &Finding> {
    findings.iter().filter(|f| f.state == FindingState::Open && f.severity == Severity::MustFix)
}

/// What a review makes of the findings: those that change, in their new form.
pub(super) fn after_review(s: &Situation, review: &ReviewOutcome, round: u32) -> Vec<Finding> {
    let mut changed: Vec<Finding> = Vec::new();
    let mut next = s.findings.iter().map(|finding| finding.number).max().unwrap_or(0) + 1;
    for remark in &review.findings {
        let print = fingerprint(&remark.path.visible(), &remark.title.visible());
        if changed.iter().any(|finding| finding.fingerprint == print) {
            continue;
        }
        let known = s.findings.iter().find(|finding| finding.fingerprint == print);
        let number = known.map_or(next, |finding| finding.number);
        next = next.max(number + 1);
        let first = known.map_or(round, |finding| finding.first_round);
        changed.push(finding_of(remark, print, number, first, round));
    }
    for finding in s.findings.iter().filter(|finding| finding.state == FindingState::Open) {
        let repeated = changed.iter().any(|other| other.number == finding.number);
        let named = review.settled.iter().any(|id| id.trim() == format!("F{}", finding.number));
        if !repeated && (named || review.verdict == Verdict::Approve) {
            changed.push(Finding { state: FindingState::Settled, ..finding.clone() });
        }
    }
    changed
}

fn finding_of(
    remark: &ReviewFinding,
    print: String,
    number: u32,
    first: u32,
    round: u32,
) -> Finding {
    Finding {
        number,
        fingerprint: print,
        severity: remark.severity,
        path: remark.path.visible(),
        line: remark.line,
        title: remark.title.clone(),
        body: remark.body.clone(),
        suggestion: remark.suggestion.clone(),
        state: FindingState::Open,
        first_round: first,
        last_round: round,
    }
}

/// The findings as they stand once the changed ones are in.
pub(super) fn merged(s: &Situation, changed: &[Finding]) -> Vec<Finding> {
    let mut all: Vec<Finding> = s
        .findings
        .iter()
        .filter(|old| !changed.iter().any(|new| new.number == old.number))
        .cloned()
        .collect();
    all.extend_from_slice(changed);
    all
}

/// Whether the last round brought nothing: every remark that must be fixed now had to be before.
pub(super) fn stuck(s: &Situation, changed: &[Finding]) -> bool {
    let now: Vec<u32> = must_fix(&merged(s, changed)).map(|finding| finding.number).collect();
    let before = open_numbers(s);
    !before.is_empty() && before.iter().all(|number| now.contains(number))
}
