//! The session file ("rollout") of a Codex thread.
//!
//! The program names new threads itself and files them by the second of their start. It goes on with
//! any thread whose file it finds below `sessions`, also one that nothing was said in yet: so Baton
//! begins each session with a first line of its own, and knows the id and the place of every session
//! before the program runs. One agent's crash cannot leave two.

use std::path::PathBuf;

use serde_json::json;

use crate::model::SessionId;
use crate::provider::ProviderKind;
use crate::provider::launch::{ConfigFile, Launch};

/// The moment that new sessions are filed under: the program reads no meaning into it.
const BEGUN: &str = "2026-01-01T00:00:00.000Z";

/// Where the session is, from the config folder.
pub(super) fn file(session: SessionId) -> PathBuf {
    PathBuf::from(format!("sessions/2026/01/01/rollout-2026-01-01T00-00-00-{session}.jsonl"))
}

/// A session in which nothing was said yet.
pub(super) fn new(task: &Launch) -> ConfigFile {
    let line = json!({
        "timestamp": BEGUN, "type": "session_meta",
        "payload": {
            "id": task.session, "timestamp": BEGUN, "cwd": task.workdir, "source": "exec",
            "originator": "codex_exec", "cli_version": ProviderKind::Codex.pinned_version(),
        },
    });
    ConfigFile { path: file(task.session), content: format!("{line}\n").into_bytes() }
}
