//! What agents print: without secrets, numbered, written to the database in batches, and kept for a
//! while in memory for those who watch.
//!
//! It knows nothing of what the lines mean (that is `provider`) and serves nobody by itself: the
//! spine opens a [`LogWriter`] per agent, and the pages follow an agent's [`Ring`].
//!
//! - `needles` – the forms in which a secret can appear
//! - `redact` – takes secrets out of texts
//! - `lines` – the same for a sequence of lines, where a secret can be split
//! - `ring` – the newest lines of one agent, with cursors
//! - `writer` – from a program's output to numbered lines
//! - `batches` – numbered lines on their way to where they are kept
//! - `database` – Postgres, where they are kept

mod batches;
mod database;
mod lines;
mod needles;
mod redact;
mod ring;
mod writer;

pub use batches::{LineStore, LogLine, LogStream, LogsError, Stored};
pub use database::DatabaseLines;
pub use lines::LineRedactor;
pub use redact::Redactor;
pub use ring::{Follower, News, Ring};
pub use writer::{LogSettings, LogWriter, Logs};
