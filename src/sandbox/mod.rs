//! Where an agent's program runs, cut off from the machine that it runs on.
//!
//! A [`Sandbox`] starts a command from a [`Spec`] and hands back a [`Running`]: three byte streams, a
//! way to stop it, and its end. It knows nothing of providers, prompts, GitHub or git, and it decides
//! nothing: `agent` asks for what a role needs, `app` chooses the kind. Three kinds exist:
//! [`Bubblewrap`] (namespaces without privileges), [`Container`] (of a Docker or Podman on this machine) and
//! [`Host`], which is no sandbox and says so.
//!
//! Inside, [`bridge`] comes before the command: Baton's own executable once more, which sets limits. Then it stays
//! beside the command, carries the loopback port of the model gateway to a Unix socket, and reaps; or, under
//! bubblewrap, it hands the port to `ports` and becomes the command. Before a sandbox
//! whose folders are laid over others, [`layers`] mounts them.

pub mod bridge;
mod bubblewrap;
mod container;
mod etc;
mod host;
mod kind;
pub mod layers;
mod machine;
mod ownership;
mod ports;
mod proc;
mod running;
mod self_test;
mod spawner;
mod spec;
mod usage;
mod wire;

pub use bubblewrap::{Bubblewrap, Settings};
pub use container::{Container, ContainerSettings};
pub use host::Host;
pub use kind::{BoxFuture, Kind, Sandbox, SandboxError};
pub use machine::Gauge;
pub use ownership::{Owner, own};
pub use proc::{is_alive, kill_users};
pub use running::{Exit, Input, Output, Running, Stopper, Taken};
pub use spec::{Gateway, HOME, Mount, Network, Overlay, ResourceLimits, Spec};
pub use usage::Meter;
pub use wire::Kept;
