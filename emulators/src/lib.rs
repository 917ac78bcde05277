//! Local stand-ins for the world around Baton: what the demo and the tests run against.

#[cfg(feature = "contract")]
pub mod contract;
pub mod github;
pub mod host;
mod listener;
pub mod models;
pub mod registry;
pub mod sample;
