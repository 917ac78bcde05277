//! From what a program prints to numbered lines.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::model::AgentId;

use super::batches::{self, LineStore, LogLine, LogStream};
use super::lines::LineRedactor;
use super::redact::Redactor;
use super::settings::LogSettings;

/// The logs of all agents of this process.
pub struct Logs {
    sender: mpsc::Sender<LogLine>,
    storing: JoinHandle<()>,
    /// The newest numbers of agents whose log was left off.
    left_off: LeftOff,
    redactor: Redactor,
    clock: Clock,
    settings: LogSettings,
}

type LeftOff = Arc<Mutex<HashMap<AgentId, i64>>>;

impl Logs {
    /// Begins to store lines.
    #[must_use]
    pub fn start(
        store: Arc<dyn LineStore>,
        redactor: Redactor,
        clock: Clock,
        settings: LogSettings,
    ) -> Self {
        let (sender, lines) = mpsc::channel(settings.waiting_lines);
        let storing = tokio::spawn(batches::store(store, lines, settings));
        Self { sender, storing, left_off: Arc::default(), redactor, clock, settings }
    }

    /// Opens the log of an agent that begins, or one that was left off before. An agent has one writer at a
    /// time.
    #[must_use]
    pub fn open(&self, agent: AgentId) -> LogWriter {
        let left_off = self.left_off.lock().unwrap_or_else(PoisonError::into_inner).remove(&agent);
        self.open_after(agent, left_off.unwrap_or_default(), 0)
    }

    /// Opens the log of an agent that is told again from behind a number on; what is stored up to another one
    /// is not stored again.
    #[must_use]
    pub fn open_after(&self, agent: AgentId, seq: i64, stored: i64) -> LogWriter {
        let redactor = || LineRedactor::new(self.redactor.clone());
        LogWriter {
            agent,
            seq,
            stored,
            bytes: 0,
            full: false,
            output: redactor(),
            error: redactor(),
            left_off: Arc::clone(&self.left_off),
            sender: self.sender.clone(),
            clock: self.clock.clone(),
            settings: self.settings,
        }
    }

    /// Returns when all lines are stored. The writers have to be gone before.
    pub async fn stop(self) {
        drop(self.sender);
        if let Err(error) = self.storing.await {
            tracing::error!(error = %error, "the log's writer broke down");
        }
    }
}

/// The log of one agent.
pub struct LogWriter {
    agent: AgentId,
    seq: i64,
    /// Up to which number lines are stored already.
    stored: i64,
    bytes: usize,
    full: bool,
    output: LineRedactor,
    error: LineRedactor,
    left_off: LeftOff,
    sender: mpsc::Sender<LogLine>,
    clock: Clock,
    settings: LogSettings,
}

impl LogWriter {
    /// Takes one line, without its line feed, in any encoding. Waits while the database is slow.
    pub async fn line(&mut self, stream: LogStream, line: &[u8]) {
        if self.full {
            return;
        }
        let text = String::from_utf8_lossy(line);
        // Secrets first, then the cut: a cut through a secret would leave half of it.
        let text = match stream {
            LogStream::Output | LogStream::Note => self.output.line(&text),
            LogStream::Error => self.error.line(&text),
        };
        let text = cut(text, self.settings.line_bytes);
        if self.bytes + text.len() > self.settings.agent_bytes {
            self.full = true;
            let limit = self.settings.agent_bytes >> 20;
            let note = format!("the log ends here: this agent has printed more than {limit} MiB");
            self.put(LogStream::Note, note).await;
            return;
        }
        self.bytes += text.len();
        self.put(stream, text).await;
    }

    /// The number of the newest line; 0 before the first.
    #[must_use]
    pub fn last_seq(&self) -> i64 {
        self.seq
    }

    /// Leaves off: whoever opens the log of this agent next goes on behind the newest number.
    pub fn leave_off(self) {
        self.left_off.lock().unwrap_or_else(PoisonError::into_inner).insert(self.agent, self.seq);
    }

    async fn put(&mut self, stream: LogStream, text: String) {
        self.seq += 1;
        let line = LogLine { agent: self.agent, seq: self.seq, at: self.clock.now(), stream, text };
        if line.seq > self.stored {
            // Fails only if the storing task broke down; `Logs::stop` tells.
            let _ = self.sender.send(line).await;
        }
    }
}

/// Cuts to so many bytes, on a character, and says so. Postgres takes no NUL in a text.
fn cut(text: String, limit: usize) -> String {
    let text = if text.contains('\0') { text.replace('\0', "\u{FFFD}") } else { text };
    if text.len() <= limit {
        return text;
    }
    let mut end = limit;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{} … (cut here, {} bytes more)", &text[..end], text.len() - end)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::logs::{LogsError, Stored};

    /// Keeps lines, and fails as often as it is told to.
    #[derive(Default)]
    struct Store {
        lines: Mutex<Vec<LogLine>>,
        batches: Mutex<Vec<usize>>,
        failures: Mutex<u32>,
    }

    impl LineStore for Store {
        fn insert_batch<'a>(&'a self, lines: &'a [LogLine]) -> Stored<'a> {
            let mut failures = self.failures.lock().unwrap();
            if *failures > 0 {
                *failures -= 1;
                return Box::pin(async { Err(LogsError("no database".to_owned())) });
            }
            self.lines.lock().unwrap().extend_from_slice(lines);
            self.batches.lock().unwrap().push(lines.len());
            Box::pin(async { Ok(()) })
        }
    }

    impl Store {
        fn texts(&self) -> Vec<String> {
            self.lines.lock().unwrap().iter().map(|line| line.text.clone()).collect()
        }
    }

    fn logs(store: &Arc<Store>, settings: LogSettings) -> Logs {
        let store = Arc::<Store>::clone(store);
        Logs::start(store, Redactor::new(["open-sesame"]), Clock::system(), settings)
    }

    #[tokio::test]
    async fn lines_are_stored_in_order_without_secrets_and_together() {
        let store = Arc::new(Store::default());
        let logs = logs(&store, LogSettings::default());
        let mut writer = logs.open(AgentId(1));
        writer.line(LogStream::Output, b"say open-sesame").await;
        writer.line(LogStream::Error, b"bad \xff byte and \0").await;
        drop(writer);
        logs.stop().await;
        assert_eq!(store.texts(), ["say [redacted]", "bad \u{FFFD} byte and \u{FFFD}"]);
        let seqs: Vec<i64> = store.lines.lock().unwrap().iter().map(|line| line.seq).collect();
        assert_eq!(seqs, [1, 2]);
        assert_eq!(*store.batches.lock().unwrap(), [2]);
    }

    #[tokio::test]
    async fn a_long_line_is_cut_after_its_secrets_are_out() {
        let store = Arc::new(Store::default());
        let logs = logs(&store, LogSettings { line_bytes: 12, ..LogSettings::default() });
        let mut writer = logs.open(AgentId(1));
        writer.line(LogStream::Output, "üüüüü open-sesame".as_bytes()).await;
        drop(writer);
        logs.stop().await;
        assert_eq!(store.texts(), ["üüüüü [ … (cut here, 9 bytes more)"]);
    }

    #[tokio::test]
    async fn an_agent_that_prints_without_end_is_cut_off_with_a_note() {
        let store = Arc::new(Store::default());
        let logs = logs(&store, LogSettings { agent_bytes: 2 << 20, ..LogSettings::default() });
        let mut writer = logs.open(AgentId(1));
        for _ in 0..40 {
            writer.line(LogStream::Output, &[b'x'; 64 << 10]).await;
        }
        assert_eq!(writer.last_seq(), 33);
        drop(writer);
        logs.stop().await;
        let texts = store.texts();
        assert_eq!(texts[32], "the log ends here: this agent has printed more than 2 MiB");
        assert_eq!(texts.len(), 33);
    }

    #[tokio::test]
    async fn a_database_that_fails_loses_no_line() {
        let store = Arc::new(Store { failures: Mutex::new(3), ..Store::default() });
        let settings = LogSettings {
            waiting_lines: 2,
            batch_lines: 2,
            retry: Duration::from_millis(1),
            ..LogSettings::default()
        };
        let logs = logs(&store, settings);
        let mut writer = logs.open(AgentId(1));
        for number in 0..20 {
            writer.line(LogStream::Output, number.to_string().as_bytes()).await;
        }
        drop(writer);
        logs.stop().await;
        let expected: Vec<String> = (0..20).map(|number: i32| number.to_string()).collect();
        assert_eq!(store.texts(), expected);
    }

    #[tokio::test]
    async fn a_log_that_was_left_off_goes_on_behind_its_newest_number() {
        let store = Arc::new(Store::default());
        let logs = logs(&store, LogSettings::default());
        let mut writer = logs.open(AgentId(1));
        writer.line(LogStream::Output, b"set up").await;
        writer.leave_off();
        let mut writer = logs.open(AgentId(1));
        writer.line(LogStream::Output, b"at work").await;
        drop(writer);
        assert_eq!(logs.open(AgentId(1)).last_seq(), 0, "it is over");
        logs.stop().await;
        let seqs: Vec<i64> = store.lines.lock().unwrap().iter().map(|line| line.seq).collect();
        assert_eq!(seqs, [1, 2]);
    }

    #[tokio::test]
    async fn what_is_stored_already_is_told_again_and_not_stored_again() {
        let store = Arc::new(Store::default());
        let logs = logs(&store, LogSettings::default());
        let mut writer = logs.open_after(AgentId(1), 5, 7);
        for line in ["six", "seven", "eight"] {
            writer.line(LogStream::Output, line.as_bytes()).await;
        }
        assert_eq!(writer.last_seq(), 8);
        drop(writer);
        logs.stop().await;
        assert_eq!(store.texts(), ["eight"]);
        assert_eq!(store.lines.lock().unwrap()[0].seq, 8);
    }
}
