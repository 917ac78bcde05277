//! Execute: one agent's life, from its workspace to its outcome.
//!
//! Joins the four seams: `workspace` (a quarantined worktree), `prompt` (what it is told), `provider`
//! (which program it is) and `sandbox` (where it runs). It knows no database and no GitHub: what is
//! worth keeping goes out as [`Note`]s, what it is told comes in as [`Order`]s. The pipeline calls
//! [`Runtime::play`] for agents and [`Runtime::run_commands`] for a repository's own commands. What a
//! repository needs to be built is its [`Ground`]; what a run is given of that are its [`Supplies`].

mod commands;
mod continuing;
mod devcontainer;
mod fence;
mod ground;
mod inside;
mod journal;
mod life;
mod limit;
mod lines;
mod orders;
mod processes;
pub mod prompt;
mod runtime;
mod salvage;
mod sampler;
mod session;
mod supplies;
mod tending;
mod terms;
mod toolchains;
mod versions;

pub use commands::Errand;
pub use continuing::{Found, Left};
pub use ground::Ground;
pub use life::{Assignment, Life};
pub use orders::{Note, Order, Said, Stream, Wires};
pub use prompt::{Prompts, Rendered};
pub use runtime::{IMAGE_CLAUDE, IMAGE_CODEX, Programs, Runtime, codex_package, try_layers};
pub use supplies::{Reach, Stock, Supplies};
pub use terms::Patience;
pub use toolchains::Toolchains;
