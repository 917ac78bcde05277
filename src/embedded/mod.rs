//! A private Postgres for when no `DATABASE_URL` is given, from the machine's own programs.
//!
//! It listens on a Unix socket only, in a folder that only its user can enter. Several processes may
//! use one data folder at once: the first starts the server, the last stops it. Whoever dies without
//! stopping it leaves it running, and the next one goes on with it. Not here: tables and pools
//! (`db`). Called by `app`, `baton demo` and the tests.

mod error;
mod folders;
mod identity;
mod locks;
mod programs;
mod server;

pub use error::EmbeddedError;
pub use identity::Identity;
pub use server::{Embedded, Settings, USER, installed, start};
