//! Calls of Baton's own tools: whether they got there. A call that was refused has a result, one that was
//! lost on the way has an error in its place.

use serde_json::Value;

use crate::model::AgentEvent;
use crate::provider::json::{lost_words, text};

use super::start::SERVER;

/// What an `mcp_tool_call` that is over says of the way to Baton's tools, where it is of one of them.
pub(super) fn reached(item: &Value) -> Option<AgentEvent> {
    let is_own = text(item, "server") == SERVER;
    let error = text(&item["error"], "message");
    is_own.then(|| {
        AgentEvent::ToolsReached(if error.is_empty() { Ok(()) } else { Err(cause(error)) })
    })
}

/// The error names its cause on a line of its own, after the types of all layers that it went through.
fn cause(error: &str) -> String {
    let cause = error.split_once("Caused by:\n").map_or(error, |(_, cause)| cause);
    let line = cause.lines().next().unwrap_or_default().trim();
    lost_words(line.split_once("] error: ").map_or(line, |(_, why)| why))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// As the real program words it.
    const LOST: &str = "tool call error: tool call failed for `baton/context_list`\n\nCaused by:\n    Transport \
        send error: Transport [codex_rmcp_client::Client<rmcp::Worker>] error: unexpected server response: HTTP \
        503: {}\n\nStack backtrace:\n   0: <unknown>";

    #[test]
    fn a_call_that_got_no_answer_is_told_apart_from_one_that_was_refused() {
        let told = |server: &str, result: Value, error: Value| {
            reached(&json!({ "server": server, "result": result, "error": error }))
        };
        let why = "unexpected server response: HTTP 503: {}".to_owned();
        let lost = json!({ "message": LOST });
        let expected = Some(AgentEvent::ToolsReached(Err(why)));
        assert_eq!(told("baton", Value::Null, lost.clone()), expected);
        let refused = json!({ "content": [{ "type": "text", "text": "the question is empty" }] });
        assert_eq!(told("baton", refused, Value::Null), Some(AgentEvent::ToolsReached(Ok(()))));
        assert_eq!(told("other", Value::Null, lost), None);
    }
}
