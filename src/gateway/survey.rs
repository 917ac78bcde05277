//! What a body of the Messages API says about its price.
//!
//! Only called for bodies that `request` lets through. How the length of the answer is named is this
//! dialect's; the rest of the gateway knows [`Size`] alone.

use serde_json::{Map, Value};

use crate::model::WebTools;

use super::bill::{Allowed, Caching, SHORTEST_ANSWER, Size};
use super::{rewrite, web};

/// The field that says how many tokens the answer may have.
const MAX_OUTPUT: &str = "max_tokens";

/// Where it says how many of them are for thinking.
const THINKING: [&str; 2] = ["thinking", "budget_tokens"];

/// Gives the body with what its answer is let have. The share of thinking goes down with it where it has
/// to, for the API refuses an answer that may not be longer than its thinking; nothing else changes.
pub(super) fn held_to(body: &[u8], size: &Size, allowed: Allowed, named: &WebTools) -> Vec<u8> {
    let body = match allowed.output < size.max_output {
        true => shortened(body, size, allowed.output),
        false => body.to_vec(),
    };
    web::held_to(body, size.web, allowed, named)
}

fn shortened(body: &[u8], size: &Size, output: u64) -> Vec<u8> {
    let body = rewrite::number(body, &[MAX_OUTPUT], output);
    let thinking = output.saturating_sub(SHORTEST_ANSWER);
    if size.thinking <= thinking { body } else { rewrite::number(&body, &THINKING, thinking) }
}

/// Reads the size of a body; `bytes` is how long it is. Nothing where it does not say how long the
/// answer may be: then there is no worst case.
pub(super) fn size(fields: &Map<String, Value>, bytes: usize) -> Option<Size> {
    let mut size = Size {
        bytes: bytes as u64,
        max_output: fields.get(MAX_OUTPUT)?.as_u64()?,
        thinking: fields.get("thinking").map_or(0, thinking),
        caching: fields.values().map(caching).max().unwrap_or_default(),
        ..Size::default()
    };
    for message in fields.get("messages").and_then(Value::as_array).into_iter().flatten() {
        count_images(&message["content"], &mut size);
    }
    Some(size)
}

/// Tokens that may go into thinking.
fn thinking(value: &Value) -> u64 {
    value["budget_tokens"].as_u64().unwrap_or_default()
}

/// The longest that anything below is to be kept.
fn caching(value: &Value) -> Caching {
    match value {
        Value::Array(items) => items.iter().map(caching).max().unwrap_or_default(),
        Value::Object(fields) => {
            let own = fields.get("cache_control").map(kept).unwrap_or_default();
            fields.values().map(caching).max().unwrap_or_default().max(own)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Caching::None,
    }
}

fn kept(control: &Value) -> Caching {
    match control["ttl"].as_str() {
        Some("5m") | None => Caching::Minutes,
        Some(_) => Caching::Hour,
    }
}

fn count_images(content: &Value, size: &mut Size) {
    for block in content.as_array().into_iter().flatten() {
        match block["type"].as_str() {
            Some("image") => {
                size.images += 1;
                let data = block["source"]["data"].as_str().unwrap_or_default();
                size.image_bytes += data.len() as u64;
            }
            Some("tool_result") => count_images(&block["content"], size),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(body: &Value) -> Option<Size> {
        size(body.as_object().unwrap(), 1_000)
    }

    #[test]
    fn a_body_without_a_length_for_its_answer_has_no_worst_case() {
        assert_eq!(of(&json!({"messages": []})), None);
        assert_eq!(of(&json!({"max_tokens": -1})), None);
        assert_eq!(of(&json!({"max_tokens": "5"})), None);
    }

    #[test]
    fn a_shorter_answer_has_less_thinking_only_where_it_must() {
        let body = r#"{"max_tokens":32000, "thinking":{"type":"enabled","budget_tokens":8000}}"#;
        let size = of(&serde_json::from_str(body).unwrap()).unwrap();
        let shortened =
            |output| String::from_utf8(shortened(body.as_bytes(), &size, output)).unwrap();
        assert_eq!(shortened(9_024), body.replace("32000", "9024"));
        assert_eq!(shortened(2_048), body.replace("32000", "2048").replace("8000", "1024"));
    }

    #[test]
    fn the_longest_wish_to_keep_counts_wherever_it_stands() {
        let with = |control: Value| {
            let block = json!({"type": "text", "text": "x", "cache_control": control});
            let body = json!({"max_tokens": 5, "system": [block], "messages": []});
            of(&body).unwrap().caching
        };
        assert_eq!(of(&json!({"max_tokens": 5})).unwrap().caching, Caching::None);
        assert_eq!(with(json!({"type": "ephemeral"})), Caching::Minutes);
        assert_eq!(with(json!({"type": "ephemeral", "ttl": "5m"})), Caching::Minutes);
        assert_eq!(with(json!({"type": "ephemeral", "ttl": "1h"})), Caching::Hour);
    }

    #[test]
    fn images_are_told_apart_from_words_also_in_a_tools_result() {
        let image = json!({"type": "image", "source": {"type": "base64", "data": "0123456789"}});
        let body = json!({
            "max_tokens": 9, "thinking": {"type": "enabled", "budget_tokens": 4},
            "messages": [
                {"role": "user", "content": [image, {"type": "text", "text": "x"}]},
                {"role": "user", "content": [{"type": "tool_result", "content": [image]}]},
                {"role": "user", "content": "words"},
            ],
        });
        let expected = Size {
            bytes: 1_000,
            images: 2,
            image_bytes: 20,
            max_output: 9,
            thinking: 4,
            caching: Caching::None,
            ..Size::default()
        };
        assert_eq!(of(&body), Some(expected));
    }
}
