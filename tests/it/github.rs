//! The `github` module against servers on this machine: one of few words for what passes on the
//! wire, and the stateful stand-in for what comes of it.

mod commits;
mod deliveries;
mod emulated;
mod forks;
mod limits;
mod pulls;
mod refusals;
mod stub;
mod threads;
mod tokens;
mod writing;
