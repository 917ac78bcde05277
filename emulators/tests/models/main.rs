//! The scripted models, the crew, the agent program, the sample and the host, used as the demo uses them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails there")]

mod agent;
mod claude;
mod crew;
mod faults;
mod host;
mod server;
mod support;
