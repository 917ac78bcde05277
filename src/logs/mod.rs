//! What agents print: without secrets, numbered, and written to the database in batches.
//!
//! It knows nothing of what the lines mean (that is `provider`): the spine opens a [`LogWriter`] per
//! agent, and whoever watches reads on in the database from the last number it has seen, when a batch is
//! told there.
//!
//! - `needles` – the forms in which a secret can appear
//! - `redact` – takes secrets out of texts
//! - `lines` – the same for a sequence of lines, where a secret can be split
//! - `writer` – from a program's output to numbered lines
//! - `batches` – numbered lines on their way to where they are kept
//! - `database` – Postgres, where they are kept
//! - `settings` – how much is kept, and how it is gathered

mod batches;
mod database;
mod lines;
mod needles;
mod redact;
mod settings;
mod writer;

pub use batches::{LineStore, LogLine, LogStream, LogsError, Stored};
pub use database::DatabaseLines;
pub use lines::LineRedactor;
pub use redact::Redactor;
pub use settings::LogSettings;
pub use writer::{LogWriter, Logs};
