//! What a brain says.

use std::time::Duration;

use serde_json::Value;

/// One answer of the model.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Its content, in order. With a tool use among them the stop reason is `tool_use`, otherwise `end_turn`.
    pub blocks: Vec<Block>,
    /// How long the model thinks before the first byte.
    pub pace: Pace,
}

/// One block of an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Block {
    /// Plain text.
    Text(String),
    /// The wish to use a tool.
    ToolUse {
        /// The tool, one of those on offer.
        name: String,
        /// Its arguments.
        input: Value,
    },
    /// A search of the web on the model's side.
    Search {
        /// What is looked for.
        query: String,
        /// What is found: titles with their addresses.
        found: Vec<(String, String)>,
    },
    /// A page of the web that is read on the model's side.
    Fetch {
        /// Its address.
        url: String,
        /// What stands there.
        text: String,
    },
}

/// How long an answer takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pace {
    /// No waiting.
    #[default]
    AtOnce,
    /// The first byte comes after this time.
    After(Duration),
    /// No byte ever comes; the connection stays open.
    Never,
}

impl Answer {
    /// Nothing yet: the start of an answer built block by block.
    pub fn new() -> Self {
        Self { blocks: Vec::new(), pace: Pace::AtOnce }
    }

    /// An answer of text alone.
    pub fn text(text: impl Into<String>) -> Self {
        Self::new().and_text(text)
    }

    /// An answer that uses one tool.
    pub fn tool(name: impl Into<String>, input: Value) -> Self {
        Self::new().and_tool(name, input)
    }

    /// Adds text.
    #[must_use]
    pub fn and_text(mut self, text: impl Into<String>) -> Self {
        self.blocks.push(Block::Text(text.into()));
        self
    }

    /// Adds the use of a tool.
    #[must_use]
    pub fn and_tool(mut self, name: impl Into<String>, input: Value) -> Self {
        self.blocks.push(Block::ToolUse { name: name.into(), input });
        self
    }

    /// Adds a search of the web that finds one page.
    #[must_use]
    pub fn and_search(mut self, query: impl Into<String>, title: &str, url: &str) -> Self {
        let found = vec![(title.to_owned(), url.to_owned())];
        self.blocks.push(Block::Search { query: query.into(), found });
        self
    }

    /// Adds the reading of a page.
    #[must_use]
    pub fn and_fetch(mut self, url: impl Into<String>, text: impl Into<String>) -> Self {
        self.blocks.push(Block::Fetch { url: url.into(), text: text.into() });
        self
    }

    /// Sets how long it takes.
    #[must_use]
    pub fn with_pace(mut self, pace: Pace) -> Self {
        self.pace = pace;
        self
    }

    /// The stop reason on the wire.
    pub fn stop_reason(&self) -> &'static str {
        let wishes = self.blocks.iter().any(|block| matches!(block, Block::ToolUse { .. }));
        if wishes { "tool_use" } else { "end_turn" }
    }
}

impl Default for Answer {
    fn default() -> Self {
        Self::new()
    }
}
