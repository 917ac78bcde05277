//! Follows one container to its end, carries out what is ordered meanwhile, and takes it away.

use std::{
    pin::pin,
    sync::{Arc, OnceLock},
    time::Duration,
};

use bollard::{
    Docker,
    errors::Error,
    query_parameters::{InspectContainerOptions, KillContainerOptions, RemoveContainerOptions},
};
use rustix::process::{Pid, Signal};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::{sleep, timeout},
};

use super::{group::Group, lifeline::Lifeline, talk::Hearing};
use crate::{
    model::Footprint,
    sandbox::{Exit, Kept, running::Control, usage::Seen},
};

/// How long the word of the bridge may come later than the end of its output.
const WORD: Duration = Duration::from_secs(2);
/// Between two attempts to take a container away that the daemon is taking away itself.
const AGAIN: Duration = Duration::from_millis(20);
/// How many attempts.
const ATTEMPTS: u32 = 500;

/// What is asked of the watch.
pub(super) enum Order {
    Interrupt,
    Kill,
}

/// Hands orders to the watch, which can wait for the daemon's answers, and knows the bridge.
pub(super) struct Orders {
    orders: mpsc::UnboundedSender<Order>,
    /// The bridge's number on this machine, once it has called; never where the daemon is on another.
    bridge: OnceLock<Pid>,
    /// The container's control group, where it has one.
    group: OnceLock<Option<Group>>,
    seen: Seen,
}

impl Orders {
    pub(super) fn new(orders: mpsc::UnboundedSender<Order>) -> Self {
        Self { orders, bridge: OnceLock::new(), group: OnceLock::new(), seen: Seen::default() }
    }

    /// Takes down who is at the other end of the lifeline.
    pub(super) fn met(&self, pid: Option<i32>) {
        if let Some(pid) = pid.and_then(Pid::from_raw) {
            let _ = self.bridge.set(pid);
        }
    }

    /// Looks once more, while the bridge is still there.
    pub(super) fn look_last(&self) {
        if self.bridge.get().is_some() {
            self.look();
            self.seen.end();
        }
    }

    /// What the container's processes tell, and its control group.
    fn seen_with(&self, bridge: Pid) -> Footprint {
        let group = self.group.get_or_init(|| Group::of(bridge));
        let amend = |seen| group.as_ref().map_or(seen, |group| group.amend(seen));
        self.seen.look_with(bridge, amend)
    }
}

impl Control for Orders {
    fn interrupt(&self) {
        // The watch has ended, and the container before it.
        let _ = self.orders.send(Order::Interrupt);
    }

    fn kill(&self) {
        self.look_last();
        let _ = self.orders.send(Order::Kill);
    }

    fn look(&self) -> Footprint {
        match self.bridge.get() {
            Some(bridge) => self.seen_with(*bridge),
            None => self.last(),
        }
    }

    fn last(&self) -> Footprint {
        self.seen.last()
    }
}

/// The watch over one container.
pub(super) struct Watch {
    pub docker: Docker,
    pub id: String,
    pub orders: mpsc::UnboundedReceiver<Order>,
    pub ordered: Arc<Orders>,
    pub exit: watch::Sender<Option<Exit>>,
}

impl Watch {
    /// Follows the container; its exit is told when nothing of it is left.
    pub(super) async fn follow(mut self, lifeline: Option<Lifeline>, flowing: JoinHandle<()>) {
        let exit = self.end(lifeline, flowing).await;
        // It goes by itself when it ends, but that takes its time.
        remove(&self.docker, &self.id).await;
        let _ = self.exit.send(Some(exit));
    }

    /// Follows a container that may outlive this Baton. Its end is written down before it is taken away.
    pub(super) async fn follow_talk(mut self, hearing: Hearing) {
        let filed = Arc::clone(&hearing.filed);
        let exit = self.end_of_talk(hearing).await;
        remove(&self.docker, &self.id).await;
        let _ = self.exit.send(Some(exit));
        // Whoever holds the command has it too: until it is let go of, a Baton that comes after may ask.
        drop(filed);
    }

    /// Waits until the command has ended and all that it printed is kept, or until it was killed.
    async fn end_of_talk(&mut self, hearing: Hearing) -> Exit {
        let Hearing { mut heard, mut kept, done, filed } = hearing;
        let mut told: Option<(u8, Kept)> = None;
        loop {
            let all = told.map_or_else(Kept::default, |(_, all)| all);
            tokio::select! {
                biased;
                order = self.orders.recv() => match order {
                    Some(Order::Interrupt) => self.signal("SIGINT").await,
                    Some(Order::Kill) | None => {
                        self.signal("SIGKILL").await;
                        return KILLED;
                    }
                },
                ended = &mut heard, if told.is_none() => match ended {
                    Ok((Some(code), all)) => told = Some((code, all)),
                    // The bridge was ended, and everything with it.
                    Ok((None, _)) | Err(_) => return KILLED,
                },
                () = all_kept(&mut kept, all), if told.is_some() => {
                    let code = i32::from(told.map_or(0, |(code, _)| code));
                    self.ordered.look_last();
                    if let Err(error) = filed.over(code) {
                        tracing::warn!(container = self.id, %error, "how a command ended was not noted");
                    }
                    let _ = done.send(());
                    return Exit::Code(code);
                }
            }
        }
    }

    /// Waits until the command has ended and all that it printed was handed on, or until it was killed.
    async fn end(&mut self, lifeline: Option<Lifeline>, mut flowing: JoinHandle<()>) -> Exit {
        let Some(lifeline) = lifeline else { return self.code_of_the_daemon().await };
        let mut word = pin!(lifeline.ended(Arc::clone(&self.ordered)));
        let mut told = None;
        loop {
            tokio::select! {
                biased;
                order = self.orders.recv() => match order {
                    Some(Order::Interrupt) => self.signal("SIGINT").await,
                    Some(Order::Kill) | None => {
                        self.signal("SIGKILL").await;
                        return KILLED;
                    }
                },
                exit = &mut word, if told.is_none() => told = Some(exit),
                _ = &mut flowing => match told {
                    Some(exit) => return exit,
                    None => return match timeout(WORD, word).await {
                        Ok(exit) => exit,
                        Err(_) => self.code_of_the_daemon().await,
                    },
                },
            }
        }
    }

    /// How a container ended whose bridge never spoke: it could not be run, most likely.
    async fn code_of_the_daemon(&self) -> Exit {
        let options = None::<InspectContainerOptions>;
        let seen = self.docker.inspect_container(&self.id, options).await;
        let state = seen.ok().and_then(|seen| seen.state);
        match state.map(|state| (state.running, state.exit_code)) {
            Some((Some(false), Some(code))) => Exit::Code(i32::try_from(code).unwrap_or(1)),
            Some(_) | None => KILLED,
        }
    }

    async fn signal(&self, signal: &str) {
        let options = KillContainerOptions { signal: signal.to_owned() };
        if let Err(error) = self.docker.kill_container(&self.id, Some(options)).await
            && !is_gone(&error)
        {
            tracing::warn!(container = self.id, signal, %error, "a container was not reached");
        }
    }
}

/// Waits until so much is kept; for ever where nobody will keep it, as whoever had it has let go.
async fn all_kept(kept: &mut watch::Receiver<Kept>, all: Kept) {
    let waiting = kept.wait_for(|kept| kept.out >= all.out && kept.err >= all.err);
    if waiting.await.map(drop).is_err() {
        std::future::pending::<()>().await;
    }
}

/// How what was killed ended.
const KILLED: Exit = Exit::Signal(Signal::KILL.as_raw());

/// Takes a container away with all that runs in it, and waits until it is gone.
pub(super) async fn remove(docker: &Docker, id: &str) {
    let options = RemoveContainerOptions { force: true, v: true, ..Default::default() };
    for attempt in 1..=ATTEMPTS {
        match docker.remove_container(id, Some(options.clone())).await {
            Ok(()) => return,
            Err(error) if is_gone(&error) => return,
            Err(_) if attempt < ATTEMPTS => sleep(AGAIN).await,
            Err(error) => {
                tracing::warn!(container = id, %error, "a container could not be taken away");
            }
        }
    }
}

/// Whether the daemon says that there is no such container, or that it does not run.
pub(super) fn is_gone(error: &Error) -> bool {
    matches!(error, Error::DockerResponseServerError { status_code: 404, .. })
}
