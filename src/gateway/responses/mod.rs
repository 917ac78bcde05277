//! OpenAI's Responses API, as far as Codex 0.169.0 uses it.
//!
//! - `request` – which bodies are let through, and what bears on their price
//! - `search` – the one tool of the provider's that passes where the server names it
//! - `shortage` – whether an error says that there is no more for now
//! - `usage` – what its stream tells of what was used
//! - `refusal` – how its clients are told no

mod refusal;
mod request;
mod search;
mod shortage;
mod usage;

pub(super) use refusal::{FINAL, refuse};
pub(super) use request::{check, held_to};
pub(super) use shortage::read as shortage;
pub(super) use usage::read;
