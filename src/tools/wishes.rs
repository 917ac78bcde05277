//! `audit_wanted`: an agent asks that an auditor looks at the change it works on.

use serde::Deserialize;

use super::{
    Tools,
    call::{CallError, held},
    emit,
};
use crate::{
    db::{agents::Caller, events, tasks},
    model::{AuditWish, Untrusted, What},
};

/// Characters of a reason: a paragraph or two.
pub(super) const LONGEST_REASON: usize = 1000;
/// Places that one wish names.
pub(super) const MOST_PATHS: usize = 20;
/// Characters of a path.
pub(super) const LONGEST_PATH: usize = 300;
/// Wishes of one task: each can cost an audit.
const MOST_OF_TASK: usize = 3;

/// What it takes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    reason: String,
    #[serde(default)]
    paths: Vec<String>,
}

/// Keeps the wish, and tells the pipeline.
pub(super) async fn audit(
    tools: &Tools,
    caller: &Caller,
    wanted: Wanted,
) -> Result<String, CallError> {
    held("the reason", &wanted.reason, LONGEST_REASON)?;
    if wanted.paths.len() > MOST_PATHS {
        return Err(CallError::refused(format!("at most {MOST_PATHS} paths can be named")));
    }
    for path in &wanted.paths {
        held("a path", path, LONGEST_PATH)?;
    }
    let mut tx = tools.pool.begin().await?;
    tasks::lock(&mut *tx, caller.task).await?;
    if !tasks::load(&mut *tx, caller.task).await?.policy.agent_audits {
        let why = "in this repository only people ask for audits (its policy does not say `audit: agents`); \
                   what is outside of your task can be a follow_up";
        return Err(CallError::refused(why));
    }
    let wishes = events::list_audit_wishes(&mut *tx, caller.task).await?;
    has_room(caller, &wishes)?;
    let redacted = |text: &String| Untrusted((tools.redact)(text));
    let paths = wanted.paths.iter().map(redacted).collect();
    let wish = AuditWish { agent: caller.agent, reason: redacted(&wanted.reason), paths };
    let key = format!("agent:{}:audit.wanted", caller.agent);
    let wake = emit::tell(tools, &mut tx, caller, key, What::AuditWanted { wish }).await?;
    tx.commit().await?;
    wake.release(&tools.wakes);
    Ok("Asked for; people see on the thread what comes of it. Go on with your task.".to_owned())
}

fn has_room(caller: &Caller, wishes: &[AuditWish]) -> Result<(), CallError> {
    if wishes.iter().any(|wish| wish.agent == caller.agent) {
        return Err(CallError::refused("you have asked for an audit already"));
    }
    if wishes.len() >= MOST_OF_TASK {
        let why = format!("for this task {MOST_OF_TASK} audits were asked for; no more are");
        return Err(CallError::refused(why));
    }
    Ok(())
}
