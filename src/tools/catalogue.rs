//! What each tool is for and takes, in the words that agents read.

use rmcp::model::{self as protocol, object};
use serde_json::json;

use super::{ask, context, emit, letters, progress};
use crate::model::{Role, Tool};

/// The tools that a role may call, as `tools/list` tells them.
pub(super) fn list(role: Role, tools: &[Tool]) -> Vec<protocol::Tool> {
    tools.iter().map(|tool| about(role, *tool)).collect()
}

fn about(role: Role, tool: Tool) -> protocol::Tool {
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
    let schema = object(json!({
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
        "required": required,
    }));
    protocol::Tool::new(tool.name(), description, schema)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tool_is_told_with_a_schema_that_is_one() {
        let told = list(Role::Coding, &Tool::ALL);
        assert_eq!(told.len(), Tool::ALL.len());
        for (tool, told) in Tool::ALL.into_iter().zip(told) {
            assert_eq!(told.name, tool.name());
            let given = serde_json::Value::Object(told.input_schema.as_ref().clone());
            let schema = jsonschema::validator_for(&given);
            assert!(schema.is_ok(), "{}: {schema:?}", tool.name());
            let properties = given["properties"].as_object().expect("properties");
            for name in given["required"].as_array().expect("a list") {
                assert!(properties.contains_key(name.as_str().expect("a name")), "{name}");
            }
        }
    }
}
