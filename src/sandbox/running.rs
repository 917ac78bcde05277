//! A started command: its streams, its end, and the ways to stop it.

use std::sync::Arc;

use rustix::process::Signal;
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite},
    sync::watch,
};

use super::{Kept, usage::Meter};
use crate::model::Footprint;

/// What the command reads.
pub type Input = Box<dyn AsyncWrite + Send + Sync + Unpin>;
/// What the command prints.
pub type Output = Box<dyn AsyncRead + Send + Sync + Unpin>;

/// A started command. Dropping it kills everything that the command started.
pub struct Running {
    /// Its standard input; taking and dropping it is the end of file.
    pub stdin: Option<Input>,
    /// Its standard output.
    pub stdout: Option<Output>,
    /// Its standard error, with what the sandbox itself complains of.
    pub stderr: Option<Output>,
    stopper: Stopper,
    reference: String,
    exit: watch::Receiver<Option<Exit>>,
    /// Of one that may outlive its Baton.
    bond: Option<Bond>,
}

/// What ties a command that may outlive its Baton to this one.
pub(super) struct Bond {
    /// Hears what is kept of its outputs.
    pub kept: watch::Sender<Kept>,
    /// What was written down to find it by; dropped with this.
    pub _record: Box<dyn Send + Sync>,
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exit {
    /// By itself, with this code; 128 + n when signal n ended it inside the sandbox.
    Code(i32),
    /// The sandbox itself was ended by this signal, with all that was in it.
    Signal(i32),
}

impl Exit {
    /// Whether it is code 0.
    #[must_use]
    pub fn is_success(self) -> bool {
        self == Self::Code(0)
    }
}

/// Everything a short command printed, cut to the limit that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// How it ended.
    pub exit: Exit,
    /// The first bytes of its output.
    pub stdout: Vec<u8>,
    /// The first bytes of its complaints.
    pub stderr: Vec<u8>,
}

impl Running {
    pub(super) fn new(
        streams: (Input, Output, Output),
        control: Arc<dyn Control>,
        reference: String,
        exit: watch::Receiver<Option<Exit>>,
    ) -> Self {
        let (stdin, stdout, stderr) = streams;
        Self {
            stdin: Some(stdin),
            stdout: Some(stdout),
            stderr: Some(stderr),
            stopper: Stopper { control, exit: exit.clone() },
            reference,
            exit,
            bond: None,
        }
    }

    /// The same, of a command that may outlive its Baton.
    pub(super) fn bound(mut self, bond: Bond) -> Self {
        self.bond = Some(bond);
        self
    }

    /// Says that so much of its outputs will be there after the death of this Baton: whoever resumes it needs
    /// no more of that. Of one that may survive the end is told when all of its outputs is kept.
    pub fn keep(&self, kept: Kept) {
        if let Some(bond) = &self.bond {
            bond.kept.send_replace(kept);
        }
    }

    /// Names what was started, for the agent's row: a process of this machine, of which
    /// [`is_alive`](super::is_alive) tells whether it still runs, or a container.
    #[must_use]
    pub fn reference(&self) -> &str {
        &self.reference
    }

    /// A handle to stop it with from elsewhere.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// A handle to look with at what it uses.
    #[must_use]
    pub fn meter(&self) -> Meter {
        Meter { control: Arc::clone(&self.stopper.control) }
    }

    /// Waits until the command has ended and nothing that it started is left.
    ///
    /// Can be asked again and given up at any time.
    pub async fn wait(&mut self) -> Exit {
        // The watcher says the end before it goes, save when its runtime is torn down, which kills.
        let killed = Exit::Signal(Signal::KILL.as_raw());
        self.exit.wait_for(Option::is_some).await.map_or(killed, |exit| exit.unwrap_or(killed))
    }

    /// Closes the input, collects what is printed, and waits for the end.
    ///
    /// Of each stream the first `limit` bytes are kept; the rest is read and thrown away.
    pub async fn finish(mut self, limit: u64) -> Taken {
        drop(self.stdin.take());
        let (stdout, stderr) = (self.stdout.take(), self.stderr.take());
        let (stdout, stderr) = tokio::join!(drain(stdout, limit), drain(stderr, limit));
        self.keep(Kept::ALL);
        let exit = self.wait().await;
        Taken { exit, stdout, stderr }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stopper.kill();
    }
}

async fn drain(stream: Option<Output>, limit: u64) -> Vec<u8> {
    let mut kept = Vec::new();
    if let Some(mut stream) = stream {
        // A stream that breaks ends there: the exit says what happened.
        let _ = (&mut stream).take(limit).read_to_end(&mut kept).await;
        let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    }
    kept
}

/// Stops a command; cheap to clone. Does nothing once the command has ended.
#[derive(Clone)]
pub struct Stopper {
    control: Arc<dyn Control>,
    exit: watch::Receiver<Option<Exit>>,
}

impl Stopper {
    /// Sends the command's process group SIGINT, as a terminal would on Ctrl-C.
    pub fn interrupt(&self) {
        if self.exit.borrow().is_none() {
            self.control.interrupt();
        }
    }

    /// Kills the command and all that it started, at once.
    pub fn kill(&self) {
        if self.exit.borrow().is_none() {
            self.control.kill();
        }
    }
}

/// How one kind of sandbox reaches what it has started. To interrupt and to kill are asked while that runs
/// at most.
pub(super) trait Control: Send + Sync {
    /// Sends the command's process group SIGINT.
    fn interrupt(&self);
    /// Kills the command and all that it started.
    fn kill(&self);
    /// Looks at what it uses, and gives the figures up to here; after its end nothing changes any more.
    fn look(&self) -> Footprint;
    /// The figures of the last look.
    fn last(&self) -> Footprint;
}
