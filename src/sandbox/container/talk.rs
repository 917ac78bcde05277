//! Baton's side of the line of a container that may outlive it: the command's streams, and how it ended.

use std::{io, sync::Arc};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex},
    net::UnixStream,
    sync::{oneshot, watch},
    task::JoinHandle,
};

use super::{lifeline::Lifeline, record::Filed};
use crate::sandbox::{
    running::{Input, Output},
    wire::{Kept, Key, LONGEST, Word},
};

/// How many bytes wait between the line and whoever reads, as many as in a pipe.
const BUFFER: usize = 64 << 10;

/// A bridge that has said who it is.
pub(super) struct Met {
    line: UnixStream,
    taken: u64,
    /// What it is to show the next time.
    key: Key,
    /// From where on its outputs are wanted.
    kept: Kept,
}

impl Met {
    /// Waits for the bridge that shows a key, and gives it one.
    ///
    /// # Errors
    /// When it does not have the outputs any more from where they are wanted.
    pub(super) async fn at(
        lifeline: Lifeline,
        shown: Key,
        key: Key,
        kept: Kept,
    ) -> io::Result<Self> {
        let (line, taken, from) = lifeline.meet(shown).await?;
        if kept.out < from.out || kept.err < from.err {
            return Err(io::Error::other("some of what it printed is nowhere any more"));
        }
        Ok(Self { line, taken, key, kept })
    }

    /// Its number on this machine.
    pub(super) fn pid(&self) -> Option<i32> {
        self.line.peer_cred().ok().and_then(|peer| peer.pid())
    }
}

/// What is heard of a command until it has ended.
pub(super) struct Hearing {
    /// Its code, and how much it printed in all; no code where the line broke.
    pub heard: JoinHandle<(Option<u8>, Kept)>,
    /// What is kept of that.
    pub kept: watch::Receiver<Kept>,
    /// Lets the bridge end.
    pub done: oneshot::Sender<()>,
    /// What is written down of the container.
    pub filed: Arc<Filed>,
}

/// Begins to talk: gives the command's streams, where to say what is kept, and what is heard.
pub(super) fn begin(
    met: Met,
    filed: Arc<Filed>,
) -> ((Input, Output, Output), watch::Sender<Kept>, Hearing) {
    let (stdin, input) = duplex(BUFFER);
    let (stdout, out) = duplex(BUFFER);
    let (stderr, err) = duplex(BUFFER);
    let (keep, kept) = watch::channel(met.kept);
    let (done, over) = oneshot::channel();
    let (from, to) = met.line.into_split();
    let welcome = Word::Welcome { key: met.key, kept: met.kept };
    let speaker = Speaker { to, input, skip: met.taken, kept: kept.clone(), over };
    tokio::spawn(speaker.speak(welcome));
    let heard = tokio::spawn(hear(from, out, err, met.kept));
    let streams: (Input, Output, Output) = (Box::new(stdin), Box::new(stdout), Box::new(stderr));
    (streams, keep, Hearing { heard, kept, done, filed })
}

/// Says what the bridge has to hear.
struct Speaker<W> {
    to: W,
    input: DuplexStream,
    /// How much of the input the bridge has already.
    skip: u64,
    kept: watch::Receiver<Kept>,
    over: oneshot::Receiver<()>,
}

impl<W: AsyncWrite + Unpin> Speaker<W> {
    async fn speak(mut self, welcome: Word) {
        let mut buffer = vec![0; LONGEST];
        let (mut open, mut keeps) = (true, true);
        let mut word = Some(welcome);
        loop {
            if let Some(word) = word.take()
                && self.to.write_all(&word.to_bytes()).await.is_err()
            {
                return;
            }
            tokio::select! {
                over = &mut self.over => {
                    if over.is_ok() {
                        let _ = self.to.write_all(&Word::Done.to_bytes()).await;
                    }
                    return;
                }
                changed = self.kept.changed(), if keeps => {
                    keeps = changed.is_ok();
                    word = keeps.then(|| Word::Have(*self.kept.borrow_and_update()));
                }
                count = self.input.read(&mut buffer), if open => match count {
                    Ok(count) if count > 0 => word = self.input_of(&buffer[..count]),
                    Ok(_) | Err(_) => {
                        open = false;
                        word = Some(Word::InEnd);
                    }
                }
            }
        }
    }

    /// What of some input is news for the bridge.
    fn input_of(&mut self, bytes: &[u8]) -> Option<Word> {
        let known = usize::try_from(self.skip).unwrap_or(usize::MAX).min(bytes.len());
        self.skip -= known as u64;
        (known < bytes.len()).then(|| Word::In(bytes[known..].to_vec()))
    }
}

/// Hears what is printed. What nobody reads any more is thrown away.
async fn hear(
    mut from: impl AsyncRead + Unpin,
    out: DuplexStream,
    err: DuplexStream,
    mut printed: Kept,
) -> (Option<u8>, Kept) {
    let (mut out, mut err) = (Some(out), Some(err));
    loop {
        let (to, bytes) = match Word::read(&mut from).await {
            Ok(Word::Out(bytes)) => {
                printed.out += bytes.len() as u64;
                (&mut out, bytes)
            }
            Ok(Word::Err(bytes)) => {
                printed.err += bytes.len() as u64;
                (&mut err, bytes)
            }
            Ok(Word::Exit(code)) => return (Some(code), printed),
            Ok(_) | Err(_) => return (None, printed),
        };
        if let Some(stream) = to
            && stream.write_all(&bytes).await.is_err()
        {
            *to = None;
        }
    }
}
