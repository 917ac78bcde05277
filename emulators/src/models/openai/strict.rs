//! What the API refuses of a schema in strict mode: <https://platform.openai.com/docs/guides/structured-outputs>.

use serde_json::Value;

/// Words of JSON Schema that it does not know.
const UNKNOWN: [&str; 4] = ["minLength", "maxLength", "default", "patternProperties"];

/// Says what is wrong with the schema that a request asks its answer to have.
pub(super) fn complaint(body: &Value) -> Option<String> {
    let format = &body["text"]["format"];
    if format["type"] != "json_schema" || format["strict"] != true {
        return None;
    }
    wrong(&format["schema"]).map(|what| {
        format!(
            "Invalid schema for response_format '{}': {what}",
            format["name"].as_str().unwrap_or_default()
        )
    })
}

fn wrong(schema: &Value) -> Option<String> {
    if let Some(word) = UNKNOWN.iter().find(|word| !schema[**word].is_null()) {
        return Some(format!("'{word}' is not permitted."));
    }
    let Some(properties) = schema["properties"].as_object() else {
        return schema.get("items").and_then(wrong);
    };
    if schema["additionalProperties"] != false {
        return Some(
            "'additionalProperties' is required to be supplied and to be false.".to_owned(),
        );
    }
    let required = schema["required"].as_array().map(Vec::as_slice).unwrap_or_default();
    let missing = properties.keys().find(|name| !required.iter().any(|known| known == *name));
    if let Some(name) = missing {
        return Some(format!(
            "'required' has to include every key in properties. Missing '{name}'."
        ));
    }
    properties.values().find_map(wrong)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_schema_that_strict_mode_does_not_take_is_told() {
        let told = |schema: Value| {
            complaint(
                &json!({"text": {"format": {"type": "json_schema", "strict": true, "schema": schema}}}),
            )
        };
        let good = json!({"type": "object", "additionalProperties": false, "required": ["a"],
                          "properties": {"a": {"type": "array", "items": {"type": "string"}}}});
        assert_eq!(told(good.clone()), None);
        for (path, value) in [
            ("/additionalProperties", json!(true)),
            ("/required", json!([])),
            ("/properties/a/items", json!({"type": "string", "minLength": 1})),
        ] {
            let mut bad = good.clone();
            *bad.pointer_mut(path).unwrap() = value;
            assert!(told(bad).is_some(), "{path}");
        }
    }
}
