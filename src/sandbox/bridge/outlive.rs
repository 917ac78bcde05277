//! The bridge of a container that may outlive its Baton: the command's streams are on the lifeline.

use std::{
    io, os::unix::net::UnixStream as Line, path::PathBuf, pin::pin, process::Stdio, sync::Arc,
    time::Duration,
};

use rustix::process::{Pid, Signal};
use tokio::{
    net::unix::pipe,
    signal::unix::{SignalKind, signal},
};

use super::{
    Bridge, BridgeError, Environment, KILLED, end_the_rest, hand_on, reap, start,
    tether::{Over, Tether, Which},
};

impl Bridge {
    /// Runs the command with its streams on the lifeline, which another Baton may take up.
    pub(super) async fn outlive(
        self,
        env: Environment,
        path: PathBuf,
        line: Line,
        grace: Duration,
    ) -> Result<u8, BridgeError> {
        self.carry_ports(grace).await?;
        let mut interrupts = signal(SignalKind::interrupt())?;
        let mut terminations = signal(SignalKind::terminate())?;
        let mut children = signal(SignalKind::child())?;
        let tether = Arc::new(Tether::default());
        let mut over = pin!(Arc::clone(&tether).hold(path, line, grace));
        let command = match self.start_tied(env, &tether) {
            Ok(command) => command,
            Err(error) => {
                tether.complain(&format!("baton bridge: failed to {error}\n"));
                tether.end_of(Which::Out);
                tether.end_of(Which::Err);
                tether.exit(error.code());
                over.await;
                return Err(error);
            }
        };
        let mut code = None;
        let mut rest = tokio::time::interval(REST);
        let mut told = false;
        loop {
            tokio::select! {
                _ = children.recv() => code = code.or(reap(command)),
                _ = rest.tick(), if code.is_some() && !told => {
                    // Whoever has an output open still, so that it does not end.
                    end_the_rest();
                    code = code.or(reap(command));
                }
                () = tether.drained(), if code.is_some() && !told => {
                    told = true;
                    tether.exit(code.unwrap_or(KILLED));
                }
                _ = interrupts.recv() => hand_on(command, Signal::INT),
                _ = terminations.recv() => hand_on(command, Signal::TERM),
                over = &mut over => {
                    end_the_rest();
                    return Ok(code.filter(|_| over == Over::Done).unwrap_or(KILLED));
                }
            }
        }
    }

    /// Starts the command with pipes to the tether.
    fn start_tied(&self, env: Environment, tether: &Arc<Tether>) -> Result<Pid, BridgeError> {
        let mut child = start(&self.argv, env, Stdio::piped)?;
        let missing = || io::Error::other("a stream of the command is missing");
        let stdin = child.stdin.take().ok_or_else(missing)?;
        let stdout = child.stdout.take().ok_or_else(missing)?;
        let stderr = child.stderr.take().ok_or_else(missing)?;
        let stdin = pipe::Sender::from_owned_fd(stdin.into())?;
        let stdout = pipe::Receiver::from_owned_fd(stdout.into())?;
        let stderr = pipe::Receiver::from_owned_fd(stderr.into())?;
        tokio::spawn(Arc::clone(tether).feed(stdin));
        tokio::spawn(Arc::clone(tether).collect(Which::Out, stdout));
        tokio::spawn(Arc::clone(tether).collect(Which::Err, stderr));
        Ok(Pid::from_child(&child))
    }
}

/// How often what is left of an ended command is killed, until its outputs have ended.
const REST: Duration = Duration::from_millis(20);
