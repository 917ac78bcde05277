//! The outcome's schema as the API takes it.

use serde_json::Value;

/// Words of JSON Schema that the API's strict mode does not know and answers with 400:
/// <https://platform.openai.com/docs/guides/structured-outputs>. Baton judges the outcome by the whole
/// schema afterwards, so leaving them out loses nothing but an early hint.
const UNKNOWN: [&str; 2] = ["minLength", "maxLength"];

/// Takes out what the API does not know. It also wants every property to be required, which those of
/// Baton's own roles are.
pub(super) fn for_the_api(schema: &Value) -> Value {
    match schema {
        Value::Object(fields) => {
            let known = fields.iter().filter(|(name, value)| !is_unknown(name, value));
            known.map(|(name, value)| (name.clone(), for_the_api(value))).collect()
        }
        Value::Array(items) => items.iter().map(for_the_api).collect(),
        plain => plain.clone(),
    }
}

/// A property may have that name too; then it stands for a schema, which is no number.
fn is_unknown(name: &str, value: &Value) -> bool {
    UNKNOWN.contains(&name) && value.is_number()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_the_api_does_not_know_is_left_out() {
        let schema = json!({"type": "object", "required": ["title", "maxLength"], "properties": {
            "title": {"type": "string", "minLength": 1, "maxLength": 9, "pattern": "^F"},
            "maxLength": {"type": "array", "maxItems": 3, "items": {"type": "string", "minLength": 1}},
        }});
        let expected = json!({"type": "object", "required": ["title", "maxLength"], "properties": {
            "title": {"type": "string", "pattern": "^F"},
            "maxLength": {"type": "array", "maxItems": 3, "items": {"type": "string"}},
        }});
        assert_eq!(for_the_api(&schema), expected);
    }
}
