//! OpenAPI 3.0 schemas made into JSON Schemas that stand alone.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

const COMPONENTS: &str = "#/components/schemas/";

/// A schema with all it refers to, `nullable` made into types; lenient ones require nothing.
pub(super) fn standalone(document: &Value, schema: &Value, lenient: bool) -> Value {
    let mut names = BTreeSet::new();
    collect(document, schema, &mut names);
    let mut schemas = Map::new();
    for name in names {
        let found = &document["components"]["schemas"][&name];
        schemas.insert(name, converted(found, lenient));
    }
    json!({ "allOf": [converted(schema, lenient)], "components": { "schemas": schemas } })
}

fn collect(document: &Value, value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            let reference = fields.get("$ref").and_then(Value::as_str);
            if let Some(name) = reference.and_then(|text| text.strip_prefix(COMPONENTS))
                && names.insert(name.to_owned())
            {
                collect(document, &document["components"]["schemas"][name], names);
            }
            fields
                .iter()
                .filter(|(name, _)| !is_illustration(name))
                .for_each(|(_, field)| collect(document, field, names));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(document, item, names)),
        _ => {}
    }
}

fn is_illustration(name: &str) -> bool {
    matches!(name, "example" | "examples")
}

fn converted(schema: &Value, lenient: bool) -> Value {
    let Value::Object(fields) = schema else {
        return match schema {
            Value::Array(items) => items.iter().map(|item| converted(item, lenient)).collect(),
            other => other.clone(),
        };
    };
    let mut made = Map::new();
    for (name, value) in fields {
        let value = match (name.as_str(), value) {
            ("nullable", Value::Bool(_)) => continue,
            ("required", Value::Array(_)) if lenient => continue,
            ("enum", Value::Array(words)) if fields.get("nullable") == Some(&json!(true)) => {
                Value::Array(words.iter().cloned().chain([Value::Null]).collect())
            }
            ("enum" | "default", value) => value.clone(),
            (name, _) if is_illustration(name) && !is_named_properties(fields) => continue,
            (_, value) => converted(value, lenient),
        };
        // Without required fields several of `oneOf` may fit.
        let name = if lenient && name == "oneOf" { "anyOf" } else { name };
        made.insert(name.to_owned(), value);
    }
    if fields.get("nullable") == Some(&json!(true)) { nullable(made) } else { Value::Object(made) }
}

/// Whether this is no schema but a map of property names to schemas.
fn is_named_properties(fields: &Map<String, Value>) -> bool {
    fields.values().all(Value::is_object)
}

fn nullable(mut schema: Map<String, Value>) -> Value {
    match schema.get("type").cloned() {
        Some(Value::String(kind)) => {
            schema.insert("type".to_owned(), json!([kind, "null"]));
            Value::Object(schema)
        }
        _ => json!({ "anyOf": [schema, { "type": "null" }] }),
    }
}

/// The names of a body's fields where the schema lists them all; `None` where anything goes.
pub(super) fn field_names(document: &Value, schema: &Value) -> Option<BTreeSet<String>> {
    if let Some(name) = schema["$ref"].as_str().and_then(|text| text.strip_prefix(COMPONENTS)) {
        return field_names(document, &document["components"]["schemas"][name]);
    }
    if matches!(&schema["additionalProperties"], Value::Bool(true) | Value::Object(_)) {
        return None;
    }
    let mut names: BTreeSet<String> = schema["properties"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, _)| name.clone())
        .collect();
    for branch in ["oneOf", "anyOf", "allOf"] {
        for inner in schema[branch].as_array().into_iter().flatten() {
            names.extend(field_names(document, inner).unwrap_or_default());
        }
    }
    (!names.is_empty()).then_some(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nullable_becomes_a_type_and_required_goes_when_lenient() {
        let schema = json!({
            "type": "object", "required": ["a"],
            "properties": { "a": { "type": "string", "nullable": true, "enum": ["x"] },
                            "example": { "type": "string" } },
        });
        let made = standalone(&json!({}), &schema, true);
        let expected = json!({
            "type": "object",
            "properties": { "a": { "type": ["string", "null"], "enum": ["x", null] },
                            "example": { "type": "string" } },
        });
        assert_eq!(made["allOf"][0], expected);
    }
}
