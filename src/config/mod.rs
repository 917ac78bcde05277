//! What the operator of a server sets: environment variables over an optional `baton.toml`.
//!
//! Reading gives either a whole [`Config`] or every mistake at once, each with the name of the
//! variable or key that is wrong. Nothing here opens a connection. Read by `cli`, used by `app`.

mod agents;
mod deploy;
mod files;
mod github;
mod keep;
mod limits;
mod listen;
mod load;
mod sandbox;
mod source;
mod web;

pub use agents::{Agents, Price, SandboxChoice, Upstream};
pub use deploy::Grant;
pub use github::GitHub;
pub use listen::Listen;
pub use load::{Config, Local};
pub use sandbox::{Containers, SandboxTools};
pub use source::{Mistake, Mistakes, Source};
