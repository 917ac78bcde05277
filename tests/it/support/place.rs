//! Where the agents of a test run. One body of a test serves every kind of sandbox.

use baton::config::{Containers, SandboxChoice};

use super::containers::{IMAGE, Podman};

/// A kind of sandbox, with what it needs.
pub enum Place {
    /// Namespaces of this machine.
    Bubblewrap,
    /// Containers of a daemon of the test's own.
    Containers(Podman),
}

impl Place {
    /// Containers, or none, loudly, where there are none.
    pub fn containers() -> Option<Self> {
        Podman::start().map(Self::Containers)
    }

    /// As the configuration has it.
    pub fn choice(&self) -> SandboxChoice {
        match self {
            Self::Bubblewrap => SandboxChoice::Bubblewrap,
            Self::Containers(podman) => SandboxChoice::Container(Containers {
                socket: podman.socket(),
                image: IMAGE.to_owned(),
                images: Vec::new(),
                cpus: None,
                survive_seconds: 120,
            }),
        }
    }

    /// What the daemon has said.
    pub fn log(&self) -> String {
        match self {
            Self::Bubblewrap => String::new(),
            Self::Containers(podman) => podman.log(),
        }
    }

    /// The ids of all containers that there are now.
    pub fn container_ids(&self) -> Vec<String> {
        match self {
            Self::Bubblewrap => Vec::new(),
            Self::Containers(podman) => podman.ids(),
        }
    }

    /// What the daemon still has, in its lists, on the disk and among the processes.
    pub fn left(&self) -> Vec<String> {
        match self {
            Self::Bubblewrap => Vec::new(),
            Self::Containers(podman) => podman.left(),
        }
    }

    /// Fails on what is left at the end.
    pub fn is_left_empty(&self) {
        match self {
            Self::Bubblewrap => {}
            Self::Containers(podman) => {
                assert_eq!(podman.containers(), [""; 0], "left behind");
            }
        }
    }
}
