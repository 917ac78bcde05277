//! The bridge's side of a lifeline that may break and be taken up again.
//!
//! It keeps what the program prints until Baton has it for good. While nobody is there it keeps up to a bound,
//! and then lets the program wait; nothing is lost. Whatever Baton could not have exactly is ended instead.

use std::{
    collections::VecDeque,
    io,
    os::unix::net::UnixStream as Line,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::UnixStream,
    sync::Notify,
    time::{Instant, sleep, timeout_at},
};

use crate::sandbox::wire::{Kept, Key, LONGEST, NO_KEY, Word};

/// How much of each output is kept while nobody is there.
const AWAY: usize = 16 << 20;
/// How much may wait to be sent while Baton is there, as a pipe of the kernel's would hold it back too.
const UNSENT: usize = 256 << 10;
/// How much may be sent and not be kept by Baton yet: a line of the longest that it takes whole, and more.
const UNKEPT: usize = 48 << 20;
/// How much longer the Baton that starts it may take to answer.
const START: Duration = Duration::from_secs(30);
/// Between two calls to a Baton that is not there.
const AGAIN: Duration = Duration::from_millis(100);

/// How the line ended for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Over {
    /// Baton knows how the command ended.
    Done,
    /// Nobody came back, or nobody could go on exactly.
    Cut,
}

/// Which of the two outputs.
#[derive(Debug, Clone, Copy)]
pub(super) enum Which {
    Out,
    Err,
}

/// What the streams of one program have between it and Baton.
#[derive(Default)]
pub(super) struct Tether {
    state: Mutex<State>,
    /// There is something to send.
    news: Notify,
    /// An output may be read again.
    room: Notify,
    /// There is input.
    input: Notify,
    /// An output has ended.
    ended: Notify,
}

#[derive(Default)]
struct State {
    key: Key,
    out: Tail,
    err: Tail,
    input: Vec<u8>,
    input_ended: bool,
    taken: u64,
    exit: Option<u8>,
    exit_sent: bool,
    connected: bool,
}

/// The end of one output: what Baton does not have for good.
#[derive(Default)]
struct Tail {
    /// Where the first of the bytes stands in the whole.
    from: u64,
    bytes: VecDeque<u8>,
    /// How many of them were sent on this connection.
    sent: usize,
    ended: bool,
    /// Whether some were thrown away that Baton did not have for good.
    torn: bool,
}

impl Tail {
    fn has_room(&self, connected: bool) -> bool {
        if connected { self.bytes.len() - self.sent < UNSENT } else { self.bytes.len() < AWAY }
    }

    fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
        let excess = self.bytes.len().saturating_sub(UNKEPT).min(self.sent);
        if excess > 0 {
            self.torn = true;
            self.forget(excess);
        }
    }

    fn forget(&mut self, count: usize) {
        self.bytes.drain(..count);
        self.from += count as u64;
        self.sent -= count.min(self.sent);
    }

    /// Baton has so much for good, as far as it was sent.
    fn have(&mut self, upto: u64) {
        let count = usize::try_from(upto.saturating_sub(self.from)).unwrap_or(usize::MAX);
        self.forget(count.min(self.sent));
    }

    /// Begins again behind what Baton has; false where that cannot be.
    fn restart(&mut self, upto: u64) -> bool {
        let there = self.from..=self.from + self.bytes.len() as u64;
        let possible = !self.torn && there.contains(&upto);
        if possible {
            self.sent = self.bytes.len();
            self.have(upto);
            self.sent = 0;
        }
        possible
    }

    fn next(&mut self) -> Option<Vec<u8>> {
        let count = (self.bytes.len() - self.sent).min(LONGEST);
        let next = self.bytes.range(self.sent..self.sent + count).copied().collect();
        self.sent += count;
        (count > 0).then_some(next)
    }

    fn is_sent(&self) -> bool {
        self.ended && self.sent == self.bytes.len()
    }
}

impl State {
    fn tail(&mut self, which: Which) -> &mut Tail {
        match which {
            Which::Out => &mut self.out,
            Which::Err => &mut self.err,
        }
    }

    /// The next thing to say.
    fn next(&mut self) -> Option<Word> {
        if let Some(bytes) = self.out.next() {
            return Some(Word::Out(bytes));
        }
        if let Some(bytes) = self.err.next() {
            return Some(Word::Err(bytes));
        }
        let over = self.out.is_sent() && self.err.is_sent() && !self.exit_sent;
        let exit = self.exit.filter(|_| over)?;
        self.exit_sent = true;
        Some(Word::Exit(exit))
    }

    /// Takes in what Baton says; false for what it never does.
    fn heard(&mut self, word: Word) -> bool {
        match word {
            Word::In(bytes) => {
                self.taken += bytes.len() as u64;
                self.input.extend(bytes);
                true
            }
            Word::InEnd => {
                self.input_ended = true;
                true
            }
            Word::Have(kept) => {
                self.out.have(kept.out);
                self.err.have(kept.err);
                true
            }
            Word::Hello { .. }
            | Word::Welcome { .. }
            | Word::Done
            | Word::Out(_)
            | Word::Err(_)
            | Word::Exit(_) => false,
        }
    }

    /// Takes a connection up where the one before it broke; false where that cannot be.
    fn connect(&mut self, key: Key, kept: Kept) -> bool {
        let goes_on = self.out.restart(kept.out) && self.err.restart(kept.err);
        self.exit_sent = false;
        (self.key, self.connected) = (key, goes_on);
        goes_on
    }
}

impl Tether {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what the program prints, until it has closed that.
    pub async fn collect(self: Arc<Self>, which: Which, mut from: impl AsyncRead + Unpin) {
        let mut buffer = vec![0; LONGEST];
        loop {
            self.until_room(which).await;
            match from.read(&mut buffer).await {
                Ok(0) | Err(_) => return self.end_of(which),
                Ok(count) => self.state().tail(which).push(&buffer[..count]),
            }
            self.news.notify_one();
        }
    }

    async fn until_room(&self, which: Which) {
        loop {
            let waiting = self.room.notified();
            if self.has_room(which) {
                return;
            }
            waiting.await;
        }
    }

    fn has_room(&self, which: Which) -> bool {
        let mut state = self.state();
        let connected = state.connected;
        state.tail(which).has_room(connected)
    }

    /// Nothing more comes on an output.
    pub fn end_of(&self, which: Which) {
        self.state().tail(which).ended = true;
        self.news.notify_one();
        self.ended.notify_one();
    }

    /// Waits until both outputs have ended.
    pub async fn drained(&self) {
        loop {
            let waiting = self.ended.notified();
            if self.is_drained() {
                return;
            }
            waiting.await;
        }
    }

    fn is_drained(&self) -> bool {
        let state = self.state();
        state.out.ended && state.err.ended
    }

    /// Says something as the program's own complaint.
    pub fn complain(&self, words: &str) {
        self.state().err.push(words.as_bytes());
        self.news.notify_one();
    }

    /// Notes how the command ended.
    pub fn exit(&self, code: u8) {
        self.state().exit = Some(code);
        self.news.notify_one();
    }

    /// Hands the program its input, and closes it when there is no more.
    pub async fn feed(self: Arc<Self>, mut to: impl AsyncWrite + Unpin) {
        loop {
            let waiting = self.input.notified();
            let (input, ended) = self.more_input();
            // A program that reads no more is noticed when it ends.
            if !input.is_empty() && to.write_all(&input).await.is_err() {
                return;
            }
            if input.is_empty() && ended {
                return;
            }
            if input.is_empty() {
                waiting.await;
            }
        }
    }

    fn more_input(&self) -> (Vec<u8>, bool) {
        let mut state = self.state();
        (std::mem::take(&mut state.input), state.input_ended)
    }

    /// Talks with Baton, and with the one after it when it is gone, until nobody comes within the grace.
    pub async fn hold(self: Arc<Self>, path: PathBuf, first: Line, grace: Duration) -> Over {
        let connected = first.set_nonblocking(true).and_then(|()| UnixStream::from_std(first));
        let mut line = connected.ok();
        let mut deadline = Instant::now() + grace + START;
        loop {
            let Some(connection) = line.take() else {
                line = match timeout_at(deadline, again(&path)).await {
                    Ok(line) => Some(line),
                    Err(_) => return Over::Cut,
                };
                continue;
            };
            // A Baton that dies meanwhile hangs up.
            match self.greet(connection).await {
                Err(_) if Instant::now() < deadline => sleep(AGAIN).await,
                Err(_) | Ok(None) => return Over::Cut,
                Ok(Some(connection)) => {
                    if self.converse(connection).await {
                        return Over::Done;
                    }
                    deadline = Instant::now() + grace;
                }
            }
        }
    }

    /// Says who it is and hears from where to go on; none where it cannot.
    async fn greet(&self, mut line: UnixStream) -> io::Result<Option<UnixStream>> {
        let hello = {
            let state = self.state();
            let from = Kept { out: state.out.from, err: state.err.from };
            Word::Hello { key: state.key, taken: state.taken, from }
        };
        line.write_all(&hello.to_bytes()).await?;
        let Word::Welcome { key, kept } = Word::read(&mut line).await? else {
            return Err(io::Error::other("this is no welcome"));
        };
        let goes_on = key != NO_KEY && self.state().connect(key, kept);
        self.room.notify_waiters();
        Ok(goes_on.then_some(line))
    }

    /// Talks until the connection breaks; true when Baton has said that all is done.
    async fn converse(&self, line: UnixStream) -> bool {
        let (from, to) = line.into_split();
        let done = tokio::select! {
            done = self.hear(from) => done,
            () = self.tell(to) => false,
        };
        self.state().connected = false;
        self.room.notify_waiters();
        done
    }

    async fn tell(&self, mut to: impl AsyncWrite + Unpin) {
        loop {
            let waiting = self.news.notified();
            let next = self.state().next();
            match next {
                Some(word) => {
                    if to.write_all(&word.to_bytes()).await.is_err() {
                        return;
                    }
                    self.room.notify_waiters();
                }
                None => waiting.await,
            }
        }
    }

    async fn hear(&self, mut from: impl AsyncRead + Unpin) -> bool {
        while let Ok(word) = Word::read(&mut from).await {
            if word == Word::Done {
                return true;
            }
            if !self.state().heard(word) {
                return false;
            }
            self.input.notify_one();
            self.room.notify_waiters();
        }
        false
    }
}

/// Calls until somebody is there.
async fn again(path: &PathBuf) -> UnixStream {
    loop {
        match UnixStream::connect(path).await {
            Ok(line) => return line,
            Err(_) => sleep(AGAIN).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_baton_has_is_forgotten_and_the_rest_is_sent_again() {
        let mut state = State::default();
        state.out.push(b"one\ntwo\n");
        assert_eq!(state.next(), Some(Word::Out(b"one\ntwo\n".to_vec())));
        state.out.have(4);
        assert_eq!(state.next(), None);
        assert!(state.connect([1; 32], Kept { out: 4, err: 0 }));
        assert_eq!(state.next(), Some(Word::Out(b"two\n".to_vec())));
    }

    #[test]
    fn nobody_goes_on_from_where_nothing_is_kept_any_more() {
        let mut state = State::default();
        state.out.push(b"one\ntwo\n");
        assert!(state.next().is_some());
        state.out.have(8);
        assert!(!state.connect([1; 32], Kept { out: 4, err: 0 }), "it is forgotten");
        assert!(!state.connect([1; 32], Kept { out: 9, err: 0 }), "it was never printed");
    }

    #[test]
    fn what_is_sent_and_never_kept_is_let_go_of_and_then_nobody_goes_on() {
        let mut state = State::default();
        let piece = vec![b'x'; 1 << 20];
        for _ in 0..=(UNKEPT >> 20) {
            state.out.push(&piece);
            while state.next().is_some() {}
        }
        assert_eq!(state.out.bytes.len(), UNKEPT);
        assert!(!state.connect([1; 32], Kept::default()));
    }

    #[test]
    fn the_end_is_told_after_everything_else_and_again_to_who_comes_later() {
        let mut state = State { exit: Some(3), ..State::default() };
        state.err.push(b"bad");
        state.out.ended = true;
        assert_eq!(state.next(), Some(Word::Err(b"bad".to_vec())));
        assert_eq!(state.next(), None, "one output has not ended");
        state.err.ended = true;
        assert_eq!(state.next(), Some(Word::Exit(3)));
        assert_eq!(state.next(), None);
        assert!(state.connect([1; 32], Kept { out: 0, err: 3 }));
        assert_eq!(state.next(), Some(Word::Exit(3)));
    }

    #[test]
    fn a_program_waits_when_nobody_takes_what_it_prints() {
        let mut tail = Tail::default();
        tail.push(&vec![0; UNSENT]);
        assert!(!tail.has_room(true) && tail.has_room(false));
        tail.push(&vec![0; AWAY]);
        assert!(!tail.has_room(false));
    }
}
