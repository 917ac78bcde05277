//! What the lines of Codex mean, and the prompts that wait for its next process.

use serde_json::Value;

use crate::model::{AgentEvent, TodoItem, TodoState, TokenUsage, Untrusted};
use crate::provider::contract::{Exit, ModelRefusal, Provider, Step, Talk};
use crate::provider::json::{count, is_true, items, text, tool_summary};
use crate::provider::launch::{Command, Launch};

use super::{ending, own_tools, start};

/// The processes of one Codex agent: each takes one prompt and goes on in the same session.
pub(in crate::provider) struct Codex {
    task: Launch,
    /// Prompts that no process was given yet.
    waiting: Vec<String>,
    /// Whether the session is there already.
    begun: bool,
    /// Whether the running process has a prompt that nothing has answered yet.
    awaiting: bool,
    /// Whether the start was told; each process says it again.
    told: bool,
    /// Whether the running process printed anything.
    spoke: bool,
    /// The newest words of the running turn.
    last_words: Option<String>,
    /// What the session had used when its last turn ended; not known of one that another agent began.
    counted: Option<TokenUsage>,
    refusal: Option<ModelRefusal>,
}

impl Codex {
    pub(in crate::provider) fn new(task: Launch) -> Self {
        Self {
            waiting: vec![task.prompt.clone()],
            begun: task.resume,
            awaiting: false,
            told: false,
            spoke: false,
            last_words: None,
            counted: (!task.resume).then(TokenUsage::default),
            refusal: None,
            task,
        }
    }

    fn read(&mut self, line: &Value) -> Vec<AgentEvent> {
        match text(line, "type") {
            "thread.started" if !self.told => {
                self.told = true;
                vec![AgentEvent::Started { model: None, broken_tools: Vec::new() }]
            }
            "item.started" => begun(&line["item"]).into_iter().collect(),
            "item.updated" => todo(&line["item"]).into_iter().collect(),
            "item.completed" => self.item(&line["item"]),
            "turn.completed" => self.completed(&line["usage"]),
            "turn.failed" => vec![self.failed(text(&line["error"], "message"))],
            "error" => ending::retrying(text(line, "message")).into_iter().collect(),
            _ => Vec::new(),
        }
    }

    /// What an item came to. An `error` item is a warning: it ends nothing.
    fn item(&mut self, item: &Value) -> Vec<AgentEvent> {
        match text(item, "type") {
            "agent_message" => {
                let words = text(item, "text");
                self.last_words = Some(words.to_owned());
                vec![AgentEvent::Text(words.into())]
            }
            "command_execution" | "file_change" => vec![tool_result(item)],
            "mcp_tool_call" => {
                std::iter::once(tool_result(item)).chain(own_tools::reached(item)).collect()
            }
            "web_search" => vec![AgentEvent::ToolResult { is_error: false }],
            "todo_list" => todo(item).into_iter().collect(),
            _ => Vec::new(),
        }
    }

    fn completed(&mut self, usage: &Value) -> Vec<AgentEvent> {
        self.awaiting = false;
        self.refusal = None;
        let words = self.last_words.take().unwrap_or_default();
        // The program does not hold the answer to the schema: Baton does, and asks once more.
        let outcome = match self.task.schema {
            Some(_) => serde_json::from_str(&words).ok(),
            None => None,
        };
        let mut events: Vec<AgentEvent> = self.used(usage).into_iter().collect();
        events.push(AgentEvent::Finished { result: Ok(outcome), text: Untrusted(words) });
        events
    }

    /// The figures are those of the whole session, also of what other agents did in it.
    fn used(&mut self, usage: &Value) -> Option<AgentEvent> {
        let now = tokens(usage);
        let before = self.counted.replace(now)?;
        let used = TokenUsage {
            input: now.input.saturating_sub(before.input),
            output: now.output.saturating_sub(before.output),
            cache_read: now.cache_read.saturating_sub(before.cache_read),
            cache_write: now.cache_write.saturating_sub(before.cache_write),
        };
        (used != TokenUsage::default()).then_some(AgentEvent::Usage(used))
    }

    fn failed(&mut self, message: &str) -> AgentEvent {
        self.awaiting = false;
        let failed = ending::of_words(message);
        self.refusal = failed.refusal;
        AgentEvent::Finished { result: Err(failed.kind), text: message.into() }
    }
}

impl Provider for Codex {
    fn talk(&self) -> Talk {
        Talk::OnePrompt
    }

    fn launch(&self) -> Command {
        start::command(&self.task, self.begun)
    }

    fn opening(&mut self) -> Vec<String> {
        self.begun = true;
        self.awaiting = true;
        self.spoke = false;
        self.last_words = None;
        vec![std::mem::take(&mut self.waiting).join("\n\n")]
    }

    fn line(&mut self, line: &[u8]) -> Vec<Step> {
        self.spoke = true;
        match serde_json::from_slice::<Value>(line) {
            Ok(value) => self.read(&value).into_iter().map(Step::Event).collect(),
            Err(_) => Vec::new(),
        }
    }

    fn follow_up(&mut self, text: &str) -> Vec<String> {
        self.waiting.push(text.to_owned());
        Vec::new()
    }

    fn waits(&self) -> bool {
        !self.waiting.is_empty()
    }

    fn interrupt(&mut self) -> Vec<String> {
        Vec::new()
    }

    fn ended(&mut self, exit: Exit, stderr_tail: &str) -> Option<AgentEvent> {
        let owed = std::mem::take(&mut self.awaiting);
        owed.then(|| ending::without_answer(exit, stderr_tail, self.spoke))
    }

    fn refusal(&self) -> Option<ModelRefusal> {
        self.refusal
    }
}

/// A tool is called. A refused one may show no item at all.
fn begun(item: &Value) -> Option<AgentEvent> {
    let (name, summary) = match text(item, "type") {
        "command_execution" => ("shell", tool_summary(item)),
        "file_change" => ("apply_patch", tool_summary(items(&item["changes"]).first()?)),
        "mcp_tool_call" => {
            let name = format!("{}.{}", text(item, "server"), text(item, "tool"));
            return Some(AgentEvent::ToolUse { name, summary: tool_summary(&item["arguments"]) });
        }
        "web_search" => ("web_search", tool_summary(item)),
        "todo_list" => return todo(item),
        _ => return None,
    };
    Some(AgentEvent::ToolUse { name: name.to_owned(), summary })
}

fn tool_result(item: &Value) -> AgentEvent {
    AgentEvent::ToolResult { is_error: text(item, "status") != "completed" }
}

fn todo(item: &Value) -> Option<AgentEvent> {
    if text(item, "type") != "todo_list" {
        return None;
    }
    let entry = |entry: &Value| TodoItem {
        text: text(entry, "text").into(),
        state: if is_true(entry, "completed") { TodoState::Done } else { TodoState::Pending },
    };
    Some(AgentEvent::Todo(items(&item["items"]).iter().map(entry).collect()))
}

/// Of the input tokens that the program counts, those read from the cache are a part.
fn tokens(usage: &Value) -> TokenUsage {
    let cache_read = count(usage, "cached_input_tokens");
    TokenUsage {
        input: count(usage, "input_tokens").saturating_sub(cache_read),
        output: count(usage, "output_tokens"),
        cache_read,
        cache_write: count(usage, "cache_write_input_tokens"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::FailKind;
    use crate::provider::launch::tests::task;

    fn events(provider: &mut Codex, line: &Value) -> Vec<AgentEvent> {
        let event = |step| match step {
            Step::Event(event) => event,
            Step::Send(line) => panic!("nothing is to be sent: {line}"),
        };
        provider.line(line.to_string().as_bytes()).into_iter().map(event).collect()
    }

    fn said(words: &str) -> Value {
        json!({"type": "item.completed", "item": {"type": "agent_message", "text": words}})
    }

    fn completed(input: u64, cached: u64, output: u64) -> Value {
        json!({"type": "turn.completed", "usage": {
            "input_tokens": input, "cached_input_tokens": cached, "output_tokens": output,
        }})
    }

    #[test]
    fn a_further_prompt_waits_for_the_next_process_and_goes_with_the_others() {
        let mut provider = Codex::new(task());
        assert_eq!(provider.opening(), ["Look at the change."]);
        assert!(!provider.waits());
        assert_eq!(provider.follow_up("first"), Vec::<String>::new());
        provider.follow_up("second");
        assert!(provider.waits());
        events(&mut provider, &completed(1, 0, 1));
        assert_eq!(provider.ended(Exit::Code(0), ""), None);
        assert!(provider.launch().files.iter().all(|file| !file.path.starts_with("sessions")));
        assert_eq!(provider.opening(), ["first\n\nsecond"]);
        assert!(!provider.waits());
    }

    #[test]
    fn the_outcome_is_the_last_message_and_only_if_it_is_json() {
        let schema = Some(json!({"type": "object"}));
        let mut provider = Codex::new(Launch { schema, ..task() });
        provider.opening();
        events(&mut provider, &said("I begin."));
        events(&mut provider, &said("{\"ok\":true}"));
        let told = events(&mut provider, &completed(0, 0, 0));
        let result = Ok(Some(json!({"ok": true})));
        assert_eq!(told, [AgentEvent::Finished { result, text: "{\"ok\":true}".into() }]);
        events(&mut provider, &said("that is all"));
        let told = events(&mut provider, &completed(0, 0, 0));
        assert_eq!(told, [AgentEvent::Finished { result: Ok(None), text: "that is all".into() }]);
    }

    #[test]
    fn tokens_are_told_as_they_were_added_and_not_twice_over_a_session() {
        let mut provider = Codex::new(task());
        provider.opening();
        let first = TokenUsage { input: 60, output: 10, cache_read: 40, cache_write: 0 };
        assert_eq!(events(&mut provider, &completed(100, 40, 10))[0], AgentEvent::Usage(first));
        let second = TokenUsage { input: 10, output: 5, cache_read: 90, cache_write: 0 };
        assert_eq!(events(&mut provider, &completed(200, 130, 15))[0], AgentEvent::Usage(second));
        let mut resumed = Codex::new(Launch { resume: true, ..task() });
        resumed.opening();
        assert_eq!(events(&mut resumed, &completed(500, 0, 50)).len(), 1);
    }

    #[test]
    fn a_list_of_what_is_left_is_told_as_it_changes() {
        let items = json!([{"text": "read", "completed": true}, {"text": "write"}]);
        let line = json!({"type": "item.updated", "item": {"type": "todo_list", "items": items}});
        let states = [("read", TodoState::Done), ("write", TodoState::Pending)];
        let expected = states.map(|(text, state)| TodoItem { text: text.into(), state });
        let told = events(&mut Codex::new(task()), &line);
        assert_eq!(told, [AgentEvent::Todo(expected.to_vec())]);
    }

    #[test]
    fn each_process_that_dies_owes_its_own_answer() {
        let mut provider = Codex::new(task());
        provider.opening();
        events(&mut provider, &completed(1, 0, 1));
        assert_eq!(provider.ended(Exit::Code(0), ""), None);
        provider.follow_up("again");
        provider.opening();
        let owed = provider.ended(Exit::Code(1), "Error: no rollout found\n");
        let result = Err(FailKind::Setup("exit code 1: Error: no rollout found".to_owned()));
        assert_eq!(owed, Some(AgentEvent::Finished { result, text: Untrusted::default() }));
    }
}
