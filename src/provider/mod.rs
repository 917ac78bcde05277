//! The programs that agents are, behind one seam: a task becomes a command line, and what the
//! program prints becomes [`AgentEvent`](crate::model::AgentEvent)s.
//!
//! Nothing here starts a process, reads a clock or touches a disk: whoever runs the program feeds
//! its lines in and writes out the lines it is given. `agent` is the only caller.
//!
//! - `launch` – what a provider gets, and the command line that it makes of it
//! - `contract` – the [`Provider`] trait and its small types
//! - `kind` – the closed set of providers, by name
//! - `claude` – Claude Code 2.1.329
//! - `codex` – Codex 0.169.0
//! - `command` – any program that speaks the line protocol of `docs/command-provider.md`
//! - `json` – reading fields out of lines that nobody vouches for

mod claude;
mod codex;
mod command;
mod contract;
mod json;
mod kind;
mod launch;

pub use contract::{Exit, ModelRefusal, Provider, RefusalKind, Step, Talk};
pub use kind::{ProviderKind, by_name};
pub use launch::{Command, ConfigFile, Launch, ToolServer};
