//! Lines out of a stream of bytes.

use std::io;

use tokio::io::{AsyncBufReadExt, BufReader};

use crate::sandbox::Output;

/// The longest line that is taken whole; what is longer is cut there. A model answer with a large file
/// in it fits.
const MAX_LINE: usize = 32 << 20;

/// How much of standard error is kept to explain a crash, in bytes.
const TAIL: usize = 4096;

/// The end of what a program complained of.
#[derive(Default)]
pub(super) struct Tail(String);

impl Tail {
    pub(super) fn add(&mut self, line: &str) {
        self.0.push_str(line);
        self.0.push('\n');
        let excess = self.0.len().saturating_sub(TAIL);
        let cut = (excess..).find(|at| self.0.is_char_boundary(*at)).unwrap_or(0);
        self.0.drain(..cut);
    }

    pub(super) fn text(&self) -> &str {
        &self.0
    }
}

/// Reads lines of bytes, bounded, keeping what it has when the reading is given up half-way.
pub(super) struct Lines {
    from: BufReader<Output>,
    line: Vec<u8>,
    pub(super) open: bool,
    /// How much of the stream there was up to the end of the newest line, in bytes.
    pub(super) upto: u64,
    /// How much was read.
    read: u64,
}

impl Lines {
    /// Lines of a stream of which so much was read already.
    pub(super) fn new(from: Option<Output>, upto: u64) -> Self {
        let open = from.is_some();
        let from = from.unwrap_or_else(|| Box::new(tokio::io::empty()));
        let from = BufReader::with_capacity(64 << 10, from);
        Self { from, line: Vec::new(), open, upto, read: upto }
    }

    /// The next line without its line feed; none at the end. Safe to give up and call again.
    pub(super) async fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            match self.fill().await {
                Ok(true) => {
                    self.upto = self.read;
                    return Some(std::mem::take(&mut self.line));
                }
                Ok(false) => {}
                Err(_) => {
                    (self.open, self.upto) = (false, self.read);
                    return (!self.line.is_empty()).then(|| std::mem::take(&mut self.line));
                }
            }
        }
    }

    /// Takes in what is there. True when that completes a line.
    async fn fill(&mut self) -> io::Result<bool> {
        let there = self.from.fill_buf().await?;
        if there.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let end = there.iter().position(|byte| *byte == b'\n');
        let part = &there[..end.unwrap_or(there.len())];
        let room = MAX_LINE.saturating_sub(self.line.len());
        self.line.extend_from_slice(&part[..part.len().min(room)]);
        let used = end.map_or(there.len(), |at| at + 1);
        self.from.consume(used);
        self.read += used as u64;
        Ok(end.is_some())
    }
}
