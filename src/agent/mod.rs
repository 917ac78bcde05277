//! Execute: one agent's life, from its workspace to its outcome.
//!
//! Joins the four seams: `workspace` (a quarantined worktree), `prompt` (what it is told), `provider`
//! (which program it is) and `sandbox` (where it runs). It knows no database and no GitHub: what is
//! worth keeping goes out as [`Note`]s, what it is told comes in as [`Order`]s. The pipeline calls
//! [`Runtime::play`] for agents and [`Runtime::run_commands`] for a repository's own commands.

mod commands;
mod inside;
mod life;
mod orders;
mod processes;
pub mod prompt;
mod runtime;
mod session;

pub use commands::Errand;
pub use life::{Assignment, Life};
pub use orders::{Note, Order, Stream, Wires};
pub use prompt::{Prompts, Rendered};
pub use runtime::{Programs, Runtime, codex_package};
pub use session::Patience;
