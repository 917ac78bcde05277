//! Codex 0.169.0 as a headless program: `codex exec --json`, one prompt a process.
//!
//! Measured behaviour, bound to that version; `tests/it/captures.rs` replays what the program printed
//! in some fifty cases. It knows no session of anybody else's choice and no line that reaches it while
//! it works: so every process resumes a session that Baton began (`session`), a further prompt is for
//! the next process, and the interrupt is a signal.
//!
//! - `start` – the command line, the environment and the files
//! - `session` – where a session is kept, and how Baton begins one
//! - `schema` – the outcome's schema as the API takes it
//! - `lines` – what a line of standard output means
//! - `ending` – why a turn failed

mod ending;
mod lines;
mod own_tools;
mod schema;
mod session;
mod start;

pub(super) use lines::Codex;
