//! What Claude Code's tools, in whose names brains think, are in Codex's words, and back.
//!
//! Codex has no tool that reads a file: it runs a command. So reading becomes `cat -- path`, and a `cat` of that
//! form is read back as reading. An edit becomes a patch of whole lines, filled up from what was read of the file.

use serde_json::{Value, json};

use crate::models::answer::{Answer, Block};
use crate::models::request::{Content, Request};

/// What reading a file looks like.
const CAT: &str = "cat -- ";

/// How long a command may run before its output so far is given, in milliseconds; the program takes no more.
const YIELD_MS: u64 = 30_000;

/// The tools of a brain that a tool of the program stands for.
pub(super) fn meant_by(tool: &str) -> &'static [&'static str] {
    match tool {
        "exec_command" => &["Read", "Bash"],
        "apply_patch" => &["Edit", "Write"],
        _ => &[],
    }
}

/// A brain's wish as the item that asks the program for it, without its ids.
pub(super) fn item(request: &Request, name: &str, input: &Value) -> Value {
    let text = |field: &str| input[field].as_str().unwrap_or_default();
    match name {
        "Read" => command(&format!("{CAT}{}", quoted(text("file_path")))),
        "Bash" => command(text("command")),
        "Write" => patch(&added(text("file_path"), text("content"))),
        "Edit" => {
            patch(&updated(request, text("file_path"), text("old_string"), text("new_string")))
        }
        other => match of_server(other) {
            Some((server, tool)) => {
                let mut call = function(tool, input);
                call["namespace"] = json!(server);
                call
            }
            None => function(other, input),
        },
    }
}

/// A tool of a server: the namespace that the program files it under, and its name there.
fn of_server(name: &str) -> Option<(&str, &str)> {
    let at = name.strip_prefix("mcp__")?.find("__")? + "mcp__".len();
    Some((&name[..at], &name[at + 2..]))
}

/// Looks for tools of servers that an answer wants and that the program has not offered: it does so only
/// once they were looked for. What was looked for in vain is not looked for again.
pub(super) fn search(request: &Request, body: &Value, answer: &Answer) -> Option<Value> {
    let wanted = answer.blocks.iter().filter_map(|block| match block {
        Block::ToolUse { name, .. } => Some(name.as_str()),
        Block::Text(_) | Block::Search { .. } | Block::Fetch { .. } => None,
    });
    let missing = wanted.filter(|name| of_server(name).is_some() && !request.offers(name));
    let query = missing.collect::<Vec<_>>().join(" ");
    let searched = |item: &Value| item["arguments"]["query"] == query.as_str();
    let vain = body["input"].as_array().is_some_and(|items| items.iter().any(searched));
    (!query.is_empty() && !vain).then(|| {
        json!({
            "type": "tool_search_call", "execution": "client", "arguments": {"query": query, "limit": 8},
        })
    })
}

/// The tools of servers in a list of tools, by the names that brains know.
pub(super) fn of_servers(tools: &Value) -> Vec<String> {
    let namespaces = tools.as_array().into_iter().flatten();
    let named = |space: &Value| -> Vec<String> {
        let prefix = space["name"].as_str().unwrap_or_default();
        let tools = space["tools"].as_array().into_iter().flatten();
        let names = tools.filter_map(|tool| tool["name"].as_str());
        names.map(|name| format!("{prefix}__{name}")).collect()
    };
    namespaces.filter(|tool| tool["type"] == "namespace").flat_map(named).collect()
}

/// Asks how a command goes that has not ended yet.
pub(super) fn poll(session: &str) -> Value {
    let session: u64 = session.parse().unwrap_or_default();
    function("write_stdin", &json!({"session_id": session, "chars": "", "yield_time_ms": YIELD_MS}))
}

fn command(line: &str) -> Value {
    function("exec_command", &json!({"cmd": line, "yield_time_ms": YIELD_MS}))
}

fn function(name: &str, arguments: &Value) -> Value {
    json!({"type": "function_call", "name": name, "arguments": arguments.to_string()})
}

fn patch(body: &str) -> Value {
    let input = format!("*** Begin Patch\n{body}*** End Patch\n");
    json!({"type": "custom_tool_call", "name": "apply_patch", "input": input})
}

fn added(path: &str, content: &str) -> String {
    format!("*** Add File: {path}\n{}", prefixed('+', content))
}

fn updated(request: &Request, path: &str, old: &str, new: &str) -> String {
    let (before, after) = whole_lines(request, path, old);
    let (old, new) = (format!("{before}{old}{after}"), format!("{before}{new}{after}"));
    format!("*** Update File: {path}\n@@\n{}{}", prefixed('-', &old), prefixed('+', &new))
}

fn prefixed(mark: char, text: &str) -> String {
    text.lines().map(|line| format!("{mark}{line}\n")).collect()
}

/// What stands on the same lines before and after a part of a file, by what was read of it last.
fn whole_lines(request: &Request, path: &str, part: &str) -> (String, String) {
    let calls = request.tool_results_since_last_user_text();
    let read = calls.iter().rev().find_map(|call| {
        let is_it = call.name == "Read" && call.input["file_path"] == path;
        is_it.then_some(call.result).and_then(|text| Some((text, text.find(part)?)))
    });
    let Some((text, at)) = read else { return Default::default() };
    let before = text[..at].rsplit('\n').next().unwrap_or_default();
    let rest = &text[at + part.len()..];
    let after = if part.ends_with('\n') { "" } else { rest.split('\n').next().unwrap_or_default() };
    (before.to_owned(), after.to_owned())
}

fn quoted(path: &str) -> String {
    format!("'{}'", path.replace('\'', r"'\''"))
}

/// What an item of the conversation asks for, in the words of brains.
pub(super) fn wish(item: &Value) -> Content {
    let text = |field: &str| item[field].as_str().unwrap_or_default().to_owned();
    let arguments: Value = serde_json::from_str(&text("arguments")).unwrap_or_default();
    let (name, input) = match item["name"].as_str().unwrap_or_default() {
        "exec_command" => meant(arguments["cmd"].as_str().unwrap_or_default()),
        "apply_patch" => patched(&text("input")),
        other => (other, arguments),
    };
    let name = match item["namespace"].as_str() {
        Some(server) => format!("{server}__{name}"),
        None => name.to_owned(),
    };
    Content::ToolUse { id: text("call_id"), name, input }
}

fn meant(command: &str) -> (&'static str, Value) {
    let path =
        command.strip_prefix(CAT).and_then(|rest| rest.strip_prefix('\'')?.strip_suffix('\''));
    match path {
        Some(path) => ("Read", json!({"file_path": path.replace(r"'\''", "'")})),
        None => ("Bash", json!({"command": command})),
    }
}

fn patched(patch: &str) -> (&'static str, Value) {
    let path = |mark: &str| patch.lines().find_map(|line| line.strip_prefix(mark));
    match path("*** Add File: ") {
        Some(path) => ("Write", json!({"file_path": path})),
        None => ("Edit", json!({"file_path": path("*** Update File: ")})),
    }
}

/// What a tool gave back: the text, whether it failed, and the session of a command that has not ended.
pub(super) struct Given {
    pub(super) text: String,
    pub(super) is_error: bool,
    pub(super) running: Option<String>,
}

/// Reads what the program says of a tool: lines about how it went, `Output:`, and the output itself.
pub(super) fn given(output: &str) -> Given {
    let Some((head, text)) = output.split_once("Output:\n") else {
        return Given { text: output.to_owned(), is_error: true, running: None };
    };
    let after = |mark: &str| head.lines().find_map(|line| line.strip_prefix(mark)).map(str::trim);
    let code = after("Process exited with code ").or_else(|| after("Exit code: "));
    let running = after("Process running with session ID ").map(str::to_owned);
    Given { text: text.to_owned(), is_error: code.is_some_and(|code| code != "0"), running }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(body: Value) -> Request {
        super::super::request::parse(&body)
    }

    #[test]
    fn a_part_of_a_line_is_patched_as_the_whole_line() {
        let read = item(&asked(json!({})), "Read", &json!({"file_path": "a b.js"}));
        let mut call = read.clone();
        call["call_id"] = json!("c");
        let output = "Chunk ID: 1\nProcess exited with code 0\nOutput:\nlet a = 1;\nlet b = 2;\n";
        let request = asked(json!({"input": [
            {"role": "user", "content": "go"},
            call, {"type": "function_call_output", "call_id": "c", "output": output},
        ]}));
        let edit = json!({"file_path": "a b.js", "old_string": "= 1", "new_string": "= 3"});
        let patch = item(&request, "Edit", &edit);
        let expected = "*** Begin Patch\n*** Update File: a b.js\n@@\n-let a = 1;\n+let a = 3;\n*** End Patch\n";
        assert_eq!(patch["input"], expected);
        let Content::ToolUse { name, input, .. } = wish(&patch) else { panic!("it is a wish") };
        assert_eq!((name.as_str(), &input["file_path"]), ("Edit", &json!("a b.js")));
    }

    #[test]
    fn what_a_command_gave_is_told_apart_from_how_it_went() {
        let failed = given("Chunk ID: 1\nProcess exited with code 3\nOutput:\nno\n");
        assert!(failed.is_error && failed.running.is_none());
        assert_eq!(failed.text, "no\n");
        let running = given("Wall time: 1\nProcess running with session ID 77\nOutput:\n");
        assert_eq!((running.is_error, running.running.as_deref()), (false, Some("77")));
        assert!(given("apply_patch verification failed: x").is_error);
    }

    #[test]
    fn a_tool_of_a_server_is_looked_for_once_and_then_called_under_its_namespace() {
        let wanted = "mcp__baton__ask_human";
        let answer = Answer::tool(wanted, json!({"question": "Which?"}));
        let searched = |items: Value| {
            let body = json!({"input": items});
            search(&asked(body.clone()), &body, &answer)
        };
        let search = searched(json!([])).unwrap();
        assert_eq!(search["arguments"]["query"], wanted);
        assert_eq!(searched(json!([search])), None, "it was in vain");
        let tools = json!([{"type": "namespace", "name": "mcp__baton", "tools": [
            {"type": "function", "name": "ask_human"}]}]);
        let found = json!([{"type": "tool_search_output", "tools": tools}]);
        assert_eq!(searched(found), None);
        let call = item(&asked(json!({})), wanted, &json!({}));
        assert_eq!(
            (&call["namespace"], &call["name"]),
            (&json!("mcp__baton"), &json!("ask_human"))
        );
        let Content::ToolUse { name, .. } = wish(&call) else { panic!("it is a wish") };
        assert_eq!(name, wanted);
    }
}
