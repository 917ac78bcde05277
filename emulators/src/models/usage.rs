//! What a request and its answer would be charged for.

use serde_json::{Value, json};

use super::answer::{Answer, Block};
use super::request::Web;
use super::web;

/// About so many characters make a token of English or code.
const CHARACTERS_PER_TOKEN: usize = 4;

/// Tokens of one call, as the Messages API counts them: the three inputs do not overlap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Input charged in full.
    pub input_tokens: usize,
    /// Input written to the prompt cache.
    pub cache_creation_input_tokens: usize,
    /// Input read from the prompt cache.
    pub cache_read_input_tokens: usize,
    /// Output.
    pub output_tokens: usize,
    /// Searches of the web.
    pub web_searches: usize,
    /// Pages of the web that were read.
    pub web_fetches: usize,
    /// Tokens that these brought: they are written to the cache.
    pub brought: usize,
    /// Tokens that were read again after each of them, from there.
    pub read_again: usize,
}

impl Usage {
    /// Estimates from the sizes. What came before the model's newest turn counts as cached by that turn.
    pub fn estimate(body: &Value, answer: &Answer, web: Web) -> Self {
        let messages = body["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
        let known =
            messages.iter().rposition(|message| message["role"] == "assistant").unwrap_or(0);
        let cached: usize = messages[..known].iter().map(size).sum();
        let fixed = size(&body["system"]) + size(&body["tools"]);
        let fresh: usize = messages[known..].iter().map(size).sum();
        let prefix = tokens(fixed + cached);
        let (created, read) = if known == 0 { (prefix, 0) } else { (0, prefix) };
        Self {
            input_tokens: tokens(fresh).max(1),
            cache_creation_input_tokens: created,
            cache_read_input_tokens: read,
            output_tokens: tokens(answer.blocks.iter().map(block_size).sum()).max(1),
            ..Self::default()
        }
        .with_uses(answer, web)
    }

    /// Adds what the web was used: all that there was is read again after each use.
    fn with_uses(self, answer: &Answer, web: Web) -> Self {
        let used = web::within(answer, web).into_iter().filter(|(_, may)| *may);
        used.fold(self, |usage, (block, _)| {
            let (searches, fetches) = match block {
                Block::Search { .. } => (1, 0),
                Block::Fetch { .. } => (0, 1),
                Block::Text(_) | Block::ToolUse { .. } => return usage,
            };
            let all = self.all_input() + usage.brought;
            Self {
                web_searches: usage.web_searches + searches,
                web_fetches: usage.web_fetches + fetches,
                brought: usage.brought + tokens(size(&web::result(&block, true))),
                read_again: usage.read_again + all,
                ..usage
            }
        })
    }

    /// What is told before the first word.
    pub fn begun(&self) -> Self {
        Self {
            output_tokens: 1,
            web_searches: 0,
            web_fetches: 0,
            brought: 0,
            read_again: 0,
            ..*self
        }
    }

    /// The same of a request to the Responses API, which counts what it reads from its cache as input too.
    pub fn estimate_responses(body: &Value, answer: &Answer, web: Web) -> Self {
        let items = body["input"].as_array().map(Vec::as_slice).unwrap_or_default();
        let is_own = |item: &Value| {
            item["role"] == "assistant"
                || item["type"].as_str().is_some_and(|kind| kind.ends_with("_call"))
        };
        let known = items.iter().rposition(is_own).unwrap_or(0);
        let cached: usize = items[..known].iter().map(size).sum();
        let fixed = size(&body["instructions"]) + size(&body["tools"]);
        let fresh: usize = items[known..].iter().map(size).sum();
        let (created, read) = if known == 0 { (fixed, 0) } else { (0, fixed + cached) };
        Self {
            input_tokens: tokens(created + fresh).max(1),
            cache_creation_input_tokens: 0,
            cache_read_input_tokens: tokens(read),
            output_tokens: tokens(answer.blocks.iter().map(block_size).sum()).max(1),
            ..Self::default()
        }
        .with_uses(answer, web)
    }

    /// All input tokens, however charged: what `count_tokens` answers.
    pub fn all_input(&self) -> usize {
        let once =
            self.input_tokens + self.cache_creation_input_tokens + self.cache_read_input_tokens;
        once + self.brought + self.read_again
    }

    /// The `usage` object of the Responses API.
    pub fn as_responses_json(&self) -> Value {
        json!({
            "input_tokens": self.all_input(),
            "input_tokens_details": {"cached_tokens": self.cache_read_input_tokens + self.read_again},
            "output_tokens": self.output_tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": self.all_input() + self.output_tokens,
        })
    }

    /// The `usage` object of the Messages API.
    pub fn as_json(&self) -> Value {
        json!({
            "input_tokens": self.input_tokens,
            "cache_creation_input_tokens": self.cache_creation_input_tokens + self.brought,
            "cache_read_input_tokens": self.cache_read_input_tokens + self.read_again,
            "output_tokens": self.output_tokens,
            "service_tier": "standard",
            "server_tool_use": {
                "web_search_requests": self.web_searches, "web_fetch_requests": self.web_fetches,
            },
        })
    }
}

fn size(value: &Value) -> usize {
    if value.is_null() { 0 } else { value.to_string().len() }
}

fn block_size(block: &Block) -> usize {
    match block {
        Block::Text(text) => text.len(),
        Block::ToolUse { name, input } => name.len() + size(input),
        Block::Search { query, .. } => query.len(),
        Block::Fetch { url, .. } => url.len(),
    }
}

fn tokens(characters: usize) -> usize {
    characters.div_ceil(CHARACTERS_PER_TOKEN)
}
