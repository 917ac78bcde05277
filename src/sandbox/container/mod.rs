//! Sandboxes of containers, by way of the API of a Docker or Podman on this machine.
//!
//! - `start`    – the kind itself: one container a command
//! - `body`     – what the daemon is asked to make
//! - `daemon`   – which daemon it is, and under which account commands run there
//! - `seccomp`  – which system calls a Podman lets through
//! - `lifeline` – the connection by which a container ends with its Baton
//! - `flow`     – the daemon's one stream, as three
//! - `talk`     – the same of a container that may outlive its Baton, on its lifeline
//! - `record`   – what is written down of such a one
//! - `watch`    – follows a container to its end, and takes it away
//! - `trial`    – the self-test, and words for what is missing
//!
//! Baton never fetches an image, and trusts nothing of the one it is given: its own executable is shown
//! inside as in bubblewrap, and is the first process.

mod body;
mod daemon;
mod flow;
mod group;
mod lifeline;
mod record;
mod seccomp;
mod start;
mod talk;
mod trial;
mod watch;

pub use start::{Container, ContainerSettings};
