//! OpenAI's Responses API, as far as Codex 0.169.0 uses it.
//!
//! - `request` – which bodies are let through
//! - `usage` – what its stream tells of what was used
//! - `refusal` – how its clients are told no

mod refusal;
mod request;
mod usage;

pub(super) use refusal::refuse;
pub(super) use request::check;
pub(super) use usage::read;
