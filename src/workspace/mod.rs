//! Repositories on this machine's disk: mirrors that Baton owns, workspaces that agents own.
//!
//! The rule that holds it together is *quarantine*. An agent works in a real git worktree of a small
//! bare repository of its own, whose objects borrow from the mirror. The host runs no git on anything
//! an agent could have written: out of a workspace comes only a pack, made inside the sandbox, that
//! `index-pack` checks outside before one object of it is seen by the mirror. Pushes leave from there.
//!
//! A workspace shows a checkout of its base commit that others show too, with the agent's changes on top
//! ([`Overlay`]), or has one of its own where the machine mounts no overlay.
//!
//! The git program changes things, `git2` reads (it runs no hook, filter or helper, but is slower to
//! check out). This module starts no sandbox itself: whoever imports passes in a way to run a command
//! [`Inside`]. It knows neither GitHub's API nor policy files; callers are `agent` and `pipeline`.

mod base;
mod collect;
mod error;
mod folder;
mod forget;
mod git;
mod import;
mod layered;
pub mod layers;
mod local;
mod mirror;
mod prepare;
mod push;
mod read;
mod refuse;
mod secrets;
mod sign;
mod tree;
mod weight;

pub use base::{Base, bases_in};
pub use collect::Collected;
pub use error::{PushError, WorkspaceError};
pub use folder::{Account, Settings, WorkspaceKey, Workspaces};
pub use forget::{HeldMirror, KeptMirror, mirrors_in};
pub use import::{BoxFuture, Import, Imported, Inside, Stream};
pub use layered::Overlay;
pub use layers::{Found, Layer, LayerFolders, LayerKey, Making};
pub use local::Local;
pub use prepare::{Checkout, Identity, Mount, Workspace};
pub use push::{Push, Pushed};
pub use read::{Change, Commit, Mirror};
pub use refuse::Rules;
pub use sign::{Signature, trailers};
pub use weight::{held, weight};
