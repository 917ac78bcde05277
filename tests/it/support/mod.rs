//! The harness.

pub mod absent;
pub mod baton;
pub mod containers;
pub mod database;
pub mod docker;
pub mod forks;
pub mod leftovers;
pub mod machine;
pub mod place;
pub mod play;
pub mod remains;
pub mod server;
