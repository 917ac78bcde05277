//! Which bodies are let through to the Messages API.
//!
//! A gateway is a way out unless it lists what may pass: tools that run on the provider's side,
//! remote tool servers, and images or documents given by address all reach the internet.

use serde_json::{Map, Value};

use super::bill::{Size, WebUses};
use super::refusal::Refusal;
use super::strict::Strict;
use super::survey;
use super::web::{self, Passing};

/// The fields of a body: what Claude Code 2.1.329 sends, and the plain ones of the API. Not among
/// them: `mcp_servers`, `container`, and those that raise the price (`service_tier`, `speed`,
/// `inference_geo`).
const FIELDS: [&str; 16] = [
    "model",
    "messages",
    "system",
    "tools",
    "tool_choice",
    "max_tokens",
    "stream",
    "temperature",
    "top_p",
    "top_k",
    "stop_sequences",
    "metadata",
    "thinking",
    "context_management",
    "output_config",
    "output_format",
];

/// Tool types that the API documents as run by the client, each followed by a date.
const CLIENT_TOOLS: [&str; 2] = ["bash_", "text_editor_"];

/// Content that is nothing but data.
const CONTENT: [&str; 9] = [
    "text",
    "image",
    "document",
    "tool_use",
    "tool_result",
    "thinking",
    "redacted_thinking",
    "search_result",
    "tool_reference",
];

/// Kinds of sources whose data is in the request itself.
const INLINE_SOURCES: [&str; 3] = ["base64", "text", "content"];

/// What the relay needs to know of a body that passed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Checked {
    pub(super) model: String,
    /// What it says about its price; none if it does not say how long its answer may be.
    pub(super) size: Option<Size>,
    /// A beta feature that it needs.
    pub(super) beta: Option<&'static str>,
}

/// Checks a body of `POST /v1/messages` or `POST /v1/messages/count_tokens`.
pub(super) fn check(body: &[u8], passing: Passing<'_>) -> Result<Checked, Refusal> {
    let Strict(value) =
        serde_json::from_slice(body).map_err(|error| Refusal::Malformed(error.to_string()))?;
    let Value::Object(fields) = value else {
        return Err(Refusal::Malformed("it is no object".to_owned()));
    };
    if let Some(unknown) = fields.keys().find(|name| !FIELDS.contains(&name.as_str())) {
        return Err(Refusal::Field(shown(unknown)));
    }
    let Some(model) = fields.get("model").and_then(Value::as_str) else {
        return Err(Refusal::Malformed("it names no model".to_owned()));
    };
    let web = check_tools(fields.get("tools"), passing)?;
    check_content(fields.get("system"), passing)?;
    check_messages(fields.get("messages"), passing)?;
    let size = survey::size(&fields, body.len()).map(|size| Size { web, ..size });
    let beta = (web.fetches > 0).then_some(web::FETCH_BETA);
    Ok(Checked { model: model.to_owned(), size, beta })
}

/// Checks the tools; gives what those of the provider may be used.
fn check_tools(tools: Option<&Value>, passing: Passing<'_>) -> Result<WebUses, Refusal> {
    let mut uses = WebUses::default();
    for tool in list(tools, "tools")? {
        let kind = match tool.get("type") {
            None | Some(Value::Null) => continue,
            Some(Value::String(kind)) => kind,
            Some(other) => return Err(Refusal::Tool(shown(&other.to_string()))),
        };
        match web::of_kind(kind) {
            Some(which) => web::check_tool(tool, which, passing.terms(which, kind)?, &mut uses)?,
            None if kind == "custom" || runs_on_the_client(kind) => {}
            None => return Err(Refusal::Tool(shown(kind))),
        }
    }
    Ok(uses)
}

fn runs_on_the_client(kind: &str) -> bool {
    CLIENT_TOOLS
        .iter()
        .filter_map(|known| kind.strip_prefix(known))
        .any(|date| date.len() == 8 && date.bytes().all(|byte| byte.is_ascii_digit()))
}

fn check_messages(messages: Option<&Value>, passing: Passing<'_>) -> Result<(), Refusal> {
    for message in list(messages, "messages")? {
        let Value::Object(fields) = message else {
            return Err(Refusal::Malformed("a message is no object".to_owned()));
        };
        if let Some(unknown) =
            fields.keys().find(|name| !matches!(name.as_str(), "role" | "content"))
        {
            return Err(Refusal::Field(format!("messages.{}", shown(unknown))));
        }
        check_content(fields.get("content"), passing)?;
    }
    Ok(())
}

/// Checks words, or a list of blocks.
fn check_content(content: Option<&Value>, passing: Passing<'_>) -> Result<(), Refusal> {
    match content {
        None | Some(Value::Null | Value::String(_)) => Ok(()),
        Some(Value::Array(blocks)) => {
            blocks.iter().try_for_each(|block| check_block(block, passing))
        }
        Some(_) => Err(Refusal::Malformed("content is neither words nor a list".to_owned())),
    }
}

fn check_block(block: &Value, passing: Passing<'_>) -> Result<(), Refusal> {
    let Value::Object(fields) = block else {
        return Err(Refusal::Malformed("a block of content is no object".to_owned()));
    };
    let document = |document: &Value| match document["type"].as_str() {
        Some("document") => check_block(document, passing),
        kind => Err(Refusal::Content(shown(kind.unwrap_or_default()))),
    };
    if let Some(checked) = web::check_block(fields, passing, document) {
        return checked;
    }
    let kind = fields.get("type").and_then(Value::as_str).unwrap_or_default();
    if !CONTENT.contains(&kind) {
        return Err(Refusal::Content(shown(kind)));
    }
    match kind {
        "image" | "document" => check_source(fields, passing),
        "tool_result" | "search_result" => check_content(fields.get("content"), passing),
        _ => Ok(()),
    }
}

fn check_source(block: &Map<String, Value>, passing: Passing<'_>) -> Result<(), Refusal> {
    let source = block.get("source").unwrap_or(&Value::Null);
    let kind = source["type"].as_str().unwrap_or_default();
    if !INLINE_SOURCES.contains(&kind) {
        return Err(Refusal::Source(shown(kind)));
    }
    check_content(source.get("content"), passing)
}

/// The elements of a list that may be absent.
pub(super) fn list<'a>(value: Option<&'a Value>, name: &str) -> Result<&'a [Value], Refusal> {
    match value {
        None | Some(Value::Null) => Ok(&[]),
        Some(Value::Array(items)) => Ok(items),
        Some(_) => Err(Refusal::Malformed(format!("{name} is no list"))),
    }
}

/// Cuts what is repeated to the agent's program.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::WebTools;

    /// Checks it where the server names nothing of the web.
    fn check(body: &[u8]) -> Result<Checked, Refusal> {
        super::check(body, Passing { named: &WebTools::default(), granted: true })
    }

    fn with(name: &str, value: Value) -> Result<Checked, Refusal> {
        let mut body = json!({"model": "m", "messages": []});
        body[name] = value;
        check(body.to_string().as_bytes())
    }

    fn with_block(block: Value) -> Result<Checked, Refusal> {
        with("messages", json!([{"role": "user", "content": [block]}]))
    }

    #[test]
    fn what_claude_code_sends_passes() {
        let body = json!({
            "model": "claude-opus-4-8", "max_tokens": 64000, "stream": true,
            "system": [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}],
            "metadata": {"user_id": "x"}, "thinking": {"type": "adaptive", "display": "updates"},
            "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
            "output_config": {"effort": "high"},
            "tools": [
                {"name": "Bash", "description": "x", "input_schema": {"type": "object"}},
                {"name": "DeferredToolPlaceholder", "input_schema": {}, "defer_loading": true},
            ],
            "messages": [
                {"role": "user", "content": "go"},
                {"role": "system", "content": [{"type": "text", "text": "x"}]},
                {"role": "assistant", "content": [
                    {"type": "thinking", "thinking": "x", "signature": "x"},
                    {"type": "tool_use", "id": "t", "name": "Read",
                     "input": {"source": {"type": "url", "url": "http://x"}}},
                ]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": [
                    {"type": "image", "source": {"type": "base64", "data": "x"}},
                ]}]},
            ],
        });
        let checked = check(body.to_string().as_bytes()).unwrap();
        assert_eq!(checked.model, "claude-opus-4-8");
        assert_eq!(checked.size.map(|size| size.max_output), Some(64_000));
    }

    #[test]
    fn unknown_fields_are_refused() {
        for field in ["mcp_servers", "container", "service_tier", "speed", "new_field"] {
            assert_eq!(with(field, json!([])), Err(Refusal::Field(field.to_owned())));
        }
    }

    #[test]
    fn tools_that_run_on_the_providers_side_are_refused() {
        for kind in [
            "web_search_20250305",
            "web_fetch_20250910",
            "code_execution_20250825",
            "mcp_toolset",
            "computer_20250124",
            "bash_",
            "bash_20250124x",
            "bash_code_execution",
        ] {
            let told = with("tools", json!([{"type": kind, "name": "x"}]));
            assert_eq!(told, Err(Refusal::Tool(kind.to_owned())));
        }
        assert!(with("tools", json!([{"type": ["custom"], "name": "x"}])).is_err());
        assert!(with("tools", json!({"type": "web_search_20250305"})).is_err());
    }

    #[test]
    fn tools_that_run_on_the_agents_side_pass() {
        let tools = json!([
            {"type": "bash_20250124", "name": "bash"}, {"type": "custom", "name": "x"},
            {"type": "text_editor_20250728", "name": "edit"}, {"type": null, "name": "y"},
        ]);
        assert!(with("tools", tools).is_ok());
    }

    #[test]
    fn sources_that_would_be_fetched_are_refused_wherever_they_stand() {
        for kind in ["url", "file"] {
            let image = json!({"type": "image", "source": {"type": kind, "url": "http://x"}});
            let refused = Err(Refusal::Source(kind.to_owned()));
            assert_eq!(with_block(image.clone()), refused);
            assert_eq!(with_block(json!({"type": "tool_result", "content": [image]})), refused);
            let inner = json!({"type": "content", "content": [image]});
            assert_eq!(with_block(json!({"type": "document", "source": inner})), refused);
            assert_eq!(with("system", json!([image])), refused);
        }
        assert!(with_block(json!({"type": "document"})).is_err());
    }

    #[test]
    fn content_that_is_more_than_data_is_refused() {
        for kind in ["server_tool_use", "container_upload", "mcp_tool_use", ""] {
            let refused = Err(Refusal::Content(kind.to_owned()));
            assert_eq!(with_block(json!({"type": kind})), refused);
        }
        assert!(with_block(json!("words")).is_err());
        assert!(with("messages", json!([{"role": "user", "content": {"type": "text"}}])).is_err());
        assert!(with("messages", json!([{"role": "user", "container": "x"}])).is_err());
    }

    #[test]
    fn a_body_that_cannot_be_read_is_refused() {
        for body in [&b""[..], b"[]", b"{", b"{\"messages\":[]}", b"{\"model\":1}", b"\xff"] {
            assert!(matches!(check(body), Err(Refusal::Malformed(_))));
        }
        let nested = format!("{{\"model\":\"m\",\"metadata\":{}", "[".repeat(100_000));
        assert!(check(nested.as_bytes()).is_err());
        let twice = br#"{"model":"cheap","model":"dear","messages":[]}"#;
        assert!(matches!(check(twice), Err(Refusal::Malformed(_))));
    }
}
