//! One request to the Messages API, parsed as far as brains look at it.

use serde_json::Value;

use super::web;

/// A request to answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The model asked for, as sent.
    pub model: String,
    /// All system text: the `system` field and messages of role `system`, joined by newlines.
    pub system: String,
    /// The conversation, oldest first, without messages of role `system`.
    pub messages: Vec<Message>,
    /// The tools on offer.
    pub tools: Vec<Tool>,
    /// Whether server-sent events are wanted.
    pub stream: bool,
    /// What it may have done on the web.
    pub web: Web,
}

/// How often the model's side may search and read pages of the web for one answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Web {
    /// Searches.
    pub searches: u64,
    /// Pages.
    pub fetches: u64,
}

/// One message of the conversation.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Who says it.
    pub speaker: Speaker,
    /// What it holds, in order; blocks of unknown types are left out.
    pub blocks: Vec<Content>,
}

/// Who says a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaker {
    /// The agent program, for its user or its tools.
    User,
    /// The model, earlier.
    Assistant,
}

/// One block of a message.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// Plain text.
    Text(String),
    /// The model's wish to use a tool.
    ToolUse {
        /// Ties the result to it.
        id: String,
        /// The tool.
        name: String,
        /// Its arguments.
        input: Value,
    },
    /// What a tool gave back.
    ToolResult {
        /// The id of the wish.
        id: String,
        /// All text of the result.
        text: String,
        /// Whether the tool failed or was refused.
        is_error: bool,
    },
}

/// A tool on offer.
#[derive(Debug, Clone, PartialEq)]
pub struct Tool {
    /// Its name, such as `Read` or `mcp__server__tool`.
    pub name: String,
    /// The JSON schema of its arguments.
    pub input_schema: Value,
}

/// A tool call that has its result.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Call<'a> {
    /// The tool.
    pub name: &'a str,
    /// The arguments it was called with; `null` if the call itself is no longer in the request.
    pub input: &'a Value,
    /// The text it gave back.
    pub result: &'a str,
    /// Whether it failed or was refused.
    pub is_error: bool,
}

impl Request {
    /// Parses a body; absent or oddly shaped fields come out empty.
    pub fn parse(body: &Value) -> Self {
        let all = body["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
        let (instructions, conversation): (Vec<&Value>, Vec<&Value>) =
            all.iter().partition(|message| message["role"] == "system");
        let mut system = vec![text_of(&body["system"])];
        system.extend(instructions.iter().map(|message| text_of(&message["content"])));
        system.retain(|text| !text.is_empty());
        Self {
            model: body["model"].as_str().unwrap_or_default().to_owned(),
            system: system.join("\n"),
            messages: conversation.into_iter().map(message_of).collect(),
            tools: body["tools"].as_array().into_iter().flatten().map(tool_of).collect(),
            stream: body["stream"].as_bool().unwrap_or(false),
            web: web::of_messages(body),
        }
    }

    /// Whether a tool of that name is on offer.
    pub fn offers(&self, tool: &str) -> bool {
        self.tools.iter().any(|offered| offered.name == tool)
    }

    /// The newest text of the user; reminders that agent programs slip in are no such text.
    pub fn last_user_text(&self) -> Option<String> {
        self.messages.iter().rev().find_map(user_text)
    }

    /// The text that began the conversation.
    pub fn first_user_text(&self) -> Option<String> {
        self.messages.iter().find_map(user_text)
    }

    /// Every text of the user, oldest first.
    pub fn user_texts(&self) -> Vec<String> {
        self.messages.iter().filter_map(user_text).collect()
    }

    /// The tool calls since the newest text of the user that have a result, oldest first.
    pub fn tool_results_since_last_user_text(&self) -> Vec<Call<'_>> {
        let last = self.messages.iter().rposition(|message| user_text(message).is_some());
        let since = &self.messages[last.map_or(0, |index| index + 1)..];
        since.iter().flat_map(|message| &message.blocks).filter_map(|b| self.call(b)).collect()
    }

    /// Ties a tool result to its call.
    fn call<'a>(&'a self, block: &'a Content) -> Option<Call<'a>> {
        let Content::ToolResult { id, text, is_error } = block else { return None };
        let wish =
            self.messages.iter().flat_map(|message| &message.blocks).find_map(
                |block| match block {
                    Content::ToolUse { id: wished, name, input } if wished == id => {
                        Some((name, input))
                    }
                    _ => None,
                },
            );
        let (name, input) = wish.map_or(("", &Value::Null), |(name, input)| (name.as_str(), input));
        Some(Call { name, input, result: text, is_error: *is_error })
    }
}

/// The user's own text in a message, if there is any.
fn user_text(message: &Message) -> Option<String> {
    if message.speaker != Speaker::User {
        return None;
    }
    let texts: Vec<&str> = message
        .blocks
        .iter()
        .filter_map(|block| match block {
            Content::Text(text) if !is_reminder(text) => Some(text.as_str()),
            _ => None,
        })
        .collect();
    (!texts.is_empty()).then(|| texts.join("\n"))
}

/// Whether a text block is the agent program's own remark.
fn is_reminder(text: &str) -> bool {
    text.trim_start().starts_with("<system-reminder>") || text.trim().is_empty()
}

fn message_of(value: &Value) -> Message {
    let speaker = if value["role"] == "assistant" { Speaker::Assistant } else { Speaker::User };
    let blocks = match &value["content"] {
        Value::String(text) => vec![Content::Text(text.clone())],
        Value::Array(blocks) => blocks.iter().filter_map(content_of).collect(),
        _ => Vec::new(),
    };
    Message { speaker, blocks }
}

fn content_of(block: &Value) -> Option<Content> {
    let string = |key: &str| block[key].as_str().unwrap_or_default().to_owned();
    match block["type"].as_str()? {
        "text" => Some(Content::Text(string("text"))),
        "tool_use" => Some(Content::ToolUse {
            id: string("id"),
            name: string("name"),
            input: block["input"].clone(),
        }),
        "tool_result" => Some(Content::ToolResult {
            id: string("tool_use_id"),
            text: text_of(&block["content"]),
            is_error: block["is_error"].as_bool().unwrap_or(false),
        }),
        _ => None,
    }
}

fn tool_of(value: &Value) -> Tool {
    Tool {
        name: value["name"].as_str().unwrap_or_default().to_owned(),
        input_schema: value["input_schema"].clone(),
    }
}

/// The text of a content field: a string, or the text blocks of an array.
fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(blocks) => {
            let texts: Vec<&str> =
                blocks.iter().filter_map(|block| block["text"].as_str()).collect();
            texts.join("\n")
        }
        _ => String::new(),
    }
}
