//! Calls of Baton's own tools: whether they got there. The program tells a call that was lost on the way
//! like one that was refused, as a failed result; only the words differ.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::model::AgentEvent;
use crate::provider::json::{is_true, lost_words, text};

use super::start::SERVER;

/// How the words begin of a call that got no answer, in the pinned version of the program.
const LOST: [&str; 4] = ["ECONN", "Error POSTing to endpoint", "MCP server ", "MCP error -3200"];

/// Calls that have no result yet, by their ids.
#[derive(Debug, Default)]
pub(super) struct OwnCalls(BTreeSet<String>);

impl OwnCalls {
    /// Remembers a `tool_use` block where it is one of Baton's.
    pub fn called(&mut self, block: &Value) {
        let is_own = text(block, "name")
            .strip_prefix("mcp__")
            .and_then(|name| name.strip_prefix(SERVER))
            .is_some_and(|name| name.starts_with("__"));
        if is_own {
            self.0.insert(text(block, "id").to_owned());
        }
    }

    /// What a `tool_result` block says of the way to Baton's tools, where it is of one of them.
    pub fn answered(&mut self, block: &Value) -> Option<AgentEvent> {
        if !self.0.remove(text(block, "tool_use_id")) {
            return None;
        }
        let words = text(block, "content");
        let is_lost = is_true(block, "is_error") && LOST.iter().any(|it| words.starts_with(it));
        Some(AgentEvent::ToolsReached(if is_lost { Err(lost_words(words)) } else { Ok(()) }))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(name: &str, is_error: bool, content: &Value) -> Option<AgentEvent> {
        let mut calls = OwnCalls::default();
        calls.called(&json!({ "type": "tool_use", "id": "t1", "name": name, "input": {} }));
        calls.answered(&json!({
            "type": "tool_result", "tool_use_id": "t1", "is_error": is_error, "content": content,
        }))
    }

    /// As the real program words them, each seen once.
    #[test]
    fn a_call_that_got_no_answer_is_told_apart_from_one_that_was_refused() {
        let own = "mcp__baton__context_list";
        for lost in [
            "ECONNRESET: The socket connection was closed unexpectedly. For more information, pass …",
            "ECONNREFUSED: Unable to connect. Is the computer able to access the url?",
            "MCP server \"baton\" is not connected",
            "Error POSTing to endpoint: {\"error\":\"the agent's rights cannot be looked up right now\"}",
        ] {
            let expected = AgentEvent::ToolsReached(Err(lost.to_owned()));
            assert_eq!(told(own, true, &json!(lost)), Some(expected));
        }
        let reached = Some(AgentEvent::ToolsReached(Ok(())));
        assert_eq!(told(own, true, &json!("the question is empty")), reached);
        assert_eq!(told(own, false, &json!([{ "type": "text", "text": "ECONN" }])), reached);
        assert_eq!(told("Bash", true, &json!("ECONNREFUSED: psql")), None);
        assert_eq!(told("mcp__other__call", true, &json!("ECONNREFUSED")), None);
    }
}
