//! The one way out of a set-up: a proxy that lets named hosts pass and writes down what was asked.
//!
//! Each run gets an [`Exit`] of its own, which is a Unix socket: the sandbox has no other network, so
//! whoever speaks on the socket is that run. What may be reached is what the repository's policy and
//! the server's list both name ([`Allowance`]), on the ports of the web, at public addresses. It reads
//! no TLS and holds no credential. `agent` opens exits; what they saw is kept by `pipeline`.
//!
//! - `allowance` – which hosts, and why not
//! - `address`   – which addresses are public
//! - `package`   – name and version in a registry's address
//! - `exit`      – the socket and its life
//! - `proxy`     – one connection: a tunnel, or a plain request

mod address;
mod allowance;
mod exit;
mod package;
mod proxy;

pub use allowance::Allowance;
pub use exit::{Exit, Exits};
