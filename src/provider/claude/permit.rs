//! What Claude Code asks leave for, and what it is told: policy decides, as nobody else is there.
//!
//! It asks before each change of a file, before commands that write what it holds for sensitive, and before
//! tools that its command line does not allow. What policy leaves to the role is allowed; the fence around
//! it is the sandbox. A change of a protected path is denied here already, as it could not be pushed.

use std::path::{Component, Path, PathBuf};

use serde_json::{Value, json};

use crate::model::{AgentEvent, Untrusted};
use crate::provider::contract::Step;
use crate::provider::json::text;
use crate::provider::launch::Launch;

/// Where the tools that change files name the file.
const PATHS: [&str; 2] = ["file_path", "notebook_path"];

/// Answers a question of the program.
pub(super) fn answer(task: &Launch, line: &Value) -> Vec<Step> {
    let (id, request) = (&line["request_id"], &line["request"]);
    if text(request, "subtype") != "can_use_tool" {
        let error = json!({"subtype": "error", "request_id": id, "error": "not supported"});
        return vec![respond(&error)];
    }
    let name = text(request, "tool_name");
    let (told, denied) = match refusal(task, name, &request["input"]) {
        None => (json!({"behavior": "allow", "updatedInput": request["input"]}), None),
        Some(why) => {
            let denied = AgentEvent::Denied { name: name.to_owned(), why: Untrusted(why.clone()) };
            (json!({"behavior": "deny", "message": why}), Some(denied))
        }
    };
    let answer = json!({"subtype": "success", "request_id": id, "response": told});
    denied.map(Step::Event).into_iter().chain([respond(&answer)]).collect()
}

fn respond(answer: &Value) -> Step {
    Step::Send(json!({"type": "control_response", "response": answer}).to_string())
}

/// Why a tool may not be used so, in words for the model; none where it may.
fn refusal(task: &Launch, tool: &str, input: &Value) -> Option<String> {
    let role = task.role.name();
    // What every role has, and Baton's own tools, are allowed on the command line and never asked for.
    if !task.tools.iter().any(|allowed| allowed == tool) {
        return Some(format!("The role {role} does not have the tool {tool} here."));
    }
    let path = PATHS.iter().map(|field| text(input, field)).find(|path| !path.is_empty())?;
    let path = in_tree(&task.workdir, Path::new(path))?;
    task.protected.is_match(&path).then(|| {
        format!(
            "{path} is protected in this repository: a change to it would be refused. Leave it as \
             it is, and say in your outcome what you would have changed there."
        )
    })
}

/// A path from the root of the worktree, without detours; none outside of it.
fn in_tree(workdir: &Path, path: &Path) -> Option<String> {
    let mut plain = PathBuf::new();
    for part in workdir.join(path).components() {
        match part {
            Component::ParentDir => {
                plain.pop();
            }
            Component::CurDir => {}
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => plain.push(part),
        }
    }
    Some(plain.strip_prefix(workdir).ok()?.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Protected, Role};
    use crate::provider::launch::tests::task;

    fn coder() -> Launch {
        let protected = Protected::new(&[".claude/**".to_owned(), "*.lock".to_owned()]).unwrap();
        let tools = ["Read", "Edit", "Bash"].map(str::to_owned).to_vec();
        Launch { role: Role::Coding, tools, protected, ..task() }
    }

    fn asked(tool: &str, input: &Value) -> (Option<AgentEvent>, Value) {
        let request = json!({"subtype": "can_use_tool", "tool_name": tool, "input": input});
        let line = json!({"type": "control_request", "request_id": "r1", "request": request});
        let mut steps = answer(&coder(), &line);
        let Some(Step::Send(sent)) = steps.pop() else { panic!("no answer") };
        let sent: Value = serde_json::from_str(&sent).unwrap();
        assert_eq!(sent["response"]["request_id"], "r1");
        let event = steps.pop().map(|step| match step {
            Step::Event(event) => event,
            Step::Send(line) => panic!("two answers, {line} among them"),
        });
        (event, sent["response"]["response"].clone())
    }

    #[test]
    fn what_policy_leaves_to_the_role_is_allowed_as_it_was_asked() {
        for (tool, input) in [
            ("Edit", json!({"file_path": "/workspace/src/a.rs", "old_string": "a"})),
            ("Edit", json!({"file_path": "/agent/scratch/Cargo.lock"})),
            ("Bash", json!({"command": "echo {} > .mcp.json"})),
        ] {
            let allowed = json!({"behavior": "allow", "updatedInput": input});
            assert_eq!(asked(tool, &input), (None, allowed));
        }
    }

    #[test]
    fn everything_else_is_denied_with_a_reason_and_told() {
        for (tool, input, why) in [
            ("Write", json!({"file_path": "/workspace/a"}), "does not have the tool Write"),
            ("mcp__other__x", json!({}), "does not have the tool mcp__other__x"),
            (
                "Edit",
                json!({"file_path": "/workspace/.claude/settings.json"}),
                ".claude/settings.json is protected",
            ),
            ("Edit", json!({"file_path": "src/../Cargo.LOCK"}), "Cargo.LOCK is protected"),
        ] {
            let (event, told) = asked(tool, &input);
            assert_eq!(told["behavior"], "deny");
            let message = text(&told, "message");
            assert!(message.contains(why), "{message}");
            let why = message.into();
            assert_eq!(event, Some(AgentEvent::Denied { name: tool.to_owned(), why }));
        }
    }

    #[test]
    fn another_question_is_answered_with_an_error() {
        let line = json!({"request_id": "r2", "request": {"subtype": "elicitation"}});
        let [Step::Send(sent)] = &answer(&coder(), &line)[..] else { panic!("one answer") };
        assert!(sent.contains("not supported"), "{sent}");
    }
}
