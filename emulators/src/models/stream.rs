//! Answers on the wire: as server-sent events, or as one JSON object.
//!
//! The events and their order are those of the public Messages API: `message_start`, per block
//! `content_block_start|delta|stop`, `message_delta` with stop reason and usage, `message_stop`.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame};
use serde_json::{Value, json};
use uuid::Uuid;

use super::answer::{Answer, Block};
use super::request::Web;
use super::usage::Usage;
use super::web;

/// A delta holds about so many characters, so that long answers come in several.
const DELTA_CHARACTERS: usize = 80;

/// The whole answer as one JSON object.
pub(super) fn as_json(answer: &Answer, web: Web, model: &str, usage: Usage) -> Value {
    let blocks = web::within(answer, web);
    let blocks: Vec<Value> = blocks.iter().flat_map(|(block, may)| whole(block, *may)).collect();
    json!({
        "id": identifier("msg"), "type": "message", "role": "assistant", "model": model, "content": blocks,
        "stop_reason": answer.stop_reason(), "stop_sequence": null, "usage": usage.as_json(),
    })
}

/// The answer as events, each ready to be written.
pub(super) fn as_events(answer: &Answer, web: Web, model: &str, usage: Usage) -> VecDeque<Bytes> {
    let begun = usage.begun();
    let mut events = VecDeque::from([event(json!({
        "type": "message_start",
        "message": {
            "id": identifier("msg"), "type": "message", "role": "assistant", "model": model, "content": [],
            "stop_reason": null, "stop_sequence": null, "usage": begun.as_json(),
        },
    }))]);
    let blocks = web::within(answer, web);
    let blocks = blocks.iter().flat_map(|(block, may)| deltas(block, *may));
    for (index, (empty, deltas)) in blocks.enumerate() {
        events.extend(block_events(index, empty, deltas).into_iter().map(event));
    }
    events.push_back(event(json!({
        "type": "message_delta",
        "delta": {"stop_reason": answer.stop_reason(), "stop_sequence": null},
        "usage": usage.as_json(),
    })));
    events.push_back(event(json!({"type": "message_stop"})));
    events
}

/// A block with everything in it; a use of the web has its result behind it.
fn whole(block: &Block, may: bool) -> Vec<Value> {
    match block {
        Block::Text(text) => vec![json!({"type": "text", "text": text})],
        Block::ToolUse { name, input } => {
            vec![
                json!({"type": "tool_use", "id": identifier("toolu"), "name": name, "input": input}),
            ]
        }
        Block::Search { query, .. } => used("web_search", &json!({"query": query}), block, may),
        Block::Fetch { url, .. } => used("web_fetch", &json!({"url": url}), block, may),
    }
}

/// A use of the web and what it brought.
fn used(name: &str, input: &Value, block: &Block, may: bool) -> Vec<Value> {
    let id = identifier("srvtoolu");
    let mut result = web::result(block, may);
    result["tool_use_id"] = json!(id);
    vec![json!({"type": "server_tool_use", "id": id, "name": name, "input": input}), result]
}

/// A block as its start has it, and the deltas that follow. What a use of the web brought is whole at once.
fn deltas(block: &Block, may: bool) -> Vec<(Value, Vec<Value>)> {
    let cut = |mut whole: Value| {
        let (field, empty, kind, delta) = match whole["type"].as_str() {
            Some("text") => ("text", json!(""), "text_delta", "text"),
            Some("tool_use" | "server_tool_use") => {
                ("input", json!({}), "input_json_delta", "partial_json")
            }
            _ => return (whole, Vec::new()),
        };
        let words = match whole[field].take() {
            Value::String(text) => text,
            input => input.to_string(),
        };
        whole[field] = empty;
        (whole, pieces(&words).map(|piece| json!({"type": kind, delta: piece})).collect())
    };
    whole(block, may).into_iter().map(cut).collect()
}

/// Start, deltas and stop of one block.
fn block_events(index: usize, empty: Value, deltas: Vec<Value>) -> Vec<Value> {
    let mut events =
        vec![json!({"type": "content_block_start", "index": index, "content_block": empty})];
    events.extend(
        deltas
            .into_iter()
            .map(|delta| json!({"type": "content_block_delta", "index": index, "delta": delta})),
    );
    events.push(json!({"type": "content_block_stop", "index": index}));
    events
}

/// Cuts a text into deltas, between characters.
pub(super) fn pieces(text: &str) -> impl Iterator<Item = String> {
    let characters: Vec<char> = text.chars().collect();
    let cut: Vec<String> =
        characters.chunks(DELTA_CHARACTERS).map(|piece| piece.iter().collect()).collect();
    cut.into_iter()
}

/// One event; its name is the `type` of its data.
pub(super) fn event(data: Value) -> Bytes {
    let name = data["type"].as_str().unwrap_or_default();
    Bytes::from(format!("event: {name}\ndata: {data}\n\n"))
}

/// An id as the API makes them: `msg_…`, `toolu_…`, `req_…`.
pub(super) fn identifier(prefix: &str) -> String {
    format!("{prefix}_{}", &Uuid::new_v4().simple().to_string()[..24])
}

/// How a body ends once its parts are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// As it should.
    Whole,
    /// The connection breaks.
    Cut,
    /// It never ends.
    Stall,
}

/// A body that is written part by part.
#[derive(Debug)]
pub(super) struct Parts {
    parts: VecDeque<Bytes>,
    ending: Ending,
    flushed: bool,
}

impl Parts {
    /// A body of these parts.
    pub(super) fn new(parts: VecDeque<Bytes>, ending: Ending) -> Self {
        Self { parts, ending, flushed: false }
    }
}

impl Body for Parts {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if let Some(part) = self.parts.pop_front() {
            return Poll::Ready(Some(Ok(Frame::data(part))));
        }
        match self.ending {
            Ending::Whole => Poll::Ready(None),
            Ending::Cut if self.flushed => {
                Poll::Ready(Some(Err(io::ErrorKind::ConnectionReset.into())))
            }
            Ending::Cut => {
                // Being pending once lets the server write what came before the break.
                self.flushed = true;
                context.waker().wake_by_ref();
                Poll::Pending
            }
            // Nobody will wake this: the connection ends when either side closes it.
            Ending::Stall => Poll::Pending,
        }
    }
}
