//! Wiring and life cycle: builds each part from the configuration, starts them in order, stops them in
//! the opposite one. It decides nothing.
//!
//! - `place`   – which database, and opening it
//! - `parts`   – the parts of a server from its configuration
//! - `server`  – a running server: listeners, workers, timers
//! - `capacity` – how many agents the machine has room for
//! - `programs` – where the programs are that agents are
//! - `tend`    – what the replicas of one database tell each other now and then
//! - `admin`   – health, readiness and metrics for the operator
//! - `checks`  – what `baton doctor` looks at
//! - `local`   – agents for somebody at the command line, without a server

mod admin;
mod capacity;
pub mod checks;
pub mod local;
mod metrics;
mod parts;
mod place;
mod programs;
mod server;
mod tend;

pub use place::{Place, open_database};
pub use programs::{installed_claude, installed_codex};
pub use server::{Options, Server};
