//! A started command: its streams, its end, and the ways to stop it.

use std::{
    os::fd::OwnedFd,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use rustix::process::{Pid, Signal, kill_process, kill_process_group, pidfd_send_signal};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite},
    sync::watch,
};

use super::{
    proc,
    usage::{self, Meter},
};
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
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
        control: Arc<Control>,
        exit: watch::Receiver<Option<Exit>>,
    ) -> Self {
        let reference = proc::reference(control.outer);
        let (stdin, stdout, stderr) = streams;
        Self {
            stdin: Some(stdin),
            stdout: Some(stdout),
            stderr: Some(stderr),
            stopper: Stopper { control, exit: exit.clone() },
            reference,
            exit,
        }
    }

    /// Names the process on this machine, for the agent's row; see [`is_alive`](super::is_alive).
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
        let (stdout, stderr, exit) =
            tokio::join!(drain(stdout, limit), drain(stderr, limit), self.wait());
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
    control: Arc<Control>,
    exit: watch::Receiver<Option<Exit>>,
}

impl Stopper {
    /// Sends the command's process group SIGINT, as a terminal would on Ctrl-C.
    pub fn interrupt(&self) {
        if self.exit.borrow().is_none()
            && let Some(bridge) = proc::descendant(self.control.outer, self.control.generations)
        {
            let _ = kill_process(bridge, Signal::INT);
        }
    }

    /// Kills the command and all that it started, at once.
    pub fn kill(&self) {
        if self.exit.borrow().is_none() {
            self.control.kill();
        }
    }
}

/// What is known about the processes of one sandbox, seen from outside.
pub(super) struct Control {
    /// The process that Baton started.
    pub outer: Pid,
    pub outer_handle: OwnedFd,
    /// The first process of the PID namespace, once it was seen; its death takes all others along.
    pub first: OnceLock<OwnedFd>,
    /// How many generations below `outer` the bridge is.
    pub generations: u8,
    /// What they have used, as far as it was looked at.
    pub seen: Mutex<Seen>,
}

/// What looking at a sandbox's processes has shown.
#[derive(Default)]
pub(super) struct Seen {
    pub footprint: Footprint,
    /// Whether the last look was taken.
    over: bool,
}

impl Control {
    /// Kills the outer process and all that is below it.
    ///
    /// In a namespace those would follow by themselves, save in the moment before its first process
    /// has asked for a parent-death signal. Errors mean that a process is gone.
    pub(super) fn kill(&self) {
        // Nobody will reap what is killed, and so tell what it used.
        self.look();
        let below = proc::descendants(self.outer);
        let below: Vec<_> = below.into_iter().filter_map(proc::handle).collect();
        let _ = pidfd_send_signal(&self.outer_handle, Signal::KILL);
        for process in below.iter().chain(self.first.get()) {
            let _ = pidfd_send_signal(process, Signal::KILL);
        }
    }

    /// Kills what is left of the outer process's group, once that has ended and has to be waited for still.
    ///
    /// bubblewrap's first process waits for the one outside before it asks for a parent-death signal or
    /// leaves the group: where that one was killed in between, it would wait for ever, with the streams open.
    pub(super) fn kill_group(&self) {
        let _ = kill_process_group(self.outer, Signal::KILL);
    }

    /// Looks at what they use; after the last look nothing changes any more.
    pub(super) fn look(&self) -> Footprint {
        let mut seen = self.seen();
        if !seen.over {
            seen.footprint = seen.footprint.then(usage::below(self.outer));
        }
        seen.footprint
    }

    /// Looks once more at the outer process, which has ended and has to be waited for still: until then
    /// its number is nobody else's.
    pub(super) fn look_last(&self) {
        self.look();
        let mut seen = self.seen();
        seen.footprint.memory = 0;
        seen.over = true;
    }

    /// What was seen up to here.
    pub(super) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
