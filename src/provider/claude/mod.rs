//! Claude Code 2.1.329 as a headless program: two-way `stream-json` on its pipes.
//!
//! Measured behaviour, bound to that version; `tests/it/captures.rs` replays what the program
//! printed in more than a hundred cases.
//!
//! - `start` – the command line and the environment
//! - `lines` – what a line of standard output means
//! - `own_tools` – whether a call of Baton's tools got there
//! - `permit` – what it asks leave for
//! - `ending` – what a `result` line, or the lack of one, means

mod ending;
mod lines;
mod own_tools;
mod permit;
mod start;

pub(super) use lines::Claude;
