//! What the gateway refuses a running agent: said in its log when it happens, kept in its row.

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
    log: &mut LogWriter,
    redactor: &Redactor,
) -> Result<(), Failure> {
    let later = parts.runtime.refused(agent);
    if later.is_empty() {
        return Ok(());
    }
    for refused in later {
        let Barred { what, times } = refused;
        let what = redactor.redact(&what.0);
        let line = format!("the gateway refused: {what} ({times} times)");
        log.line(LogStream::Note, line.as_bytes()).await;
        Barred::add(all, Barred { what: Untrusted(what), times }, MOST);
    }
    Ok(agents::set_refused(&parts.pool, agent, all).await?)
}
