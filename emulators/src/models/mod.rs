//! Scripted model APIs: what an agent program talks to when no real model is wanted.
//!
//! [`Anthropic`] speaks the Messages API well enough for the real Claude Code program and for [`AGENT_PROGRAM`],
//! [`OpenAi`] the Responses API for the real Codex program; a [`Brain`] decides what they say. [`Crew`] is the
//! brain of the demo, [`Script`], [`Hang`] and [`Say`] those of tests. Nothing here is a model: a brain sees one
//! request and answers from what it reads there.

mod answer;
mod anthropic;
mod brains;
mod crew;
mod door;
mod faults;
mod openai;
mod request;
mod stream;
mod usage;
mod web;

pub use answer::{Answer, Block, Pace};
pub use anthropic::Anthropic;
pub use brains::{Brain, Hang, Say, Script};
pub use crew::Crew;
pub use door::{RecordedRequest, Settings};
pub use faults::{Fault, Faults};
pub use openai::OpenAi;
pub use request::{Call, Content, Message, Request, Speaker, Tool, Web};
pub use usage::Usage;

/// A coding agent in plain Node (18 or newer) that speaks the line protocol of the `command` provider.
///
/// Write it to a file and run it with `node`. It reads `ANTHROPIC_BASE_URL`, `ANTHROPIC_API_KEY` and, to keep
/// sessions, `BATON_SESSION_DIR` from its environment.
pub const AGENT_PROGRAM: &str = include_str!("../../assets/agent.mjs");
