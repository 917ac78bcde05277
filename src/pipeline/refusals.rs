//! What the gateway refuses a running agent: kept in its row, and said in its log at its end.

use super::{Failure, Parts};
use crate::{
    db::agents,
    logs::{LogStream, LogWriter, Redactor},
    model::{AgentId, Barred, Untrusted},
};

/// How many different refusals of one agent are kept.
const MOST: usize = 20;

/// Takes over what was refused since the last time.
pub(super) async fn take(
    parts: &Parts,
    agent: AgentId,
    all: &mut Vec<Barred>,
    redactor: &Redactor,
) -> Result<(), Failure> {
    let later = parts.runtime.refused(agent);
    if later.is_empty() {
        return Ok(());
    }
    for Barred { what, times } in later {
        let what = Untrusted(redactor.redact(&what.0));
        Barred::add(all, Barred { what, times }, MOST);
    }
    Ok(agents::set_refused(&parts.pool, agent, all).await?)
}

/// Says all of it in the agent's log, once the agent has ended: until then the numbers of its lines are those
/// of what it printed, by which another Baton could go on with them.
pub(super) async fn say(all: &[Barred], log: &mut LogWriter) {
    for Barred { what, times } in all {
        let line = format!("the gateway refused: {} ({times} times)", what.0);
        log.line(LogStream::Note, line.as_bytes()).await;
    }
}
