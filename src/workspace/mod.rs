//! Repositories on this machine's disk: mirrors that Baton owns, workspaces that agents own.
//!
//! The rule that holds it together is *quarantine*. An agent works in a real git worktree of a small
//! bare repository of its own, whose objects borrow from the mirror. The host runs no git on anything
//! an agent could have written: out of a workspace comes only a pack, made inside the sandbox, that
//! `index-pack` checks outside before one object of it is seen by the mirror. Pushes leave from there.
//!
//! The git program changes things, `git2` reads (it runs no hook, filter or helper, but is slower to
//! check out). This module starts no sandbox itself: whoever imports passes in a way to run a command
//! [`Inside`]. It knows neither GitHub's API nor policy files; callers are `agent` and `pipeline`.

mod error;
mod folder;
mod git;
mod import;
pub mod layers;
mod mirror;
mod prepare;
mod push;
mod read;
mod refuse;
mod secrets;
mod tree;

pub use error::{PushError, WorkspaceError};
pub use folder::{Account, Settings, WorkspaceKey, Workspaces};
pub use import::{BoxFuture, Import, Imported, Inside, Stream};
pub use layers::{Found, Layer, LayerFolders, LayerKey, Making};
pub use prepare::{Checkout, Identity, Mount, Workspace};
pub use push::{Push, Pushed};
pub use read::{Change, Commit, Mirror};
pub use refuse::Rules;
