//! The tools of the web that run on the model's side: what the APIs take of them, and what they refuse.
//!
//! Sources: <https://docs.claude.com/en/docs/agents-and-tools/tool-use/web-search-tool>, the page beside it on
//! fetching, and <https://developers.openai.com/api/docs/guides/tools-web-search>.

use serde_json::{Value, json};

use super::answer::{Answer, Block};
use super::request::Web;

const SEARCH: &str = "web_search_20250305";
const FETCH: &str = "web_fetch_20250910";

/// What has to be named beside a request that has the tool that fetches.
const FETCH_BETA: &str = "web-fetch-2025-09-10";

/// Tools that the client runs, by the beginning of their type.
const CLIENT: [&str; 3] = ["custom", "bash_", "text_editor_"];

/// What a request to the Messages API may have done on the web; without a bound that is much.
pub(super) fn of_messages(body: &Value) -> Web {
    let uses = |kind: &str| {
        let tool = tools(body).find(|tool| tool["type"] == kind);
        tool.map_or(0, |tool| tool["max_uses"].as_u64().unwrap_or(u64::MAX))
    };
    Web { searches: uses(SEARCH), fetches: uses(FETCH) }
}

/// The same of the Responses API.
pub(super) fn of_responses(body: &Value) -> Web {
    let offered = tools(body).any(|tool| tool["type"] == "web_search");
    let calls = body["max_tool_calls"].as_u64().unwrap_or(u64::MAX);
    Web { searches: if offered { calls } else { 0 }, fetches: 0 }
}

/// What the Messages API answers with 400: `betas` is what the request names.
pub(super) fn complaint(body: &Value, betas: &str) -> Option<String> {
    tools(body).enumerate().find_map(|(at, tool)| {
        let wrong = match tool["type"].as_str() {
            Some(SEARCH) => wrong(tool, "web_search"),
            Some(FETCH) if !betas.split(',').any(|beta| beta == FETCH_BETA) => {
                Some(format!("web_fetch needs the beta header {FETCH_BETA}"))
            }
            Some(FETCH) => wrong(tool, "web_fetch"),
            Some(kind) if !CLIENT.iter().any(|known| kind.starts_with(known)) => {
                Some(format!("Input tag '{kind}' does not match any of the expected tags"))
            }
            Some(_) | None => None,
        };
        wrong.map(|wrong| format!("tools.{at}: {wrong}"))
    })
}

/// What the Responses API answers with 400.
pub(super) fn responses_complaint(body: &Value) -> Option<String> {
    let calls = &body["max_tool_calls"];
    let bad = !calls.is_null() && calls.as_u64().is_none_or(|calls| calls == 0);
    bad.then(|| "Invalid 'max_tool_calls': integer below minimum value.".to_owned())
}

fn wrong(tool: &Value, name: &str) -> Option<String> {
    if tool["name"] != name {
        return Some(format!("name: Input should be '{name}'"));
    }
    let uses = &tool["max_uses"];
    if !uses.is_null() && uses.as_u64().is_none_or(|uses| uses == 0) {
        return Some("max_uses: Input should be greater than 0".to_owned());
    }
    let both = !tool["allowed_domains"].is_null() && !tool["blocked_domains"].is_null();
    both.then(|| "only one of allowed_domains and blocked_domains can be given".to_owned())
}

fn tools(body: &Value) -> impl Iterator<Item = &Value> {
    body["tools"].as_array().into_iter().flatten()
}

/// The answer as far as the request lets the web be used; what is beyond that comes to nothing, as the model
/// is told.
pub(super) fn within(answer: &Answer, mut web: Web) -> Vec<(Block, bool)> {
    let mut may = |block: &Block| {
        let left = match block {
            Block::Search { .. } => &mut web.searches,
            Block::Fetch { .. } => &mut web.fetches,
            Block::Text(_) | Block::ToolUse { .. } => return true,
        };
        let may = *left > 0;
        *left = left.saturating_sub(1);
        may
    };
    answer.blocks.iter().map(|block| (block.clone(), may(block))).collect()
}

/// What a use of the web brings, in the Messages API's words.
pub(super) fn result(block: &Block, may: bool) -> Value {
    let (kind, content) = match block {
        Block::Search { found, .. } => {
            let found = found.iter().map(|(title, url)| {
                json!({"type": "web_search_result", "title": title, "url": url,
                       "encrypted_content": "RXhhbXBsZQ==", "page_age": null})
            });
            ("web_search", found.collect())
        }
        Block::Fetch { url, text } => {
            let source = json!({"type": "text", "media_type": "text/plain", "data": text});
            let page = json!({"type": "document", "source": source});
            ("web_fetch", json!({"type": "web_fetch_result", "url": url, "content": page}))
        }
        Block::Text(_) | Block::ToolUse { .. } => return Value::Null,
    };
    let kind = format!("{kind}_tool_result");
    let exceeded = json!({"type": format!("{kind}_error"), "error_code": "max_uses_exceeded"});
    json!({"type": kind, "content": if may { content } else { exceeded }})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(tool: Value) -> Value {
        json!({"tools": [{"name": "Read"}, tool]})
    }

    #[test]
    fn what_the_api_does_not_take_is_told() {
        let search = json!({"type": SEARCH, "name": "web_search", "max_uses": 3});
        assert_eq!(complaint(&body(search.clone()), ""), None);
        for (field, value) in [
            ("name", json!("search")),
            ("max_uses", json!(0)),
            ("type", json!("web_search_20991231")),
        ] {
            let mut bad = search.clone();
            bad[field] = value;
            assert!(complaint(&body(bad), "").is_some(), "{field}");
        }
        let fetch = json!({"type": FETCH, "name": "web_fetch", "allowed_domains": ["a.test"]});
        assert!(complaint(&body(fetch.clone()), "").unwrap().contains(FETCH_BETA));
        assert_eq!(complaint(&body(fetch.clone()), &format!("x,{FETCH_BETA}")), None);
        let mut both = fetch;
        both["blocked_domains"] = json!(["b.test"]);
        assert!(complaint(&body(both), FETCH_BETA).is_some());
        assert!(responses_complaint(&json!({"max_tool_calls": 0})).is_some());
        assert_eq!(responses_complaint(&json!({"max_tool_calls": 1})), None);
    }

    #[test]
    fn what_is_beyond_the_uses_comes_to_nothing() {
        let answer = Answer::text("x").and_search("a", "A", "u").and_search("b", "B", "v");
        let web = of_messages(&body(json!({"type": SEARCH, "max_uses": 1})));
        let may: Vec<bool> = within(&answer, web).into_iter().map(|(_, may)| may).collect();
        assert_eq!(may, [true, true, false]);
        let told = result(&answer.blocks[2], false);
        assert_eq!(told["content"]["error_code"], "max_uses_exceeded");
        assert_eq!(result(&answer.blocks[1], true)["content"][0]["title"], "A");
    }
}
