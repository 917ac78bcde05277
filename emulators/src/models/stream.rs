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
use super::usage::Usage;

/// A delta holds about so many characters, so that long answers come in several.
const DELTA_CHARACTERS: usize = 80;

/// The whole answer as one JSON object.
pub(super) fn as_json(answer: &Answer, model: &str, usage: Usage) -> Value {
    let blocks: Vec<Value> = answer.blocks.iter().map(whole_block).collect();
    json!({
        "id": identifier("msg"), "type": "message", "role": "assistant", "model": model, "content": blocks,
        "stop_reason": answer.stop_reason(), "stop_sequence": null, "usage": usage.as_json(),
    })
}

/// The answer as events, each ready to be written.
pub(super) fn as_events(answer: &Answer, model: &str, usage: Usage) -> VecDeque<Bytes> {
    let begun = Usage { output_tokens: 1, ..usage };
    let mut events = VecDeque::from([event(json!({
        "type": "message_start",
        "message": {
            "id": identifier("msg"), "type": "message", "role": "assistant", "model": model, "content": [],
            "stop_reason": null, "stop_sequence": null, "usage": begun.as_json(),
        },
    }))]);
    for (index, block) in answer.blocks.iter().enumerate() {
        events.extend(block_events(index, block).into_iter().map(event));
    }
    events.push_back(event(json!({
        "type": "message_delta",
        "delta": {"stop_reason": answer.stop_reason(), "stop_sequence": null},
        "usage": usage.as_json(),
    })));
    events.push_back(event(json!({"type": "message_stop"})));
    events
}

/// A block with everything in it.
fn whole_block(block: &Block) -> Value {
    match block {
        Block::Text(text) => json!({"type": "text", "text": text}),
        Block::ToolUse { name, input } => {
            json!({"type": "tool_use", "id": identifier("toolu"), "name": name, "input": input})
        }
    }
}

/// Start, deltas and stop of one block.
fn block_events(index: usize, block: &Block) -> Vec<Value> {
    let (empty, deltas): (Value, Vec<Value>) = match block {
        Block::Text(text) => (
            json!({"type": "text", "text": ""}),
            pieces(text).map(|piece| json!({"type": "text_delta", "text": piece})).collect(),
        ),
        Block::ToolUse { name, input } => (
            json!({"type": "tool_use", "id": identifier("toolu"), "name": name, "input": {}}),
            pieces(&input.to_string())
                .map(|piece| json!({"type": "input_json_delta", "partial_json": piece}))
                .collect(),
        ),
    };
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
