//! The one thread that starts every sandbox, and the watch over each one's end.
//!
//! bubblewrap's `--die-with-parent` (`PR_SET_PDEATHSIG`, prctl(2)) follows the *thread* that spawned,
//! and runtimes end idle threads. So one thread, which lives as long as the process, starts them all.

use std::{
    io,
    os::{
        fd::OwnedFd,
        unix::process::{CommandExt, ExitStatusExt},
    },
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, OnceLock, mpsc},
    time::Duration,
};

use rustix::process::{
    Pid, PidfdFlags, Signal, kill_process, kill_process_group, pidfd_open, pidfd_send_signal,
};
use tokio::{
    io::{AsyncWriteExt, Interest, unix::AsyncFd},
    process::{ChildStderr, ChildStdin, ChildStdout},
    sync::{oneshot, watch},
    task::JoinSet,
};

use super::{
    bridge::environment_header,
    ports::Ports,
    proc,
    running::{Control, Exit, Input, Output, Running},
    usage::Seen,
};
use crate::model::Footprint;

/// What is inside a sandbox, so many generations below the process that Baton starts.
#[derive(Debug, Clone, Copy)]
pub(super) enum Inside {
    /// The bridge, which stays beside the command and hands signals on to it.
    Bridge {
        /// How far below.
        generations: u8,
    },
    /// The command, which the bridge has become; it leads its own process group.
    Command {
        /// How far below.
        generations: u8,
    },
}

/// Starts a command with piped streams; the bridge below it is sent the environment first. Its ports are
/// carried as long as anything of it is left.
///
/// The command gets a process group of its own, so that Ctrl-C in Baton's terminal does not reach it.
pub(super) async fn spawn(
    mut command: Command,
    inside: Inside,
    env: &[(String, String)],
    ports: Option<Ports>,
) -> io::Result<Running> {
    let header = environment_header(env)?;
    command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let (reply, started) = oneshot::channel();
    let gone = |_| io::Error::other("the spawning thread has ended");
    spawner()?.send(Order { command, reply }).map_err(|_| gone(()))?;
    let mut guard = started.await.map_err(|_| gone(()))??;
    let outer = Pid::from_child(&guard.0);
    let processes = Arc::new(Processes {
        outer,
        outer_handle: pidfd_open(outer, PidfdFlags::empty())?,
        first: OnceLock::new(),
        inside,
        seen: Seen::default(),
    });
    let streams = streams(&mut guard.0)?;
    let (exit_sender, exit) = watch::channel(None);
    let control: Arc<dyn Control> = processes.clone();
    let mut running = Running::new(streams, control, proc::reference(outer), exit);
    let ended = followed(&processes.outer_handle)?;
    tokio::spawn(watch(guard, processes, ended, ports, exit_sender));
    if let Some(stdin) = &mut running.stdin {
        // A sandbox that fails at once closes its input: its complaint and exit say why, not this.
        let _ = stdin.write_all(&header).await;
    }
    Ok(running)
}

impl Inside {
    fn generations(self) -> u8 {
        match self {
            Self::Bridge { generations } | Self::Command { generations } => generations,
        }
    }
}

/// What is known about the processes of one sandbox, seen from outside.
struct Processes {
    /// The process that Baton started.
    outer: Pid,
    outer_handle: OwnedFd,
    /// The first process of the PID namespace, once it was seen; its death takes all others along.
    first: OnceLock<OwnedFd>,
    /// What is below `outer`.
    inside: Inside,
    /// What they have used, as far as it was looked at.
    seen: Seen,
}

impl Processes {
    /// Looks once more at the outer process, which has ended and has to be waited for still: until then
    /// its number is nobody else's.
    fn look_last(&self) {
        self.seen.look_last(self.outer);
    }

    /// Kills what is left of the outer process's group, once that has ended and has to be waited for still.
    ///
    /// bubblewrap's first process waits for the one outside before it asks for a parent-death signal or
    /// leaves the group: where that one was killed in between, it would wait for ever, with the streams open.
    fn kill_group(&self) {
        let _ = kill_process_group(self.outer, Signal::KILL);
    }
}

impl Control for Processes {
    fn interrupt(&self) {
        let generations = self.inside.generations();
        let Some(first) = proc::descendant(self.outer, generations) else { return };
        let _ = match self.inside {
            Inside::Bridge { .. } => kill_process(first, Signal::INT),
            // Before it leads a group it is no command yet.
            Inside::Command { .. } => kill_process_group(first, Signal::INT),
        };
    }

    /// Kills the outer process and all that is below it.
    ///
    /// In a namespace those would follow by themselves, save in the moment before its first process
    /// has asked for a parent-death signal. Errors mean that a process is gone.
    fn kill(&self) {
        // Nobody will reap what is killed, and so tell what it used.
        self.look();
        let below = proc::descendants(self.outer);
        let below: Vec<_> = below.into_iter().filter_map(proc::handle).collect();
        let _ = pidfd_send_signal(&self.outer_handle, Signal::KILL);
        for process in below.iter().chain(self.first.get()) {
            let _ = pidfd_send_signal(process, Signal::KILL);
        }
    }

    fn look(&self) -> Footprint {
        self.seen.look(self.outer)
    }

    fn last(&self) -> Footprint {
        self.seen.last()
    }
}

/// One command to start, and where to say how it went.
struct Order {
    command: Command,
    reply: oneshot::Sender<io::Result<Guard>>,
}

/// A child that is killed and reaped when nobody holds it any more.
struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}

/// The order book of the spawning thread, which is started on first use and never ends.
fn spawner() -> io::Result<&'static mpsc::Sender<Order>> {
    static SPAWNER: OnceLock<mpsc::Sender<Order>> = OnceLock::new();
    if let Some(sender) = SPAWNER.get() {
        return Ok(sender);
    }
    let (sender, orders) = mpsc::channel::<Order>();
    std::thread::Builder::new().name("sandbox-spawner".to_owned()).spawn(move || {
        for Order { mut command, reply } in orders {
            // Nobody waits any more: the guard inside kills what was started.
            let _ = reply.send(command.spawn().map(Guard));
        }
    })?;
    // Of two threads started at the same time the second ends as its sender is dropped here.
    Ok(SPAWNER.get_or_init(|| sender))
}

fn streams(child: &mut Child) -> io::Result<(Input, Output, Output)> {
    let missing = || io::Error::other("a stream of the child is missing");
    let stdin = ChildStdin::from_std(child.stdin.take().ok_or_else(missing)?)?;
    let stdout = ChildStdout::from_std(child.stdout.take().ok_or_else(missing)?)?;
    let stderr = ChildStderr::from_std(child.stderr.take().ok_or_else(missing)?)?;
    Ok((Box::new(stdin), Box::new(stdout), Box::new(stderr)))
}

/// Follows one sandbox to its end, reaps it, and says how it ended.
async fn watch(
    mut guard: Guard,
    processes: Arc<Processes>,
    ended: AsyncFd<OwnedFd>,
    ports: Option<Ports>,
    exit: watch::Sender<Option<Exit>>,
) {
    // Dropped with this, and with it the last of the sandbox's network.
    let mut carrying = JoinSet::new();
    if let Some(ports) = ports {
        carrying.spawn(ports.carry());
    }
    let status = tokio::select! {
        biased;
        status = reap(&mut guard, &processes, &ended) => status,
        () = find_first(&processes) => reap(&mut guard, &processes, &ended).await,
    };
    processes.kill();
    if let Some(first) = processes.first.get() {
        wait_gone(first).await;
    }
    carrying.shutdown().await;
    let _ = exit.send(Some(status.map_or(Exit::Signal(Signal::KILL.as_raw()), exit_of)));
}

async fn reap(
    guard: &mut Guard,
    processes: &Processes,
    ended: &AsyncFd<OwnedFd>,
) -> io::Result<ExitStatus> {
    loop {
        // A pidfd is readable once its process has ended (pidfd_open(2)).
        let mut ready = ended.readable().await?;
        processes.look_last();
        processes.kill_group();
        if let Some(status) = guard.0.try_wait()? {
            return Ok(status);
        }
        ready.clear_ready();
    }
}

/// Looks for the namespace's first process until it is there; ends at once without a namespace.
async fn find_first(processes: &Processes) {
    if processes.inside.generations() == 0 {
        return;
    }
    loop {
        if let Some(first) = proc::descendant(processes.outer, 1).and_then(proc::handle) {
            let _ = processes.first.set(first);
            return;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Waits until the namespace's first process is gone: the kernel ends it after all others.
async fn wait_gone(first: &OwnedFd) {
    if let Ok(first) = followed(first) {
        let _ = first.readable().await;
    }
}

/// Registers a process handle with the runtime.
#[expect(deprecated, reason = "its replacement is unsafe; an owned descriptor cannot be misused")]
fn followed(process: &OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(process.try_clone()?, Interest::READABLE)
}

fn exit_of(status: ExitStatus) -> Exit {
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, signal) => Exit::Signal(signal.unwrap_or(Signal::KILL.as_raw())),
    }
}
