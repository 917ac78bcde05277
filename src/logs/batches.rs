//! Numbered lines on their way to the database: many lines a statement, none lost.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::model::{AgentId, Timestamp};

use super::settings::LogSettings;

/// One line of one agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// Whose.
    pub agent: AgentId,
    /// Its number within the agent, from 1, without gaps.
    pub seq: i64,
    /// When it was read.
    pub at: Timestamp,
    /// Where from.
    pub stream: LogStream,
    /// The text, without secrets, line feed and NUL.
    pub text: String,
}

/// Where a line comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogStream {
    /// The program's standard output.
    Output,
    /// The program's standard error.
    Error,
    /// Baton itself, about the log.
    Note,
}

impl LogStream {
    /// The name in SQL.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Output => "out",
            Self::Error => "err",
            Self::Note => "note",
        }
    }
}

/// A write that is on its way.
pub type Stored<'a> = Pin<Box<dyn Future<Output = Result<(), LogsError>> + Send + 'a>>;

/// Where lines are kept. Storing the same line again changes nothing.
pub trait LineStore: Send + Sync + 'static {
    /// Stores lines of any agents, all or none.
    fn insert_batch<'a>(&'a self, lines: &'a [LogLine]) -> Stored<'a>;
}

/// The lines could not be stored; they are kept and tried again.
#[derive(Debug, thiserror::Error)]
#[error("log lines could not be stored: {0}")]
pub struct LogsError(pub String);

/// The pause after a failed write doubles up to this.
const LAST_PAUSE: Duration = Duration::from_secs(10);

/// Stores lines until all senders are gone. While it cannot store, the channel fills up and those
/// who send have to wait.
pub(super) async fn store(
    store: Arc<dyn LineStore>,
    mut lines: mpsc::Receiver<LogLine>,
    settings: LogSettings,
) {
    let mut batch = Vec::with_capacity(settings.batch_lines);
    while lines.recv_many(&mut batch, settings.batch_lines).await > 0 {
        fill(&mut lines, &mut batch, &settings).await;
        insert(&*store, &batch, settings.retry).await;
        batch.clear();
    }
}

/// Waits a moment for more, so that lines that come one by one go together.
async fn fill(
    lines: &mut mpsc::Receiver<LogLine>,
    batch: &mut Vec<LogLine>,
    settings: &LogSettings,
) {
    let deadline = tokio::time::Instant::now() + settings.flush;
    while batch.len() < settings.batch_lines {
        let room = settings.batch_lines - batch.len();
        match tokio::time::timeout_at(deadline, lines.recv_many(batch, room)).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
}

async fn insert(store: &dyn LineStore, batch: &[LogLine], first_pause: Duration) {
    let mut pause = first_pause;
    while let Err(error) = store.insert_batch(batch).await {
        tracing::warn!(lines = batch.len(), error = %error, "log lines wait to be stored");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LAST_PAUSE);
    }
}
