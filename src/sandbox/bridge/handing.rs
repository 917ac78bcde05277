//! The bridge that is not needed any more: it hands its ports to Baton and becomes the command.
//!
//! Where the sandbox itself reaps and ends with its command, all that is left to do is to carry the ports. Their
//! listeners go to Baton as descriptors (unix(7), `SCM_RIGHTS`), before the command starts: so nothing of Baton's
//! stays in the sandbox, and an idle agent costs no process of Baton's.

use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    net::{Ipv4Addr, TcpListener},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::{net::UnixStream as Line, process::CommandExt},
    },
    path::Path,
};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

use super::{Bridge, BridgeError, command, read_environment};

/// The most ports that one sandbox has: the gateway's and the exit's.
pub(in crate::sandbox) const MOST_PORTS: usize = 2;

impl Bridge {
    /// Hands its ports over and becomes the command; comes back only with the reason why not.
    pub(super) fn become_command(&self, ports_to: &Path) -> BridgeError {
        match self.hand_over(ports_to) {
            Err(error) => error,
            Ok(mut command) => {
                let error = command.exec();
                BridgeError::Command { program: self.argv[0].clone(), error }
            }
        }
    }

    fn hand_over(&self, ports_to: &Path) -> Result<std::process::Command, BridgeError> {
        let env = read_environment().map_err(BridgeError::Environment)?;
        self.restrict()?;
        let listeners = self.listen()?;
        if !listeners.is_empty() {
            send(&Line::connect(ports_to)?, &listeners)?;
        }
        // A group of its own, so that a signal reaches all of a shell's pipeline, as in a terminal.
        rustix::process::setpgid(None, None).map_err(io::Error::from)?;
        Ok(command(&self.argv, env))
    }

    /// The ports, in the order in which Baton expects them.
    fn listen(&self) -> io::Result<Vec<TcpListener>> {
        let ways = self.gateway.iter().chain(&self.egress);
        ways.map(|way| {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, way.port))?;
            listener.set_nonblocking(true)?;
            Ok(listener)
        })
        .collect()
    }
}

/// Sends descriptors over a connection.
fn send(line: &Line, listeners: &[TcpListener]) -> io::Result<()> {
    let descriptors: Vec<BorrowedFd<'_>> = listeners.iter().map(AsFd::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_PORTS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(io::Error::other("there are more ports than can be handed over"));
    }
    // Descriptors travel with at least one byte.
    sendmsg(line, &[IoSlice::new(&[0])], &mut control, SendFlags::empty())?;
    Ok(())
}

/// Receives what was sent, if it has arrived; nothing where the other side has hung up.
pub(in crate::sandbox) fn receive(line: impl AsFd) -> io::Result<Vec<OwnedFd>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_PORTS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    recvmsg(line, &mut [IoSliceMut::new(&mut byte)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let mut received = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = message {
            received.extend(descriptors);
        }
    }
    Ok(received)
}
