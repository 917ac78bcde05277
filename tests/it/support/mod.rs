//! The harness.

pub mod baton;
pub mod containers;
pub mod database;
pub mod forks;
pub mod leftovers;
pub mod machine;
pub mod play;
pub mod server;
