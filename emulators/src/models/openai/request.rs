//! A request to the Responses API in the words that brains know: those of the Messages API and of Claude Code's
//! tools.

use serde_json::{Value, json};

use super::tools::{given, meant_by, of_servers, wish};
use crate::models::request::{Content, Message, Request, Speaker, Tool};
use crate::models::web;

/// What the program itself tells the model in a user's message.
const OWN_REMARK: &str = "<environment_context>";

/// Parses a body; absent or oddly shaped fields come out empty.
pub(super) fn parse(body: &Value) -> Request {
    let mut request = Request {
        model: body["model"].as_str().unwrap_or_default().to_owned(),
        system: body["instructions"].as_str().unwrap_or_default().to_owned(),
        messages: Vec::new(),
        tools: tools_of(body),
        stream: body["stream"].as_bool().unwrap_or(false),
        web: web::of_responses(body),
    };
    if let Some(words) = body["input"].as_str() {
        request.messages.push(said(Speaker::User, vec![words.to_owned()]));
    }
    for item in body["input"].as_array().into_iter().flatten() {
        take(&mut request, item);
    }
    request
}

/// The session of a command that was asked for last and has not ended.
pub(super) fn still_running(body: &Value) -> Option<String> {
    let last = body["input"].as_array()?.last()?;
    given(last["output"].as_str()?).running
}

fn tools_of(body: &Value) -> Vec<Tool> {
    let offered = body["tools"].as_array().into_iter().flatten();
    let own = offered.filter_map(|tool| tool["name"].as_str()).flat_map(meant_by);
    let items = body["input"].as_array().into_iter().flatten();
    let found = items.filter(|item| item["type"] == "tool_search_output");
    let found = found.flat_map(|item| of_servers(&item["tools"]));
    let names = own.map(|name| (*name).to_owned()).chain(of_servers(&body["tools"])).chain(found);
    names.map(|name| Tool { name, input_schema: json!({"type": "object"}) }).collect()
}

fn take(request: &mut Request, item: &Value) {
    match (item["type"].as_str().unwrap_or("message"), item["role"].as_str()) {
        ("message", Some("developer" | "system")) => {
            for text in texts(&item["content"]) {
                request.system.push('\n');
                request.system.push_str(&text);
            }
        }
        ("message", Some("assistant")) => {
            request.messages.push(said(Speaker::Assistant, texts(&item["content"])));
        }
        ("message", _) => {
            let mut texts = texts(&item["content"]);
            texts.retain(|text| !text.starts_with(OWN_REMARK));
            request.messages.push(said(Speaker::User, texts));
        }
        ("function_call", _) if item["name"] == "write_stdin" => {}
        ("function_call" | "custom_tool_call", _) => {
            let blocks = vec![wish(item)];
            request.messages.push(Message { speaker: Speaker::Assistant, blocks });
        }
        ("function_call_output" | "custom_tool_call_output", _) => result(request, item),
        _ => {}
    }
}

fn said(speaker: Speaker, texts: Vec<String>) -> Message {
    Message { speaker, blocks: texts.into_iter().map(Content::Text).collect() }
}

fn texts(content: &Value) -> Vec<String> {
    match content {
        Value::String(text) => vec![text.clone()],
        Value::Array(parts) => {
            parts.iter().filter_map(|part| part["text"].as_str()).map(str::to_owned).collect()
        }
        _ => Vec::new(),
    }
}

/// A command that had not ended when it gave its first output gives the rest to whoever polled for it.
fn result(request: &mut Request, item: &Value) {
    let given = given(&texts(&item["output"]).join("\n"));
    let call = item["call_id"].as_str().unwrap_or_default();
    let wished = request.messages.iter().flat_map(|message| &message.blocks);
    let is_own =
        wished.into_iter().any(|block| matches!(block, Content::ToolUse { id, .. } if id == call));
    let last = request.messages.last_mut().and_then(|message| message.blocks.last_mut());
    match last {
        Some(Content::ToolResult { text, is_error, .. }) if !is_own => {
            text.push_str(&given.text);
            *is_error = given.is_error;
        }
        _ => {
            let (id, text, is_error) = (call.to_owned(), given.text, given.is_error);
            let blocks = vec![Content::ToolResult { id, text, is_error }];
            request.messages.push(Message { speaker: Speaker::User, blocks });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversation_reads_as_brains_know_it() {
        let call = |id: &str, name: &str, arguments: Value| json!({"type": "function_call", "call_id": id, "name": name, "arguments": arguments.to_string()});
        let output = |id: &str, text: &str| json!({"type": "function_call_output", "call_id": id, "output": text});
        let request = parse(&json!({
            "model": "m", "stream": true,
            "tools": [{"type": "function", "name": "exec_command"}, {"type": "custom", "name": "apply_patch"}],
            "input": [
                {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "Role: code"}]},
                {"type": "message", "role": "user", "content": [
                    {"type": "input_text", "text": "<environment_context>x"}]},
                {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "go"}]},
                call("a", "exec_command", json!({"cmd": "node --test"})),
                output("a", "Process running with session ID 7\nOutput:\nfirst\n"),
                call("b", "write_stdin", json!({"session_id": 7})),
                output("b", "Process exited with code 1\nOutput:\nsecond\n"),
            ],
        }));
        assert!(request.system.contains("Role: code"));
        assert_eq!(request.user_texts(), ["go"]);
        assert!(["Read", "Bash", "Edit", "Write"].iter().all(|tool| request.offers(tool)));
        let calls = request.tool_results_since_last_user_text();
        assert_eq!(calls.len(), 1);
        assert_eq!(
            (calls[0].name, calls[0].result, calls[0].is_error),
            ("Bash", "first\nsecond\n", true)
        );
    }
}
