//! Answers on the wire, as server-sent events.
//!
//! The events and their order are those of the public Responses API: `response.created`, per item
//! `response.output_item.added|done` with the deltas of its words between, `response.completed` with the usage.

use std::collections::VecDeque;

use bytes::Bytes;
use serde_json::{Value, json};

use super::tools;
use crate::models::answer::{Answer, Block};
use crate::models::request::Request;
use crate::models::stream::{event, identifier, pieces};
use crate::models::usage::Usage;
use crate::models::web;

/// The items of an answer.
pub(super) fn items(request: &Request, answer: &Answer) -> Vec<Value> {
    let item = |(block, may): (Block, bool)| match &block {
        Block::Text(text) => json!({
            "type": "message", "id": identifier("msg"), "role": "assistant", "status": "completed",
            "content": [{"type": "output_text", "text": text, "annotations": []}],
        }),
        Block::ToolUse { name, input } => with_ids(tools::item(request, name, input)),
        Block::Search { query, .. } if may => search(json!({"type": "search", "query": query})),
        Block::Fetch { url, .. } if may => search(json!({"type": "open_page", "url": url})),
        // Further calls are not made.
        Block::Search { .. } | Block::Fetch { .. } => Value::Null,
    };
    let blocks = web::within(answer, request.web).into_iter();
    blocks.map(item).filter(|item| !item.is_null()).collect()
}

/// A call of the search; what it found is in no item.
fn search(action: Value) -> Value {
    json!({"type": "web_search_call", "id": identifier("ws"), "status": "completed", "action": action})
}

/// Gives a wish the ids that tie it to its result.
pub(super) fn with_ids(mut item: Value) -> Value {
    item["id"] = json!(identifier("fc"));
    item["call_id"] = json!(identifier("call"));
    item["status"] = json!("completed");
    item
}

/// The whole answer as events, each ready to be written.
pub(super) fn as_events(items: &[Value], model: &str, usage: Usage) -> VecDeque<Bytes> {
    let id = identifier("resp");
    let response =
        |status: &str| json!({"id": id, "object": "response", "model": model, "status": status});
    let mut events = VecDeque::from([event(json!({
        "type": "response.created", "response": response("in_progress"),
    }))]);
    for (index, item) in items.iter().enumerate() {
        events.extend(item_events(index, item).into_iter().map(event));
    }
    let mut completed = response("completed");
    completed["output"] = json!(items);
    completed["usage"] = usage.as_responses_json();
    events.push_back(event(json!({"type": "response.completed", "response": completed})));
    events
}

fn item_events(index: usize, item: &Value) -> Vec<Value> {
    let (kind, words) = match item["type"].as_str() {
        Some("message") => ("response.output_text.delta", &item["content"][0]["text"]),
        Some("custom_tool_call") => ("response.custom_tool_call_input.delta", &item["input"]),
        _ => ("response.function_call_arguments.delta", &item["arguments"]),
    };
    let mut begun = item.clone();
    begun["status"] = json!("in_progress");
    let place = |kind: &str| json!({"type": kind, "output_index": index});
    let mut events = vec![place("response.output_item.added")];
    events[0]["item"] = begun;
    for piece in pieces(words.as_str().unwrap_or_default()) {
        let mut delta = place(kind);
        delta["item_id"] = item["id"].clone();
        delta["delta"] = json!(piece);
        events.push(delta);
    }
    let mut done = place("response.output_item.done");
    done["item"] = item.clone();
    events.push(done);
    events
}
