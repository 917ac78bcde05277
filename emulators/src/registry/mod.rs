//! A package registry for cargo, npm and pip in one: what a set-up fetches from in the tests.
//!
//! Holds one small package for each, and answers the real tools as the public registries do: a sparse
//! index and crates, packuments and tarballs, the simple index of PEP 503 and wheels. Over plain HTTP, on
//! 127.0.0.1; addresses in its answers are by the name under which it was asked.
//!
//! - `package` – what the packages hold
//! - `archive` – tar, gzip and zip, uncompressed
//! - `server`  – the routes

mod archive;
mod package;
mod server;

pub use package::{NAME, VERSION};
pub use server::Registry;
