//! What an audit says: an issue for each finding, and one reply for the whole.

use sha2::{Digest, Sha256};

use crate::model::{AuditFinding, AuditOutcome, Situation, Untrusted};

use super::evidence::agent_says;
use super::figures::count;
use super::fit::{COMMENT, fit};
use super::quote::{block, code, fence, plain};

/// Room for the marker that the ledger puts before a body.
pub(super) const MARKER_ROOM: usize = 500;

/// An issue that is to be opened, unless one with its marker is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewIssue {
    /// The hidden first line: the same for the same finding of two audits.
    pub marker: String,
    /// At most 256 characters.
    pub title: String,
    /// Markdown without the marker.
    pub body: String,
}

/// Marks a finding by its place in the tree and its words, not by its line.
fn same_finding(name: &str, finding: &AuditFinding) -> String {
    let words: String = finding.title.visible().to_lowercase().split_whitespace().collect();
    let digest = Sha256::digest(format!("{}\0{words}", finding.path.visible()));
    let digest: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    super::marker::marker(name, crate::model::TaskId(0), "audit", &digest)
}

/// The issue for one finding.
#[must_use]
pub fn audit_issue(situation: &Situation, finding: &AuditFinding) -> NewIssue {
    let name = &situation.name;
    let severity = plain(&Untrusted::from(finding.severity.as_str()), 20);
    let parts = [
        format!("{} · {severity}", code(&format!("{}:{}", finding.path.visible(), finding.line))),
        block(&finding.body, 20_000),
        format!(
            "**Evidence**, as the agent gives it:\n\n{}",
            fence(&finding.evidence.as_code(), "")
        ),
        format!(
            "To have it fixed, put the label `{name}` on this issue. If it is wrong, close it.\n\n\
             <sub>Found by an audit that Baton was asked for; no person has checked it.</sub>"
        ),
    ];
    let title = plain(&finding.title, 256);
    let title = if title.is_empty() { "Finding of an audit".to_owned() } else { title };
    let body = fit(&parts.join("\n\n"), COMMENT - MARKER_ROOM);
    NewIssue { marker: same_finding(name, finding), title, body }
}

/// The reply to whoever asked for the audit.
#[must_use]
pub fn audit_summary(outcome: &AuditOutcome) -> String {
    let found = match outcome.findings.len() {
        0 => "**The audit found nothing that deserves an issue.**".to_owned(),
        some => {
            format!("**The audit found {}**, each in an issue of its own:", count(some, "thing"))
        }
    };
    let lines = outcome.findings.iter().map(|finding| {
        let severity = plain(&Untrusted::from(finding.severity.as_str()), 20);
        format!("- {} ({severity})", super::quote::line(&finding.title, 256))
    });
    let parts = [found, lines.collect::<Vec<_>>().join("\n"), agent_says(&outcome.summary, 4000)];
    let said: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    fit(&said.join("\n\n"), COMMENT - MARKER_ROOM)
}
