//! OpenAI's Responses API, as far as Codex 0.169.0 uses it.
//!
//! - `request` – which bodies are let through, and what bears on their price
//! - `shortage` – whether an error says that there is no more for now
//! - `usage` – what its stream tells of what was used
//! - `refusal` – how its clients are told no

mod refusal;
mod request;
mod shortage;
mod usage;

pub(super) use refusal::{FINAL, refuse};
pub(super) use request::{check, shortened};
pub(super) use shortage::read as shortage;
pub(super) use usage::read;
