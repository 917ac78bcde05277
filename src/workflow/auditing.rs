//! Audits that agents want: beside the task's own work, of each commit one, and never at the task's cost.

use crate::model::{AuditWish, Message, ReportKind, Sha, Situation, StageKey};

use super::{Decision, Effect, draft::Draft};

/// An agent wants one. A reviewer's is of the commit that it reads; a coder's waits until its change is on
/// GitHub.
pub(super) fn wanted(mut draft: Draft<'_>, wish: &AuditWish) -> Decision {
    let Some(agent) = draft.s.agent(wish.agent) else { return draft.nothing("unknown_agent") };
    let base = agent.base.clone();
    draft.add(Effect::Raise(ReportKind::Progress));
    if agent.stage == StageKey::Code {
        return draft.rule("audit_wanted_once_pushed");
    }
    match begin(&mut draft, &base, vec![wish.clone()]) {
        true => draft.rule("audit_wanted"),
        false => draft.rule("audit_wanted_in_vain"),
    }
}

/// The change is on GitHub as this commit: what its coders asked for begins.
pub(super) fn published(draft: &mut Draft<'_>, head: &Sha) {
    let situation = draft.s;
    let wishes = situation.audit_wishes.iter().filter(|wish| situation.is_by_coder(wish));
    let due = wishes.filter(|wish| situation.audit_for(wish).is_none());
    begin(draft, head, due.cloned().collect());
}

/// Starts the auditor at a commit, where nothing speaks against it; whether it did.
fn begin(draft: &mut Draft<'_>, commit: &Sha, wishes: Vec<AuditWish>) -> bool {
    let over = draft.s.task.as_ref().is_none_or(|task| task.state.is_final());
    let begins = !over
        && !wishes.is_empty()
        && draft.s.policy.agent_audits
        && !is_at_work(draft.s)
        && !draft.s.is_audited(commit)
        && draft.obstacle().is_none();
    if begins {
        let messages = wishes.into_iter().map(|wish| Message::AuditWanted { wish }).collect();
        draft.start_unchecked(StageKey::Audit, None, messages, commit.clone());
    }
    begins
}

fn is_at_work(situation: &Situation) -> bool {
    situation.stage(StageKey::Audit).is_some_and(|stage| stage.state.is_active())
}
