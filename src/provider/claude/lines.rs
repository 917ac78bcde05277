//! What the lines of Claude Code mean, and the lines that are written to it.

use serde_json::{Value, json};

use crate::model::{AgentEvent, Micros, TokenUsage};
use crate::provider::contract::{Exit, ModelRefusal, Provider, Step, Talk};
use crate::provider::json::{add, count, is_true, items, status, text, todo_items, tool_summary};
use crate::provider::launch::{Command, Launch};

use super::{ending, own_tools::OwnCalls, permit, start};

/// One Claude Code process.
pub(in crate::provider) struct Claude {
    task: Launch,
    /// Whether a prompt was handed in that no `result` has answered yet.
    awaiting: bool,
    /// Whether `init` was seen; it is printed again at every turn.
    started: bool,
    /// Whether anything at all was printed.
    spoke: bool,
    interrupts: u32,
    refusal: Option<ModelRefusal>,
    /// The `error` of the newest failed answer: finer than the HTTP status.
    api_error: String,
    own_calls: OwnCalls,
}

impl Claude {
    pub(in crate::provider) fn new(task: Launch) -> Self {
        Self {
            task,
            awaiting: false,
            started: false,
            spoke: false,
            interrupts: 0,
            refusal: None,
            api_error: String::new(),
            own_calls: OwnCalls::default(),
        }
    }

    fn prompt(&mut self, prompt: &str) -> Vec<String> {
        self.awaiting = true;
        self.refusal = None;
        vec![user_message(prompt)]
    }

    fn steps(&mut self, line: &Value) -> Vec<Step> {
        match text(line, "type") {
            "system" => events(self.system(line)),
            "assistant" => events(self.assistant(line)),
            "user" => events(self.tool_results(line)),
            "result" => events(self.result(line)),
            "control_request" => permit::answer(&self.task, line),
            _ => Vec::new(),
        }
    }

    fn system(&mut self, line: &Value) -> Vec<AgentEvent> {
        match text(line, "subtype") {
            "init" if !self.started => {
                self.started = true;
                vec![AgentEvent::Started {
                    model: line["model"].as_str().map(str::to_owned),
                    broken_tools: broken_servers(&line["mcp_servers"]),
                }]
            }
            "api_retry" => vec![AgentEvent::Retrying {
                attempt: u32::try_from(count(line, "attempt")).unwrap_or(u32::MAX),
                status: status(line, "error_status"),
            }],
            "permission_denied" => {
                vec![AgentEvent::Denied {
                    name: text(line, "tool_name").to_owned(),
                    why: text(line, "message").into(),
                }]
            }
            _ => Vec::new(),
        }
    }

    /// One line per content block. A failed call of the API looks like an answer too: its words
    /// come again in the `result`, so they are no `Text`.
    fn assistant(&mut self, line: &Value) -> Vec<AgentEvent> {
        if let Some(error) = line["error"].as_str() {
            error.clone_into(&mut self.api_error);
            return Vec::new();
        }
        let blocks = items(&line["message"]["content"]);
        blocks.iter().for_each(|block| self.own_calls.called(block));
        blocks.iter().filter_map(content_block).collect()
    }

    fn tool_results(&mut self, line: &Value) -> Vec<AgentEvent> {
        let blocks = items(&line["message"]["content"]).iter();
        let results = blocks.filter(|block| text(block, "type") == "tool_result");
        results
            .flat_map(|block| {
                let result = AgentEvent::ToolResult { is_error: is_true(block, "is_error") };
                std::iter::once(result).chain(self.own_calls.answered(block))
            })
            .collect()
    }

    fn result(&mut self, line: &Value) -> Vec<AgentEvent> {
        self.awaiting = false;
        let finished = ending::of_result(line, self.task.schema.is_some());
        self.refusal = ending::refusal(line, &self.api_error);
        self.api_error.clear();
        let mut events = Vec::with_capacity(3);
        if let Some(usage) = turn_usage(line) {
            events.push(AgentEvent::Usage(usage));
        }
        if let Some(dollars) = line["total_cost_usd"].as_f64() {
            events.push(AgentEvent::Cost(Micros::from_dollars(dollars.max(0.0))));
        }
        events.push(finished);
        events
    }
}

impl Provider for Claude {
    fn talk(&self) -> Talk {
        Talk::Live
    }

    fn launch(&self) -> Command {
        start::command(&self.task)
    }

    fn opening(&mut self) -> Vec<String> {
        let prompt = self.task.prompt.clone();
        self.prompt(&prompt)
    }

    fn line(&mut self, line: &[u8]) -> Vec<Step> {
        self.spoke = true;
        match serde_json::from_slice(line) {
            Ok(value) => self.steps(&value),
            Err(_) => Vec::new(),
        }
    }

    fn follow_up(&mut self, text: &str) -> Vec<String> {
        self.prompt(text)
    }

    fn waits(&self) -> bool {
        false
    }

    fn interrupt(&mut self) -> Vec<String> {
        self.interrupts += 1;
        let id = format!("interrupt-{}", self.interrupts);
        let request = json!({
            "type": "control_request", "request_id": id, "request": {"subtype": "interrupt"},
        });
        vec![request.to_string()]
    }

    fn ended(&mut self, exit: Exit, stderr_tail: &str) -> Option<AgentEvent> {
        let owed = std::mem::take(&mut self.awaiting);
        owed.then(|| ending::without_result(exit, stderr_tail, self.spoke))
    }

    fn refusal(&self) -> Option<ModelRefusal> {
        self.refusal
    }
}

fn events(events: Vec<AgentEvent>) -> Vec<Step> {
    events.into_iter().map(Step::Event).collect()
}

/// A message that begins with "/" would be swallowed as an unknown command, so it gets a first line.
fn user_message(prompt: &str) -> String {
    let content = match prompt.trim_start().strip_prefix('/') {
        Some(_) => format!("Message:\n{prompt}"),
        None => prompt.to_owned(),
    };
    json!({"type": "user", "message": {"role": "user", "content": content}}).to_string()
}

/// A broken tool server does not fail the run: its state in `init` is all that tells.
fn broken_servers(servers: &Value) -> Vec<String> {
    items(servers)
        .iter()
        .filter(|server| text(server, "status") != "connected")
        .map(|server| text(server, "name").to_owned())
        .collect()
}

fn content_block(block: &Value) -> Option<AgentEvent> {
    match text(block, "type") {
        "text" => Some(AgentEvent::Text(text(block, "text").into())),
        "tool_use" if text(block, "name") == "TodoWrite" => {
            Some(AgentEvent::Todo(todo_items(&block["input"]["todos"], "content", "status")))
        }
        "tool_use" => Some(AgentEvent::ToolUse {
            name: text(block, "name").to_owned(),
            summary: tool_summary(&block["input"]),
        }),
        _ => None,
    }
}

/// The tokens since the last result, over all models that were used, subagents included.
fn turn_usage(line: &Value) -> Option<TokenUsage> {
    let models = line["model_usage_since_last_result"].as_object()?;
    let total = models.values().fold(TokenUsage::default(), |sum, model| {
        let used = TokenUsage {
            input: count(model, "inputTokens"),
            output: count(model, "outputTokens"),
            cache_read: count(model, "cacheReadInputTokens"),
            cache_write: count(model, "cacheCreationInputTokens"),
        };
        add(sum, used)
    });
    (total != TokenUsage::default()).then_some(total)
}
