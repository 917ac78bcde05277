//! What each tool is for and takes, in the words that agents read.

use serde_json::{Value, json};

use super::{ask, context, emit, letters, progress};
use crate::model::{Role, Tool};

/// The tools that a role may call, as `tools/list` tells them.
pub(super) fn list(role: Role, tools: &[Tool]) -> Value {
    let told: Vec<Value> = tools.iter().map(|tool| about(role, *tool)).collect();
    json!({ "tools": told })
}

fn about(role: Role, tool: Tool) -> Value {
    let (description, properties, required) = match tool {
        Tool::ReportProgress => progress::about(),
        Tool::AskHuman => ask::about(),
        Tool::ContextPut => context::about_put(),
        Tool::ContextGet => context::about_get(),
        Tool::ContextList => context::about_list(),
        Tool::SendMessage => letters::about_send(),
        Tool::ReadMessages => letters::about_read(),
        Tool::EmitEvent => emit::about(role),
    };
    json!({
        "name": tool.name(),
        "description": description,
        "inputSchema": {
            "type": "object",
            "additionalProperties": false,
            "properties": properties,
            "required": required,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tool_is_told_with_a_schema_that_is_one() {
        let told = list(Role::Coding, &Tool::ALL);
        let told = told["tools"].as_array().expect("a list");
        assert_eq!(told.len(), Tool::ALL.len());
        for (tool, told) in Tool::ALL.into_iter().zip(told) {
            assert_eq!(told["name"], tool.name());
            let schema = jsonschema::validator_for(&told["inputSchema"]);
            assert!(schema.is_ok(), "{}: {schema:?}", tool.name());
            let properties = told["inputSchema"]["properties"].as_object().expect("properties");
            for name in told["inputSchema"]["required"].as_array().expect("a list") {
                assert!(properties.contains_key(name.as_str().expect("a name")), "{name}");
            }
        }
    }
}
