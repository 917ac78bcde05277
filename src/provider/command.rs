//! Any program that speaks Baton's line protocol, described in `docs/command-provider.md`.

use std::path::PathBuf;

use chrono::DateTime;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::model::{AgentEvent, BUDGET_SPENT, Effort, FailKind, Micros, TokenUsage, Untrusted};

use super::contract::{Exit, ModelRefusal, Provider, RefusalKind, Step, Talk};
use super::json::{count, is_true, status, text, todo_items, tool_summary};
use super::launch::{Command, Launch, environment};

/// One process of such a program.
pub(super) struct CommandProvider {
    task: Launch,
    /// Whether a prompt was handed in that no `result` has answered yet.
    awaiting: bool,
    /// Whether the first line was told as the start.
    started: bool,
    refusal: Option<ModelRefusal>,
}

impl CommandProvider {
    pub(super) fn new(task: Launch) -> Self {
        Self { task, awaiting: false, started: false, refusal: None }
    }

    fn read(&mut self, line: &Value) -> Vec<AgentEvent> {
        match text(line, "type") {
            "text" => vec![AgentEvent::Text(text(line, "text").into())],
            "tool" => vec![AgentEvent::ToolUse {
                name: text(line, "name").to_owned(),
                summary: tool_summary(&line["input"]),
            }],
            "tool_result" => vec![AgentEvent::ToolResult { is_error: is_true(line, "is_error") }],
            "denied" => vec![AgentEvent::Denied {
                name: text(line, "name").to_owned(),
                why: text(line, "why").into(),
            }],
            "retrying" => vec![AgentEvent::Retrying {
                attempt: u32::try_from(count(line, "attempt")).unwrap_or(u32::MAX),
                status: status(line, "status"),
            }],
            "progress" => vec![AgentEvent::Todo(todo_items(&line["items"], "text", "state"))],
            "usage" => usage(line),
            "result" => vec![self.result(line)],
            _ => Vec::new(),
        }
    }

    fn result(&mut self, line: &Value) -> AgentEvent {
        self.awaiting = false;
        self.refusal = refusal(line);
        let result = if line["is_error"].as_bool() != Some(false) {
            Err(failure(line))
        } else if self.task.schema.is_none() {
            Ok(None)
        } else if line["output"].is_null() {
            Err(FailKind::InvalidOutcome("it ended without giving its outcome".to_owned()))
        } else {
            Ok(Some(line["output"].clone()))
        };
        AgentEvent::Finished { result, text: text(line, "text").into() }
    }
}

impl Provider for CommandProvider {
    fn talk(&self) -> Talk {
        Talk::Live
    }

    fn launch(&self) -> Command {
        let gateway = self.task.gateway_url.clone();
        let mut own = vec![
            ("ANTHROPIC_BASE_URL", gateway.clone()),
            ("OPENAI_BASE_URL", gateway),
            ("ANTHROPIC_API_KEY", self.task.token.expose_secret().to_owned()),
            ("OPENAI_API_KEY", self.task.token.expose_secret().to_owned()),
            ("BATON_SESSION_DIR", self.task.config_dir.display().to_string()),
        ];
        if let Some(server) = &self.task.tool_server {
            own.push(("BATON_TOOLS_URL", server.url.clone()));
            own.push(("BATON_TOOLS_TOKEN", server.token.expose_secret().to_owned()));
        }
        Command {
            arguments: Vec::new(),
            environment: environment(&self.task, own),
            files: Vec::new(),
            session_file: PathBuf::from(format!("{}.json", self.task.session)),
        }
    }

    fn opening(&mut self) -> Vec<String> {
        self.awaiting = true;
        let task = &self.task;
        let prompt = json!({
            "type": "prompt", "role": task.role.name(), "text": task.prompt,
            "system": task.system, "schema": task.schema, "model": task.model,
            "tools": task.tools, "session": task.session, "resume": task.resume,
            "effort": task.effort.map(Effort::name), "max_turns": task.max_turns,
        });
        vec![prompt.to_string()]
    }

    fn line(&mut self, line: &[u8]) -> Vec<Step> {
        let Ok(value) = serde_json::from_slice::<Value>(line) else {
            return Vec::new();
        };
        let mut events = Vec::new();
        if !self.started && value["type"].is_string() {
            self.started = true;
            events.push(AgentEvent::Started { model: None, broken_tools: Vec::new() });
        }
        events.extend(self.read(&value));
        events.into_iter().map(Step::Event).collect()
    }

    fn follow_up(&mut self, text: &str) -> Vec<String> {
        self.awaiting = true;
        self.refusal = None;
        vec![json!({"type": "message", "text": text}).to_string()]
    }

    fn waits(&self) -> bool {
        false
    }

    fn interrupt(&mut self) -> Vec<String> {
        vec![json!({"type": "interrupt"}).to_string()]
    }

    fn ended(&mut self, exit: Exit, stderr_tail: &str) -> Option<AgentEvent> {
        if !std::mem::take(&mut self.awaiting) {
            return None;
        }
        let last = stderr_tail.lines().rev().find(|line| !line.trim().is_empty());
        let words: String = last.unwrap_or_default().trim().chars().take(500).collect();
        let what = if words.is_empty() { exit.to_string() } else { format!("{exit}: {words}") };
        let result = Err(FailKind::Crashed(what));
        Some(AgentEvent::Finished { result, text: Untrusted::default() })
    }

    fn refusal(&self) -> Option<ModelRefusal> {
        self.refusal
    }
}

fn usage(line: &Value) -> Vec<AgentEvent> {
    let tokens = TokenUsage {
        input: count(line, "input_tokens"),
        output: count(line, "output_tokens"),
        cache_read: count(line, "cache_read_tokens"),
        cache_write: count(line, "cache_write_tokens"),
    };
    let mut events = vec![AgentEvent::Usage(tokens)];
    if let Some(dollars) = line["cost_usd"].as_f64() {
        events.push(AgentEvent::Cost(Micros::from_dollars(dollars.max(0.0))));
    }
    events
}

/// The reasons that Baton acts on; any other one is the program's own failure.
fn failure(line: &Value) -> FailKind {
    let words: String = text(line, "text").chars().take(500).collect();
    match text(line, "reason") {
        "quota" | "budget" | "model" => match status(line, "status") {
            Some(status) => FailKind::Model(format!("HTTP {status}: {words}")),
            None => FailKind::Model(words),
        },
        "setup" => FailKind::Setup(words),
        "tools" => FailKind::Tools(words),
        "invalid_outcome" => FailKind::InvalidOutcome(words),
        "interrupted" => FailKind::Provider("the turn was interrupted".to_owned()),
        "" => FailKind::Provider(words),
        reason => {
            let reason: String = reason.chars().take(80).collect();
            FailKind::Provider(format!("{reason}: {words}"))
        }
    }
}

fn refusal(line: &Value) -> Option<ModelRefusal> {
    if !is_true(line, "is_error") {
        return None;
    }
    let kind = match text(line, "reason") {
        "quota" => RefusalKind::Quota,
        "budget" => RefusalKind::Budget,
        "model" if text(line, "text").contains(BUDGET_SPENT) => RefusalKind::Budget,
        "model" if matches!(status(line, "status"), Some(400..=499)) => RefusalKind::Invalid,
        "model" => RefusalKind::Unavailable,
        _ => return None,
    };
    let retry_at = DateTime::parse_from_rfc3339(text(line, "retry_at")).ok();
    let retry_at = retry_at.map(|moment| moment.to_utc());
    Some(ModelRefusal { kind, status: status(line, "status"), retry_at })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{TodoItem, TodoState, Tool};
    use crate::provider::launch::{ToolServer, tests::task};

    fn events(provider: &mut CommandProvider, line: &Value) -> Vec<AgentEvent> {
        let steps = provider.line(line.to_string().as_bytes());
        steps
            .into_iter()
            .map(|step| match step {
                Step::Event(event) => event,
                Step::Send(line) => panic!("nothing is to be sent: {line}"),
            })
            .collect()
    }

    fn finished(provider: &mut CommandProvider, line: &Value) -> Result<Option<Value>, FailKind> {
        match events(provider, line).pop() {
            Some(AgentEvent::Finished { result, .. }) => result,
            other => panic!("no end but {other:?}"),
        }
    }

    fn started(schema: Option<Value>) -> CommandProvider {
        let mut provider = CommandProvider::new(Launch { schema, ..task() });
        provider.opening();
        provider
    }

    #[test]
    fn the_prompt_line_holds_the_whole_task() {
        let limited = Launch { effort: Some(Effort::Low), max_turns: Some(40), ..task() };
        let mut provider = CommandProvider::new(limited);
        let line: Value = serde_json::from_str(&provider.opening()[0]).unwrap();
        assert_eq!(
            line,
            json!({
                "type": "prompt", "role": "reviewer", "text": "Look at the change.",
                "system": "You review.", "schema": null, "model": "claude-sonnet-4-5",
                "tools": ["Read", "Grep", "Glob"],
                "session": "00000000-0000-0000-0000-000000000007", "resume": false,
                "effort": "low", "max_turns": 40,
            })
        );
        let command = provider.launch();
        assert_eq!(command.variable("BATON_SESSION_DIR"), Some("/agent/config"));
        assert_eq!(command.variable("OPENAI_BASE_URL"), Some("http://127.0.0.1:4000"));
    }

    #[test]
    fn the_tool_server_is_named_in_the_environment_where_there_is_one() {
        let server = ToolServer {
            url: "http://127.0.0.1:4000/mcp".to_owned(),
            token: "its-token".into(),
            tools: vec![Tool::AskHuman],
        };
        let with = CommandProvider::new(Launch { tool_server: Some(server), ..task() }).launch();
        assert_eq!(with.variable("BATON_TOOLS_URL"), Some("http://127.0.0.1:4000/mcp"));
        assert_eq!(with.variable("BATON_TOOLS_TOKEN"), Some("its-token"));
        assert_eq!(CommandProvider::new(task()).launch().variable("BATON_TOOLS_URL"), None);
        let mut provider = started(None);
        let line = json!({"type": "result", "is_error": true, "text": "401", "reason": "tools"});
        assert_eq!(finished(&mut provider, &line), Err(FailKind::Tools("401".to_owned())));
    }

    #[test]
    fn progress_and_usage_are_told() {
        let mut provider = started(None);
        provider.line(b"{\"type\":\"text\",\"text\":\"begun\"}");
        let list = json!({"type": "progress", "items": [
            {"text": "read", "state": "done"}, {"text": "write", "state": "doing"}, {"text": "x"},
        ]});
        let states =
            [("read", TodoState::Done), ("write", TodoState::Doing), ("x", TodoState::Pending)];
        let expected = states.map(|(text, state)| TodoItem { text: text.into(), state });
        assert_eq!(events(&mut provider, &list), [AgentEvent::Todo(expected.to_vec())]);
        let usage =
            json!({"type": "usage", "input_tokens": 5, "output_tokens": 2, "cost_usd": 0.5});
        let tokens = TokenUsage { input: 5, output: 2, ..TokenUsage::default() };
        assert_eq!(
            events(&mut provider, &usage),
            [AgentEvent::Usage(tokens), AgentEvent::Cost(Micros(500_000))]
        );
    }

    #[test]
    fn what_was_denied_and_what_is_tried_again_are_told() {
        let mut provider = started(None);
        provider.line(b"{\"type\":\"text\",\"text\":\"begun\"}");
        let denied = json!({"type": "denied", "name": "Bash", "why": "no shell here"});
        let expected = AgentEvent::Denied { name: "Bash".to_owned(), why: "no shell here".into() };
        assert_eq!(events(&mut provider, &denied), [expected]);
        let again = json!({"type": "retrying", "attempt": 2, "status": 529});
        let expected = AgentEvent::Retrying { attempt: 2, status: Some(529) };
        assert_eq!(events(&mut provider, &again), [expected]);
    }

    #[test]
    fn success_needs_the_output_that_was_asked_for() {
        let good =
            json!({"type": "result", "is_error": false, "text": "t", "output": {"ok": true}});
        let bare = json!({"type": "result", "is_error": false, "text": "t", "output": null});
        let schema = Some(json!({"type": "object"}));
        assert_eq!(finished(&mut started(schema.clone()), &good), Ok(Some(json!({"ok": true}))));
        assert!(matches!(finished(&mut started(schema), &bare), Err(FailKind::InvalidOutcome(_))));
        assert_eq!(finished(&mut started(None), &bare), Ok(None));
    }

    #[test]
    fn a_result_that_does_not_say_it_went_well_did_not() {
        let silent = json!({"type": "result", "text": "done"});
        assert!(finished(&mut started(None), &silent).is_err());
    }

    #[test]
    fn a_quota_is_told_with_its_end() {
        let mut provider = started(None);
        let line = json!({
            "type": "result", "is_error": true, "text": "later", "reason": "quota",
            "status": 429, "retry_at": "2026-11-21T10:00:00Z",
        });
        let failed = finished(&mut provider, &line);
        assert_eq!(failed, Err(FailKind::Model("HTTP 429: later".to_owned())));
        let refusal = provider.refusal().unwrap();
        assert_eq!(refusal.kind, RefusalKind::Quota);
        assert_eq!(refusal.retry_at.unwrap().to_rfc3339(), "2026-11-21T10:00:00+00:00");
    }

    #[test]
    fn a_program_that_dies_owes_an_answer_and_one_that_answered_does_not() {
        let mut provider = started(None);
        let owed = provider.ended(Exit::Signal(9), "a\nout of memory\n\n");
        let result = Err(FailKind::Crashed("signal 9: out of memory".to_owned()));
        assert_eq!(owed, Some(AgentEvent::Finished { result, text: Untrusted::default() }));
        let mut answered = started(None);
        answered.line(b"{\"type\":\"result\",\"is_error\":false}");
        assert_eq!(answered.ended(Exit::Code(0), ""), None);
    }

    #[test]
    fn what_is_no_protocol_is_ignored() {
        let mut provider = started(None);
        for line in [&b"plain words"[..], b"{\"type\":\"new\"}", b"[]", b"{\"type\":7}", b"\xff"] {
            let told = provider.line(line);
            let only_start = |step: &Step| matches!(step, Step::Event(AgentEvent::Started { .. }));
            assert!(told.iter().all(only_start), "{told:?}");
        }
    }
}
