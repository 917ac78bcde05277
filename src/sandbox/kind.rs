//! The seam itself: what every kind of sandbox does, and how it fails.

use std::{fmt, future::Future, io, pin::Pin, time::Duration};

use super::{Kept, Running, Spec};

/// A boxed future, so that the trait can be an object.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Starts commands apart from the machine. One conformance suite runs over every kind.
pub trait Sandbox: Send + Sync {
    /// Which kind this is, for logs and for the agent's row.
    fn kind(&self) -> Kind;

    /// The image whose programs commands see instead of the machine's, where there is one.
    fn image(&self) -> Option<&str> {
        None
    }

    /// Starts one sandbox and looks from within whether it holds.
    ///
    /// # Errors
    /// [`SandboxError::Unavailable`] with what to do about it, or [`SandboxError::Leaky`].
    fn self_test(&self) -> BoxFuture<'_, Result<(), SandboxError>>;

    /// Starts a command. What fails inside (a missing program, a bad folder) shows as its exit.
    ///
    /// # Errors
    /// [`SandboxError::InvalidSpec`] for a spec that this kind cannot honour, and
    /// [`SandboxError::Start`] or [`SandboxError::Unavailable`] when nothing was started.
    fn start(&self, spec: Spec) -> BoxFuture<'_, Result<Running, SandboxError>>;

    /// For how long a command that may survive ([`Spec::may_survive`]) goes on without a Baton; zero where
    /// every command ends with it.
    fn survives(&self) -> Duration {
        Duration::ZERO
    }

    /// Looks for a command that a Baton of this data folder had started which is dead, by its
    /// [`Running::reference`], and takes it over: its outputs go on behind what is kept of them. Its input is
    /// to be given from the beginning: what it has of that is not handed in again. Gives none where there is
    /// no such command any more, and none is left then.
    ///
    /// # Errors
    /// When that cannot be asked, as for [`Sandbox::start`].
    fn resume<'a>(
        &'a self,
        _reference: &'a str,
        _kept: Kept,
    ) -> BoxFuture<'a, Result<Option<Running>, SandboxError>> {
        Box::pin(async { Ok(None) })
    }

    /// Ends what a Baton of this data folder left running that is dead, save what these references name; gives
    /// how much that was.
    ///
    /// Where the kernel ends everything with Baton, as it does on this machine, there is nothing to do. A kind
    /// whose sandboxes are somewhere else, in a container's daemon or a cluster, finds them by what it has
    /// written on them.
    ///
    /// # Errors
    /// When that cannot be asked, as for [`Sandbox::start`].
    fn clear<'a>(&'a self, _keep: &'a [String]) -> BoxFuture<'a, Result<usize, SandboxError>> {
        Box::pin(async { Ok(0) })
    }
}

/// The kinds of sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Linux namespaces by way of bubblewrap.
    Bubblewrap,
    /// Containers of a Docker or Podman on this machine.
    Container,
    /// The bare machine: no sandbox.
    Host,
}

impl Kind {
    /// The name in configuration, SQL and logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Bubblewrap => "bubblewrap",
            Self::Container => "container",
            Self::Host => "host",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why nothing was started. A variant is what the caller can do about it.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// This machine cannot run the sandbox as it is: an operator has to act.
    #[error("{problem}; {remedy}")]
    Unavailable {
        /// What is wrong, a lowercase fragment.
        problem: String,
        /// What to do, in words for an operator, with the command where there is one.
        remedy: String,
    },
    /// The sandbox runs but does not hold: no agent may be started in it.
    #[error("sandbox does not hold: {what}")]
    Leaky {
        /// What could be seen or done from inside.
        what: String,
    },
    /// The spec asks for what this kind cannot do: a mistake of the caller.
    #[error("spec cannot be honoured: {0}")]
    InvalidSpec(String),
    /// The operating system refused; trying again later may help.
    #[error("start sandbox: {0}")]
    Start(#[from] io::Error),
}
