//! The newest lines of one agent, kept for those who watch. Followers hold a cursor each, so a slow
//! one costs nothing and holds nobody up.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::batches::LogLine;

/// One agent's newest lines. Cheap to clone.
#[derive(Clone)]
pub struct Ring {
    lines: Arc<Mutex<Lines>>,
    newest: watch::Sender<Newest>,
}

struct Lines {
    kept: VecDeque<Arc<LogLine>>,
    bytes: usize,
    room: usize,
}

#[derive(Debug, Clone, Copy)]
struct Newest {
    seq: i64,
    closed: bool,
}

/// What a follower gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// The next lines, in order, without a gap to the ones before.
    Lines(Vec<Arc<LogLine>>),
    /// Older lines are wanted than are kept: those up to, but without, this one are in the database.
    /// Say with [`Follower::resume`] how far they were read.
    Behind {
        /// The oldest line that is kept.
        first_kept: i64,
    },
    /// All was told, and there will be no more.
    Ended,
}

impl Ring {
    /// Keeps lines of up to `room` bytes in all, and the newest one in any case.
    #[must_use]
    pub fn new(room: usize) -> Self {
        let lines = Lines { kept: VecDeque::new(), bytes: 0, room };
        let (newest, _) = watch::channel(Newest { seq: 0, closed: false });
        Self { lines: Arc::new(Mutex::new(lines)), newest }
    }

    /// Follows from the first line after `after`; 0 is before all.
    #[must_use]
    pub fn follow(&self, after: i64) -> Follower {
        let newest = self.newest.subscribe();
        Follower { lines: Arc::clone(&self.lines), newest, cursor: after }
    }

    pub(super) fn push(&self, line: Arc<LogLine>) {
        let seq = line.seq;
        let mut lines = locked(&self.lines);
        lines.bytes += line.text.len();
        lines.kept.push_back(line);
        while lines.bytes > lines.room && lines.kept.len() > 1 {
            let dropped = lines.kept.pop_front().map_or(0, |line| line.text.len());
            lines.bytes -= dropped;
        }
        drop(lines);
        self.newest.send_modify(|newest| newest.seq = seq);
    }

    pub(super) fn close(&self) {
        self.newest.send_modify(|newest| newest.closed = true);
    }
}

fn locked(lines: &Mutex<Lines>) -> MutexGuard<'_, Lines> {
    lines.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One who watches an agent.
pub struct Follower {
    lines: Arc<Mutex<Lines>>,
    newest: watch::Receiver<Newest>,
    cursor: i64,
}

impl Follower {
    /// Waits for news: all lines after the cursor that are kept. Cancelling it loses nothing.
    pub async fn next(&mut self) -> News {
        loop {
            let newest = *self.newest.borrow_and_update();
            if newest.seq > self.cursor {
                return self.read();
            }
            // The agent's writer is gone if the channel is closed.
            if newest.closed || self.newest.changed().await.is_err() {
                return News::Ended;
            }
        }
    }

    /// Goes on after this line: what lies before was read from the database.
    pub fn resume(&mut self, after: i64) {
        self.cursor = self.cursor.max(after);
    }

    fn read(&mut self) -> News {
        let lines = locked(&self.lines);
        let first_kept = lines.kept.front().map_or(0, |line| line.seq);
        if first_kept > self.cursor + 1 {
            return News::Behind { first_kept };
        }
        let from = lines.kept.partition_point(|line| line.seq <= self.cursor);
        let news: Vec<Arc<LogLine>> = lines.kept.iter().skip(from).cloned().collect();
        self.cursor = news.last().map_or(self.cursor, |line| line.seq);
        News::Lines(news)
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::logs::LogStream;
    use crate::model::AgentId;

    fn push(ring: &Ring, seq: i64) {
        ring.push(Arc::new(LogLine {
            agent: AgentId(1),
            seq,
            at: DateTime::UNIX_EPOCH,
            stream: LogStream::Output,
            text: "0123456789".to_owned(),
        }));
    }

    async fn seqs(follower: &mut Follower) -> Vec<i64> {
        match follower.next().await {
            News::Lines(lines) => lines.iter().map(|line| line.seq).collect(),
            other => panic!("lines were expected, not {other:?}"),
        }
    }

    #[tokio::test]
    async fn a_follower_gets_each_line_once_and_then_the_end() {
        let ring = Ring::new(1_000);
        let mut follower = ring.follow(0);
        (1..=3).for_each(|seq| push(&ring, seq));
        assert_eq!(seqs(&mut follower).await, [1, 2, 3]);
        push(&ring, 4);
        ring.close();
        assert_eq!(seqs(&mut follower).await, [4]);
        assert_eq!(follower.next().await, News::Ended);
    }

    #[tokio::test]
    async fn a_follower_resumes_after_the_line_it_names() {
        let ring = Ring::new(1_000);
        (1..=5).for_each(|seq| push(&ring, seq));
        assert_eq!(seqs(&mut ring.follow(3)).await, [4, 5]);
    }

    #[tokio::test]
    async fn one_who_is_too_slow_is_told_what_to_read_elsewhere() {
        let ring = Ring::new(25);
        (1..=5).for_each(|seq| push(&ring, seq));
        let mut follower = ring.follow(1);
        assert_eq!(follower.next().await, News::Behind { first_kept: 4 });
        follower.resume(3);
        assert_eq!(seqs(&mut follower).await, [4, 5]);
    }

    #[tokio::test]
    async fn waiting_ends_with_the_next_line_and_with_the_writer() {
        let ring = Ring::new(100);
        let mut follower = ring.follow(0);
        let waiting = tokio::spawn(async move {
            let first = seqs(&mut follower).await;
            (first, follower.next().await)
        });
        tokio::task::yield_now().await;
        push(&ring, 1);
        tokio::task::yield_now().await;
        drop(ring);
        assert_eq!(waiting.await.unwrap(), (vec![1], News::Ended));
    }
}
