//! The audits that agents wanted: who, why, and what came of it.

use crate::model::{Agent, AgentState, AuditWish, End, Outcome, Situation, Task};

use super::figures::count;
use super::kept::upper_first;
use super::question::whose;
use super::quote::line;

/// Characters of a reason that are shown.
const REASON: usize = 200;

/// A line for each, for the progress comment.
#[must_use]
pub fn wished(situation: &Situation, task: &Task) -> String {
    let lines = situation.audit_wishes.iter().map(|wish| {
        format!(
            "- {} asks for an audit: {} → {}",
            upper_first(whose(situation, wish.agent)),
            line(&wish.reason, REASON),
            came_of(situation, task, wish)
        )
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn came_of(situation: &Situation, task: &Task, wish: &AuditWish) -> String {
    if let Some(audit) = situation.audit_for(wish) {
        return of_audit(audit);
    }
    let reviewed = situation.agent(wish.agent).filter(|_| !situation.is_by_coder(wish));
    let commit = reviewed.map(|agent| &agent.base).or(task.head.as_ref());
    if situation.audit_waits(task, wish) {
        "begins once the change is pushed".to_owned()
    } else if commit.is_some_and(|commit| situation.is_audited(commit)) {
        "that commit is audited already".to_owned()
    } else {
        "not begun: there was no money or no sandbox for it, or another audit was at work"
            .to_owned()
    }
}

fn of_audit(audit: &Agent) -> String {
    let commit = audit.base.short();
    match (&audit.state, &audit.outcome) {
        (AgentState::Ended(End::Succeeded), Some(Outcome::Audit(outcome))) => {
            format!("`{commit}` was audited: {}", count(outcome.findings.len(), "issue"))
        }
        (AgentState::Ended(_), _) => format!("the audit of `{commit}` came to no end"),
        (
            AgentState::Queued
            | AgentState::Preparing
            | AgentState::Running
            | AgentState::Finishing,
            _,
        ) => format!("an auditor is looking at `{commit}`"),
    }
}
