//! The outcome's schema as the API takes it.

use serde_json::Value;

/// Words of JSON Schema that the API's strict mode does not know and answers with 400:
/// <https://platform.openai.com/docs/guides/structured-outputs>. Baton judges the outcome by the whole
/// schema afterwards, so leaving them out loses nothing but an early hint.
const UNKNOWN: [&str; 2] = ["minLength", "maxLength"];

/// Takes out what the API does not know. It also wants every property to be required: what may be left
/// out in the schemas of Baton's own roles may be null, too.
pub(super) fn for_the_api(schema: &Value) -> Value {
    match schema {
        Value::Object(fields) => {
            let known = fields.iter().filter(|(name, value)| !is_unknown(name, value));
            let known = known.map(|(name, value)| (name.clone(), for_the_api(value)));
            let mut known: serde_json::Map<String, Value> = known.collect();
            if let Some(all) = all_properties(fields) {
                known.insert("required".to_owned(), all);
            }
            Value::Object(known)
        }
        Value::Array(items) => items.iter().map(for_the_api).collect(),
        plain => plain.clone(),
    }
}

/// The names of an object's properties, where the schema is one of an object.
fn all_properties(fields: &serde_json::Map<String, Value>) -> Option<Value> {
    let of_object = fields.get("type").is_some_and(|kind| kind == "object");
    let properties = fields.get("properties").filter(|_| of_object)?.as_object()?;
    Some(properties.keys().cloned().collect())
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
    fn what_the_api_does_not_know_is_left_out_and_what_may_be_absent_may_be_null() {
        let schema = json!({"type": "object", "required": ["title"], "properties": {
            "title": {"type": "string", "minLength": 1, "maxLength": 9, "pattern": "^F"},
            "maxLength": {"type": "array", "maxItems": 3, "items": {"type": "string", "minLength": 1}},
        }});
        let expected = json!({"type": "object", "required": ["maxLength", "title"], "properties": {
            "title": {"type": "string", "pattern": "^F"},
            "maxLength": {"type": "array", "maxItems": 3, "items": {"type": "string"}},
        }});
        assert_eq!(for_the_api(&schema), expected);
    }
}
