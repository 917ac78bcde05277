//! The scripted server of the OpenAI Responses API.
//!
//! - `server` – the server
//! - `request` – a request in the words that brains know
//! - `tools` – what Claude Code's tools are in Codex's words, and back
//! - `stream` – answers on the wire
//! - `strict` – what the API refuses of an answer's schema

mod request;
mod server;
mod stream;
mod strict;
mod tools;

pub use server::OpenAi;
