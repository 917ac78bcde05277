//! Reads the usage out of an answer while it streams by.

use serde_json::Value;

use crate::model::{TokenUsage, WebTool};

use super::bill::WebUses;
use super::dialect::Dialect;
use super::prices::Used;
use super::responses;

/// A line of the stream that is longer holds no usage; so much of it is kept at most.
const LONGEST_LINE: usize = 1 << 20;

/// An answer that is no stream is kept whole up to this size, to be read at its end.
const LONGEST_ANSWER: usize = 32 << 20;

/// Bytes of a model's words or of a request that certainly hold no less than a token. Used where
/// the API gives no figure because the agent hung up: hanging up must not make a request free.
const BYTES_PER_TOKEN: u64 = 3;

/// How long an answer is expected to be at most; few get near what they may have.
const EXPECTED_OUTPUT: u64 = 4_000;

/// What a request of that size will about use: of the web, one search or page.
pub(super) fn expected(request_bytes: usize, max_tokens: u64, web: WebUses) -> Used {
    let once = web.within(1);
    let mut used = Used { searches: once.searches.into(), ..Used::default() };
    used.tokens.input = request_bytes as u64 / BYTES_PER_TOKEN;
    used.tokens.output = max_tokens.min(EXPECTED_OUTPUT);
    if once.most() > 0 {
        used.tokens.input = used.tokens.input.saturating_mul(2).saturating_add(web.tokens);
    }
    used
}

/// What one event of a stream tells.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Figures, each a sum that includes the earlier.
    pub(super) used: Option<Used>,
    /// Whether these are the API's final ones.
    pub(super) complete: bool,
    /// Whether it is the API's last word.
    pub(super) over: bool,
    /// Bytes of the model's words.
    pub(super) bytes: u64,
    /// Searches of the web that it tells of, one by one.
    pub(super) searches: u64,
}

/// One answer's meter.
pub(super) struct Meter {
    dialect: Dialect,
    form: Form,
    pending: Vec<u8>,
    used: Used,
    complete: bool,
    over: bool,
    started: bool,
    request_bytes: u64,
    web: WebUses,
    told_bytes: u64,
    told_searches: u64,
}

enum Form {
    /// Server-sent events.
    Stream,
    /// One JSON object.
    Whole,
}

impl Meter {
    /// Begins; `request_bytes` is the size of the request and `web` what it was let do, for an estimate.
    pub(super) fn new(
        dialect: Dialect,
        is_stream: bool,
        request_bytes: usize,
        web: WebUses,
    ) -> Self {
        Self {
            dialect,
            form: if is_stream { Form::Stream } else { Form::Whole },
            pending: Vec::new(),
            used: Used::default(),
            complete: false,
            over: false,
            started: false,
            request_bytes: request_bytes as u64,
            web,
            told_bytes: 0,
            told_searches: 0,
        }
    }

    /// Takes the next bytes of the answer.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        match self.form {
            Form::Stream => self.feed_stream(bytes),
            Form::Whole if self.pending.len() + bytes.len() <= LONGEST_ANSWER => {
                self.pending.extend_from_slice(bytes);
            }
            Form::Whole => {}
        }
    }

    /// Whether the API has told its final figures.
    pub(super) fn is_complete(&self) -> bool {
        self.complete
    }

    /// Whether the API has said its last word, though the connection may still be open.
    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    /// The figures at the end of the answer: the API's own, or an estimate that is rather too high.
    pub(super) fn finish(&mut self) -> Used {
        if matches!(self.form, Form::Whole)
            && let Ok(answer) = serde_json::from_slice::<Value>(&self.pending)
        {
            self.take(&answer);
        }
        let mut used = self.used;
        if !self.started {
            used.tokens.input = used.tokens.input.max(self.request_bytes / BYTES_PER_TOKEN);
        }
        if !self.complete {
            used.tokens.output = used.tokens.output.max(self.told_bytes / BYTES_PER_TOKEN);
            self.add_unseen_searches(&mut used);
        } else if self.dialect == Dialect::Responses {
            // Its figures do not tell the searches.
            used.searches = used.searches.max(self.told_searches);
        }
        used
    }

    /// Adds the searches of an answer that broke off: those that were seen, and one that may have been under
    /// way, each with the tokens that it is reckoned with.
    fn add_unseen_searches(&self, used: &mut Used) {
        let likely = self.told_searches.saturating_add(1).min(self.web.searches.into());
        let searches = likely.max(self.told_searches);
        used.searches = used.searches.max(searches);
        let each = (self.request_bytes / BYTES_PER_TOKEN).saturating_add(self.web.tokens);
        used.tokens.input = used.tokens.input.saturating_add(searches.saturating_mul(each));
    }

    fn feed_stream(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            self.keep(&rest[..end]);
            let line = std::mem::take(&mut self.pending);
            self.read_line(&line);
            rest = &rest[end + 1..];
        }
        self.keep(rest);
    }

    fn keep(&mut self, part: &[u8]) {
        let room = LONGEST_LINE.saturating_sub(self.pending.len());
        self.pending.extend_from_slice(&part[..part.len().min(room)]);
    }

    fn read_line(&mut self, line: &[u8]) {
        let Some(data) = line.strip_prefix(b"data:") else {
            return;
        };
        let Ok(event) = serde_json::from_slice::<Value>(data) else {
            self.told_bytes += data.len() as u64;
            return;
        };
        self.take(&event);
    }

    fn take(&mut self, event: &Value) {
        let told = match self.dialect {
            Dialect::Messages => read(event),
            Dialect::Responses => responses::read(event),
        };
        self.complete |= told.complete;
        self.over |= told.over;
        self.told_bytes += told.bytes;
        self.told_searches += told.searches;
        if let Some(used) = told.used {
            self.started = true;
            self.used = most(self.used, used);
        }
    }
}

/// The larger of each figure.
fn most(known: Used, told: Used) -> Used {
    let (one, other) = (known.tokens, told.tokens);
    let tokens = TokenUsage {
        input: one.input.max(other.input),
        output: one.output.max(other.output),
        cache_read: one.cache_read.max(other.cache_read),
        cache_write: one.cache_write.max(other.cache_write),
    };
    Used {
        tokens,
        cache_write_hour: known.cache_write_hour.max(told.cache_write_hour),
        searches: known.searches.max(told.searches),
    }
}

/// Reads one event of the Messages API, or a whole answer of it.
fn read(event: &Value) -> Told {
    match event["type"].as_str() {
        Some("message_start") => {
            Told { used: figures(&event["message"]["usage"]), ..Told::default() }
        }
        Some("message_delta" | "message") => {
            let used = figures(&event["usage"]);
            Told { complete: used.is_some(), used, ..Told::default() }
        }
        Some("message_stop") => Told { over: true, ..Told::default() },
        Some("content_block_start") => {
            Told { searches: is_search(&event["content_block"]).into(), ..Told::default() }
        }
        Some("content_block_delta") => Told { bytes: told(&event["delta"]), ..Told::default() },
        _ => Told::default(),
    }
}

fn figures(usage: &Value) -> Option<Used> {
    let count = |value: &Value| value.as_u64().unwrap_or_default();
    let tokens = TokenUsage {
        input: count(&usage["input_tokens"]),
        output: count(&usage["output_tokens"]),
        cache_read: count(&usage["cache_read_input_tokens"]),
        cache_write: count(&usage["cache_creation_input_tokens"]),
    };
    let cache_write_hour = count(&usage["cache_creation"]["ephemeral_1h_input_tokens"]);
    let searches = count(&usage["server_tool_use"]["web_search_requests"]);
    usage.is_object().then_some(Used { tokens, cache_write_hour, searches })
}

/// Whether the provider began a search.
fn is_search(block: &Value) -> bool {
    block["type"] == "server_tool_use" && block["name"] == WebTool::Search.name()
}

fn told(delta: &Value) -> u64 {
    ["text", "partial_json", "thinking"]
        .iter()
        .filter_map(|field| delta[field].as_str())
        .map(|words| words.len() as u64)
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = concat!(
        "event: message_start\n",
        "data: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":100,",
        "\"output_tokens\":1,\"cache_read_input_tokens\":50,\"cache_creation_input_tokens\":9,",
        "\"cache_creation\":{\"ephemeral_1h_input_tokens\":4}}}}\n\n",
        "event: content_block_delta\n",
        "data: {\"type\":\"content_block_delta\",\"delta\":{\"text\":\"123456789\"}}\n\n",
        "event: message_delta\n",
        "data: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":42}}\n\n",
    );

    fn metered(parts: impl Iterator<Item = impl AsRef<[u8]>>) -> Meter {
        let mut meter = Meter::new(Dialect::Messages, true, 3_000, WebUses::default());
        parts.for_each(|part| meter.feed(part.as_ref()));
        meter
    }

    #[test]
    fn figures_are_read_wherever_the_stream_is_split() {
        let tokens = TokenUsage { input: 100, output: 42, cache_read: 50, cache_write: 9 };
        let expected = Used { tokens, cache_write_hour: 4, searches: 0 };
        for size in [1, 7, 64, STREAM.len()] {
            let mut meter = metered(STREAM.as_bytes().chunks(size));
            assert!(meter.is_complete());
            assert_eq!(meter.finish(), expected);
        }
    }

    #[test]
    fn an_answer_that_was_hung_up_on_is_not_free() {
        let cut = STREAM.find("event: message_delta").unwrap();
        let mut meter = metered([&STREAM[..cut]].into_iter());
        assert!(!meter.is_complete());
        assert_eq!(meter.finish().tokens.output, 3);
        let mut nothing = metered(std::iter::empty::<&[u8]>());
        assert_eq!(nothing.finish().tokens.input, 1_000);
    }

    /// An answer with a search, up to a part of its last event.
    const SEARCHED: &str = concat!(
        "data: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":90}}}\n",
        "data: {\"type\":\"content_block_start\",\"content_block\":{\"type\":\"server_tool_use\",",
        "\"name\":\"web_search\"}}\n",
        "data: {\"type\":\"message_delta\",\"usage\":{\"input_tokens\":9000,\"output_tokens\":50,",
        "\"server_tool_use\":{\"web_search_requests\":1}}}\n",
    );

    #[test]
    fn searches_are_read_with_the_tokens_that_they_brought() {
        let web = WebUses { searches: 3, fetches: 0, tokens: 500 };
        let mut meter = Meter::new(Dialect::Messages, true, 3_000, web);
        meter.feed(SEARCHED.as_bytes());
        let used = meter.finish();
        assert_eq!((used.tokens.input, used.tokens.output, used.searches), (9_000, 50, 1));
    }

    #[test]
    fn a_search_that_was_hung_up_on_is_not_free() {
        let cut = SEARCHED.find("data: {\"type\":\"message_delta").unwrap();
        let of = |searches, words: &str| {
            let web = WebUses { searches, fetches: 0, tokens: 500 };
            let mut meter = Meter::new(Dialect::Messages, true, 3_000, web);
            meter.feed(words.as_bytes());
            let used = meter.finish();
            (used.tokens.input, used.searches)
        };
        // What was read at first, and for each search all of it again with what the search may have brought.
        assert_eq!(of(3, &SEARCHED[..cut]), (90 + 2 * 1_500, 2));
        assert_eq!(of(1, &SEARCHED[..cut]), (90 + 1_500, 1));
        assert_eq!(of(3, ""), (1_000 + 1_500, 1));
        assert_eq!(of(0, ""), (1_000, 0));
    }

    #[test]
    fn an_answer_in_one_piece_is_read_too() {
        let mut meter = Meter::new(Dialect::Messages, false, 0, WebUses::default());
        meter.feed(b"{\"type\":\"message\",\"usage\":{\"input_tokens\":5,");
        meter.feed(b"\"output_tokens\":6}}");
        let used = meter.finish();
        assert!(meter.is_complete());
        assert_eq!((used.tokens.input, used.tokens.output), (5, 6));
    }

    #[test]
    fn an_endless_line_takes_bounded_memory() {
        let mut meter = Meter::new(Dialect::Messages, true, 0, WebUses::default());
        for _ in 0..40 {
            meter.feed(&vec![b'x'; 100_000]);
        }
        assert_eq!(meter.pending.len(), LONGEST_LINE);
    }
}
