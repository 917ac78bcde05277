//! Which bodies are let through to the Responses API.
//!
//! What runs on the provider's side, what is fetched by address, and what the provider keeps would
//! each be a way out of the sandbox.

use serde_json::{Map, Value};

use crate::gateway::bill::{Allowed, Size, WebUses};
use crate::gateway::refusal::Refusal;
use crate::gateway::request::{Checked, list, shown};
use crate::gateway::rewrite;
use crate::gateway::strict::Strict;
use crate::gateway::web::Passing;
use crate::model::{WebTool, WebTools};

use super::search;

/// The fields of a body: what Codex 0.169.0 sends, and the plain ones of the API. Not among them:
/// `background`, `previous_response_id`, `conversation` and `prompt`, which rest on what the provider
/// keeps, and `service_tier`, which raises the price.
const FIELDS: [&str; 19] = [
    "model",
    "input",
    "instructions",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "reasoning",
    "store",
    "include",
    "prompt_cache_key",
    "text",
    "client_metadata",
    "metadata",
    "stream",
    "stream_options",
    "max_output_tokens",
    search::MAX_TOOL_CALLS,
    "temperature",
    "top_p",
];

/// Tools that the API documents as run by the client, whatever else they say.
const CLIENT_TOOLS: [&str; 3] = ["function", "custom", "local_shell"];

/// Items that are nothing but data, beside those that are looked into.
const PLAIN_ITEMS: [&str; 6] = [
    "reasoning",
    "function_call",
    "custom_tool_call",
    "local_shell_call",
    "local_shell_call_output",
    "tool_search_call",
];

/// The field that says how many tokens the answer may have.
const MAX_OUTPUT: &str = "max_output_tokens";

/// How many tokens an answer has at most that sets itself no limit: what the API's models can give.
const LONGEST_ANSWER: u64 = 128_000;

/// Checks a body of `POST /v1/responses`.
pub(in crate::gateway) fn check(body: &[u8], passing: Passing<'_>) -> Result<Checked, Refusal> {
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
    check_kept(&fields)?;
    let web = check_offered(&fields, passing)?;
    check_choice(fields.get("tool_choice"), passing)?;
    check_input(fields.get("input"), passing)?;
    let size = Size { web, ..size(&fields, body.len()) };
    Ok(Checked { model: model.to_owned(), size: Some(size), beta: None })
}

/// Gives the body with what its answer is let have: Codex itself names neither length nor calls.
pub(in crate::gateway) fn held_to(
    body: &[u8],
    size: &Size,
    allowed: Allowed,
    named: &WebTools,
) -> Vec<u8> {
    let body = match allowed.output < size.max_output {
        true => rewrite::set(body, MAX_OUTPUT, &allowed.output.to_string()),
        false => body.to_vec(),
    };
    search::held_to(body, size.web.within(allowed.uses), named)
}

/// What a body says about its price; `bytes` is how long it is. Nothing is asked for what the API keeps
/// in its cache.
fn size(fields: &Map<String, Value>, bytes: usize) -> Size {
    let max_output = fields.get(MAX_OUTPUT).and_then(Value::as_u64).unwrap_or(LONGEST_ANSWER);
    let mut size = Size { bytes: bytes as u64, max_output, ..Size::default() };
    for item in fields.get("input").and_then(Value::as_array).into_iter().flatten() {
        count_images(&item["content"], &mut size);
        count_images(&item["output"], &mut size);
    }
    size
}

fn count_images(content: &Value, size: &mut Size) {
    for part in content.as_array().into_iter().flatten() {
        if part["type"] == "input_image" {
            size.images += 1;
            size.image_bytes += part["image_url"].as_str().unwrap_or_default().len() as u64;
        }
    }
}

/// The API keeps an answer unless it is told not to, and adds what it kept if it is asked to.
fn check_kept(fields: &Map<String, Value>) -> Result<(), Refusal> {
    if fields.get("store") != Some(&Value::Bool(false)) {
        return Err(Refusal::Field("store (other than false)".to_owned()));
    }
    for added in list(fields.get("include"), "include")? {
        if added != "reasoning.encrypted_content" {
            return Err(Refusal::Field(format!("include {}", shown(&added.to_string()))));
        }
    }
    Ok(())
}

/// Checks the tools that a body offers; gives what those of the provider may be used.
fn check_offered(fields: &Map<String, Value>, passing: Passing<'_>) -> Result<WebUses, Refusal> {
    let mut uses = WebUses::default();
    for tool in list(fields.get("tools"), "tools")? {
        match search::is_search(tool) {
            true => search::check(tool, fields, passing, &mut uses)?,
            false => check_tool(tool)?,
        }
    }
    Ok(uses)
}

/// Checks tools further in: those of the provider are offered outright or not at all.
fn check_tools(tools: Option<&Value>) -> Result<(), Refusal> {
    list(tools, "tools")?.iter().try_for_each(check_tool)
}

fn check_tool(tool: &Value) -> Result<(), Refusal> {
    let kind = tool["type"].as_str().unwrap_or_default();
    match kind {
        _ if CLIENT_TOOLS.contains(&kind) => Ok(()),
        // The same name stands for a search on the provider's side.
        "tool_search" if tool["execution"] == "client" => Ok(()),
        "namespace" => check_tools(tool.get("tools")),
        _ => Err(Refusal::Tool(shown(kind))),
    }
}

/// A tool can be demanded by its type, too.
fn check_choice(choice: Option<&Value>, passing: Passing<'_>) -> Result<(), Refusal> {
    let check = |tool: &Value| match search::is_search(tool) {
        true => passing.terms(WebTool::Search, search::SEARCH).map(|_| ()),
        false => check_tool(tool),
    };
    match choice {
        None | Some(Value::Null | Value::String(_)) => Ok(()),
        Some(choice) if choice["type"] == "allowed_tools" => {
            list(choice.get("tools"), "tools")?.iter().try_for_each(check)
        }
        Some(choice) => check(choice),
    }
}

/// Checks words, or a list of items.
fn check_input(input: Option<&Value>, passing: Passing<'_>) -> Result<(), Refusal> {
    match input {
        Some(Value::String(_)) => Ok(()),
        items => list(items, "input")?.iter().try_for_each(|item| check_item(item, passing)),
    }
}

fn check_item(item: &Value, passing: Passing<'_>) -> Result<(), Refusal> {
    let Value::Object(fields) = item else {
        return Err(Refusal::Malformed("an item of the input is no object".to_owned()));
    };
    let kind = match fields.get("type") {
        None => "message",
        Some(kind) => kind.as_str().unwrap_or_default(),
    };
    match kind {
        "message" => check_content(fields.get("content")),
        "function_call_output" | "custom_tool_call_output" => check_content(fields.get("output")),
        "tool_search_output" => check_tools(fields.get("tools")),
        // That there was a search earlier; what it found is not in it.
        "web_search_call" if passing.may_have_brought(WebTool::Search) => Ok(()),
        _ if PLAIN_ITEMS.contains(&kind) => Ok(()),
        _ => Err(Refusal::Content(shown(kind))),
    }
}

/// Checks words, or a list of parts.
fn check_content(content: Option<&Value>) -> Result<(), Refusal> {
    match content {
        None | Some(Value::Null | Value::String(_)) => Ok(()),
        Some(Value::Array(parts)) => parts.iter().try_for_each(check_part),
        Some(_) => Err(Refusal::Malformed("content is neither words nor a list".to_owned())),
    }
}

fn check_part(part: &Value) -> Result<(), Refusal> {
    let kind = part["type"].as_str().unwrap_or_default();
    match kind {
        "input_text" | "output_text" | "refusal" | "summary_text" => Ok(()),
        "input_image" => inline(part, "image_url", &["file_id"]),
        "input_file" => inline(part, "file_data", &["file_id", "file_url"]),
        _ => Err(Refusal::Content(shown(kind))),
    }
}

/// Data has to be in the request itself: as a `data:` address, and under no other name.
fn inline(part: &Value, data: &str, elsewhere: &[&str]) -> Result<(), Refusal> {
    if let Some(name) = elsewhere.iter().find(|name| !part[**name].is_null()) {
        return Err(Refusal::Source((*name).to_owned()));
    }
    match part[data].as_str() {
        Some(address) if address.starts_with("data:") => Ok(()),
        Some(_) | None => Err(Refusal::Source(data.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Checks it where the server names nothing of the web.
    fn check(body: &[u8]) -> Result<Checked, Refusal> {
        super::check(body, Passing { named: &WebTools::default(), granted: true })
    }

    fn with(name: &str, value: Value) -> Result<Checked, Refusal> {
        let mut body = json!({"model": "m", "input": "go", "store": false});
        body[name] = value;
        check(body.to_string().as_bytes())
    }

    fn with_part(part: Value) -> Result<Checked, Refusal> {
        with("input", json!([{"type": "message", "role": "user", "content": [part]}]))
    }

    #[test]
    fn what_codex_sends_passes() {
        let body = json!({
            "model": "gpt-5.5", "stream": true, "store": false, "tool_choice": "auto",
            "parallel_tool_calls": true, "reasoning": {"effort": "medium"},
            "include": ["reasoning.encrypted_content"], "prompt_cache_key": "x",
            "text": {"verbosity": "low", "format": {"type": "json_schema", "strict": true,
                     "name": "codex_output_schema", "schema": {}}},
            "client_metadata": {"session_id": "x"},
            "tools": [
                {"type": "function", "name": "exec_command", "parameters": {}},
                {"type": "custom", "name": "apply_patch", "format": {"type": "grammar"}},
                {"type": "tool_search", "execution": "client"},
                {"type": "namespace", "name": "x", "tools": [{"type": "function", "name": "y"}]},
            ],
            "input": [
                {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "x"}]},
                {"type": "message", "role": "user", "content": [
                    {"type": "input_image", "image_url": "data:image/png;base64,AA=="},
                ]},
                {"type": "reasoning", "summary": [], "encrypted_content": "x"},
                {"type": "function_call", "call_id": "c", "name": "exec_command", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "c", "output": "http://x"},
                {"type": "custom_tool_call", "call_id": "d", "name": "apply_patch", "input": "x"},
                {"type": "custom_tool_call_output", "call_id": "d", "output": "done"},
                {"role": "assistant", "content": [{"type": "output_text", "text": "x"}]},
            ],
        });
        let text = body.to_string();
        let size = Size {
            bytes: text.len() as u64,
            images: 1,
            image_bytes: "data:image/png;base64,AA==".len() as u64,
            max_output: LONGEST_ANSWER,
            ..Size::default()
        };
        let expected = Checked { model: "gpt-5.5".to_owned(), size: Some(size), beta: None };
        assert_eq!(check(text.as_bytes()), Ok(expected));
        let short = with("max_output_tokens", json!(50)).unwrap().size;
        assert_eq!(short.map(|size| size.max_output), Some(50));
    }

    #[test]
    fn an_answer_is_shortened_whether_its_length_was_named_or_not() {
        for (before, after) in [
            (r#"{"model":"m","max_output_tokens": 90}"#, r#"{"model":"m","max_output_tokens": 7}"#),
            (r#" { "model":"m"}"#, r#" {"max_output_tokens":7, "model":"m"}"#),
        ] {
            let size = Size { max_output: 90, ..Size::default() };
            let held = held_to(
                before.as_bytes(),
                &size,
                Allowed { output: 7, uses: 0 },
                &WebTools::default(),
            );
            assert_eq!(held, after.as_bytes());
        }
    }

    #[test]
    fn what_rests_on_the_providers_memory_is_refused() {
        for field in ["background", "previous_response_id", "conversation", "prompt", "new_field"] {
            assert_eq!(with(field, json!("x")), Err(Refusal::Field(field.to_owned())));
        }
        assert!(matches!(with("store", json!(true)), Err(Refusal::Field(_))));
        assert!(matches!(check(br#"{"model":"m","input":"go"}"#), Err(Refusal::Field(_))));
        let reference = json!([{"type": "item_reference", "id": "x"}]);
        assert_eq!(with("input", reference), Err(Refusal::Content("item_reference".to_owned())));
        let results = json!(["web_search_call.action.sources"]);
        assert!(matches!(with("include", results), Err(Refusal::Field(_))));
    }

    #[test]
    fn tools_that_run_on_the_providers_side_are_refused_wherever_they_stand() {
        for kind in [
            "web_search",
            "web_search_preview",
            "file_search",
            "code_interpreter",
            "computer_use",
            "computer_use_preview",
            "mcp",
            "image_generation",
            "shell",
            "tool_search",
            "",
        ] {
            let tool = json!({"type": kind});
            let refused = Err(Refusal::Tool(kind.to_owned()));
            assert_eq!(with("tools", json!([tool])), refused);
            assert_eq!(with("tool_choice", tool.clone()), refused);
            let allowed = json!({"type": "allowed_tools", "mode": "auto", "tools": [tool]});
            assert_eq!(with("tool_choice", allowed), refused);
            let nested = json!([{"type": "namespace", "name": "n", "tools": [tool]}]);
            assert_eq!(with("tools", nested), refused);
            let found = json!([{"type": "tool_search_output", "tools": [tool]}]);
            assert_eq!(with("input", found), refused);
        }
    }

    #[test]
    fn sources_that_would_be_fetched_are_refused() {
        let image = |url: &str| json!({"type": "input_image", "image_url": url});
        let by_address = Err(Refusal::Source("image_url".to_owned()));
        assert_eq!(with_part(image("https://x/y.png")), by_address);
        let output = json!([{"type": "function_call_output", "output": [image("http://x")]}]);
        assert_eq!(with("input", output), by_address);
        for name in ["file_id", "file_url"] {
            let mut file = json!({"type": "input_file", "file_data": "data:x"});
            file[name] = json!("x");
            assert_eq!(with_part(file), Err(Refusal::Source(name.to_owned())));
        }
        let stored = json!({"type": "input_image", "image_url": "data:x", "file_id": "f"});
        assert_eq!(with_part(stored), Err(Refusal::Source("file_id".to_owned())));
    }

    #[test]
    fn items_and_parts_that_are_not_known_are_refused() {
        for kind in ["web_search_call", "mcp_call", "computer_call_output", "compaction"] {
            let refused = Err(Refusal::Content(kind.to_owned()));
            assert_eq!(with("input", json!([{"type": kind}])), refused);
            assert_eq!(with_part(json!({"type": kind})), refused);
        }
        assert!(with("input", json!([{"type": 7}])).is_err());
        assert!(with("input", json!(["words"])).is_err());
        assert!(with("tools", json!({"type": "function"})).is_err());
        let twice = br#"{"model":"cheap","model":"dear","input":"go","store":false}"#;
        assert!(matches!(check(twice), Err(Refusal::Malformed(_))));
    }
}
