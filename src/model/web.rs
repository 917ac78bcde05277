//! What agents may have their model's provider do on the web for them, where the server names it.

use super::Micros;

/// A tool that a model's provider runs on its own side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebTool {
    /// Looks words up in the provider's search engine.
    Search,
    /// Reads a page that is named by its address.
    Fetch,
}

impl WebTool {
    /// Its name, as Anthropic's and OpenAI's APIs have it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Search => "web_search",
            Self::Fetch => "web_fetch",
        }
    }
}

/// On which terms one such tool passes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebTerms {
    /// What one use costs besides its tokens.
    pub price: Micros,
    /// How often one request may use it.
    pub most: u32,
    /// How many tokens one use brings at most. A fetch is held to it; what a search brings is for its
    /// provider to say, and no provider promises a bound.
    pub tokens: u64,
    /// The only domains whose pages are read, each with those below it; none stands for all.
    pub domains: Vec<String>,
    /// Whether pages are read as they are now, at any address, rather than from the provider's own index.
    pub live: bool,
}

/// The web tools of one provider that pass; none unless the server's configuration names them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WebTools {
    /// Searching.
    pub search: Option<WebTerms>,
    /// Reading pages.
    pub fetch: Option<WebTerms>,
}

impl WebTools {
    /// The terms of one; nothing where it does not pass.
    #[must_use]
    pub fn of(&self, tool: WebTool) -> Option<&WebTerms> {
        match tool {
            WebTool::Search => self.search.as_ref(),
            WebTool::Fetch => self.fetch.as_ref(),
        }
    }
}

/// The same of all providers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Web {
    /// Anthropic's.
    pub anthropic: WebTools,
    /// OpenAI's.
    pub openai: WebTools,
}

impl Web {
    /// Whether a program has a search of its own that could pass. What the command provider's does is its
    /// own affair: it asks an API itself.
    #[must_use]
    pub fn searches(&self, program: &str) -> bool {
        match program {
            "claude" => self.anthropic.search.is_some(),
            "codex" => self.openai.search.is_some(),
            _ => false,
        }
    }
}
