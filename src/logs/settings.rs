//! How much of a log is kept, and how it is gathered.

use std::time::Duration;

/// Limits of the log.
#[derive(Debug, Clone, Copy)]
pub struct LogSettings {
    /// Bytes of a line; the rest is cut off and noted.
    pub line_bytes: usize,
    /// Bytes of all lines of one agent; then there is one note, and silence.
    pub agent_bytes: usize,
    /// Lines a statement.
    pub batch_lines: usize,
    /// How long a line waits for others to go with.
    pub flush: Duration,
    /// The pause after a write that failed; it doubles up to ten seconds.
    pub retry: Duration,
    /// Lines of all agents that wait to be stored; then the programs have to wait.
    pub waiting_lines: usize,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            line_bytes: 64 << 10,
            agent_bytes: 64 << 20,
            batch_lines: 1_000,
            flush: Duration::from_millis(25),
            retry: Duration::from_millis(100),
            waiting_lines: 2_000,
        }
    }
}
