//! What agents may call of Baton's own: one MCP server, reached from inside every sandbox through the
//! gateway's socket and opened by the agent's own token.
//!
//! A call records something in Postgres and answers in words; nothing here decides what follows from
//! it, waits for anybody or talks to GitHub. `app` puts [`router`] beside the gateway's paths; nobody
//! calls it but agents' programs, over HTTP. Streamable HTTP without sessions: each POST is one
//! message and gets one JSON answer.
//!
//! - `server` – one request: whose token it brings
//! - `protocol` – the Model Context Protocol, by `rmcp`
//! - `catalogue` – what each tool is for and takes, as agents read it
//! - `call` – one call: whether it is allowed, and what comes of it
//! - `progress`, `ask`, `context`, `letters`, `emit`, `wishes` – the tools, one family a file

mod ask;
mod call;
mod catalogue;
mod context;
mod emit;
mod letters;
mod progress;
mod protocol;
mod server;
mod wishes;

use std::{fmt, sync::Arc};

use sqlx::PgPool;

use crate::{clock::Clock, queue::Wakes};

pub use server::router;

/// Takes secrets out of a text before it is stored.
pub type Redact = dyn Fn(&str) -> String + Send + Sync;

/// What the tools work with. Cheap to clone.
#[derive(Clone)]
pub struct Tools {
    /// The database.
    pub pool: PgPool,
    /// The time.
    pub clock: Clock,
    /// Wakes whoever says what changed.
    pub wakes: Wakes,
    /// The server's secrets stay out of what agents store.
    pub redact: Arc<Redact>,
}

impl fmt::Debug for Tools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tools").finish_non_exhaustive()
    }
}
