//! What the stream of the Responses API tells of what was used.

use serde_json::Value;

use crate::gateway::meter::Told;
use crate::gateway::prices::Used;
use crate::model::TokenUsage;

/// Reads one event, or a whole answer that came in one piece.
pub(in crate::gateway) fn read(event: &Value) -> Told {
    let kind = event["type"].as_str().unwrap_or_default();
    match kind {
        "response.completed" | "response.incomplete" | "response.failed" => {
            Told { over: true, ..of_response(&event["response"]) }
        }
        // What a reasoning model thinks is told in no other form.
        "response.output_item.done" => Told {
            searches: is_search(&event["item"]).into(),
            ..told(&event["item"]["encrypted_content"])
        },
        _ if kind.ends_with(".delta") => told(&event["delta"]),
        _ if event["object"] == "response" => of_response(event),
        _ => Told::default(),
    }
}

fn told(words: &Value) -> Told {
    let bytes = words.as_str().map_or(0, |words| words.len() as u64);
    Told { bytes, ..Told::default() }
}

/// Whether an item is a search: opening a page and looking through it are charged as tokens alone. What does
/// not say which it is counts.
fn is_search(item: &Value) -> bool {
    let other = matches!(item["action"]["type"].as_str(), Some("open_page" | "find_in_page"));
    item["type"] == "web_search_call" && !other
}

/// The figures do not tell the searches, the items do.
fn of_response(response: &Value) -> Told {
    let items = response["output"].as_array().map(Vec::as_slice).unwrap_or_default();
    let searches = items.iter().filter(|item| is_search(item)).count() as u64;
    let told = of_usage(&response["usage"]);
    Told { used: told.used.map(|used| Used { searches, ..used }), ..told }
}

/// Of the input tokens, those read from the cache are a part. Writing to the cache costs nothing here.
fn of_usage(usage: &Value) -> Told {
    let count = |value: &Value| value.as_u64().unwrap_or_default();
    let cache_read = count(&usage["input_tokens_details"]["cached_tokens"]);
    let tokens = TokenUsage {
        input: count(&usage["input_tokens"]).saturating_sub(cache_read),
        output: count(&usage["output_tokens"]),
        cache_read,
        cache_write: 0,
    };
    let is_told = usage.is_object();
    Told {
        used: is_told.then_some(Used { tokens, ..Used::default() }),
        complete: is_told,
        ..Told::default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_last_event_holds_the_figures_and_the_cache_is_not_counted_twice() {
        let usage = json!({
            "input_tokens": 100, "input_tokens_details": {"cached_tokens": 40}, "output_tokens": 10,
            "output_tokens_details": {"reasoning_tokens": 3}, "total_tokens": 110,
        });
        let last = json!({"type": "response.completed", "response": {"id": "r", "usage": usage}});
        let told = read(&last);
        let tokens = TokenUsage { input: 60, output: 10, cache_read: 40, cache_write: 0 };
        assert_eq!(told.used, Some(Used { tokens, ..Used::default() }));
        assert!(told.complete && told.over);
        let whole = json!({"object": "response", "usage": last["response"]["usage"]});
        assert_eq!(read(&whole).used, told.used);
    }

    #[test]
    fn searches_are_counted_by_their_items_and_pages_that_were_opened_are_none() {
        let call = |action: Value| json!({"type": "web_search_call", "action": action});
        let output = json!([
            call(json!({"type": "search", "query": "x"})),
            call(json!({"type": "open_page", "url": "https://example.test"})),
            call(json!({"type": "find_in_page", "pattern": "x"})),
            call(Value::Null),
            {"type": "message"},
        ]);
        let response =
            json!({"object": "response", "output": output, "usage": {"input_tokens": 5}});
        let last = json!({"type": "response.completed", "response": response});
        for event in [&last, &response] {
            assert_eq!(read(event).used.map(|used| used.searches), Some(2));
        }
        for (item, searches) in output.as_array().unwrap().iter().zip([1, 0, 0, 1, 0]) {
            let done = json!({"type": "response.output_item.done", "item": item});
            assert_eq!(read(&done).searches, searches, "{item}");
        }
    }

    #[test]
    fn an_answer_that_failed_is_over_and_tells_no_figures() {
        let failed = json!({"type": "response.failed", "response": {"usage": null}});
        let told = read(&failed);
        assert!(told.over && !told.complete);
        assert_eq!(told.used, None);
    }

    #[test]
    fn words_and_hidden_thoughts_count_before_the_figures_come() {
        let words = json!({"type": "response.output_text.delta", "delta": "123456"});
        assert_eq!(read(&words).bytes, 6);
        let item = json!({"type": "reasoning", "encrypted_content": "12345678"});
        assert_eq!(read(&json!({"type": "response.output_item.done", "item": item})).bytes, 8);
    }
}
