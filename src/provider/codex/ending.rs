//! Why a turn of Codex failed. The program tells it in words alone, so they are read here.

use serde_json::Value;

use crate::model::{AgentEvent, BUDGET_SPENT, FailKind, Untrusted};
use crate::provider::contract::{Exit, ModelRefusal, RefusalKind};
use crate::provider::json::text;

/// How many characters of the program's own words are kept in a failure.
const WORDS: usize = 500;

/// What stands before an HTTP status in the program's words.
const BEFORE_STATUS: [&str; 2] = ["unexpected status ", "last status: "];

/// What the program says before the name of a server of tools that it could not reach, and why.
const NO_TOOLS: &str = "required MCP servers failed to initialize: ";

/// What a turn failed for.
pub(super) struct Failed {
    pub(super) kind: FailKind,
    pub(super) refusal: Option<ModelRefusal>,
}

/// Reads the words of a `turn.failed`. The only turns that fail are those whose model gave no answer.
pub(super) fn of_words(message: &str) -> Failed {
    let (status, told) = status_in(message);
    let words: String = told.chars().take(WORDS).collect();
    let kind = match status {
        Some(status) => FailKind::Model(format!("HTTP {status}: {words}")),
        None => FailKind::Model(words),
    };
    let refusal = ModelRefusal { kind: refusal_kind(message, status), status, retry_at: None };
    Failed { kind, refusal: Some(refusal) }
}

/// A 400 is told as the API's whole answer, any other status in a sentence.
fn status_in(message: &str) -> (Option<u16>, String) {
    if let Ok(answer) = serde_json::from_str::<Value>(message)
        && answer["error"].is_object()
    {
        return (Some(400), text(&answer["error"], "message").to_owned());
    }
    let numbers = BEFORE_STATUS.iter().filter_map(|before| {
        let (_, rest) = message.split_once(before)?;
        rest.get(..3)?.parse().ok()
    });
    (numbers.into_iter().next(), message.to_owned())
}

fn refusal_kind(message: &str, status: Option<u16>) -> RefusalKind {
    let says = |words: &str| message.contains(words);
    if says(BUDGET_SPENT) {
        return RefusalKind::Budget;
    }
    if says("Quota exceeded") {
        return RefusalKind::Credit;
    }
    if says("context window") || says("context_length_exceeded") {
        return RefusalKind::TooLong;
    }
    match status {
        Some(429) => RefusalKind::Quota,
        Some(401 | 403 | 404) => RefusalKind::Access,
        Some(413) => RefusalKind::TooLong,
        Some(400..=499) => RefusalKind::Invalid,
        None if says("Missing environment variable") => RefusalKind::Access,
        Some(_) | None => RefusalKind::Unavailable,
    }
}

/// How often it tries again, from `Reconnecting... 1/3 (…)`, and what was answered.
pub(super) fn retrying(message: &str) -> Option<AgentEvent> {
    let rest = message.strip_prefix("Reconnecting... ")?;
    let attempt = rest.split_once('/').and_then(|(attempt, _)| attempt.parse().ok());
    Some(AgentEvent::Retrying { attempt: attempt.unwrap_or(1), status: status_in(message).0 })
}

/// Says how it went when the process is gone and its prompt has no answer.
pub(super) fn without_answer(exit: Exit, stderr_tail: &str, begun: bool) -> AgentEvent {
    if let Some((_, why)) = stderr_tail.rsplit_once(NO_TOOLS) {
        let why: String = why.trim().chars().take(WORDS).collect();
        return failed(FailKind::Tools(format!("no connection to {why}")));
    }
    let last = stderr_tail.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let words: String = last.trim().chars().take(WORDS).collect();
    let what = if words.is_empty() { exit.to_string() } else { format!("{exit}: {words}") };
    let kind = match exit {
        // A flag or a session that it does not know: it says so and never begins.
        Exit::Code(code) if code != 0 && !begun => FailKind::Setup(what),
        Exit::Code(_) | Exit::Signal(_) => FailKind::Crashed(what),
    };
    failed(kind)
}

fn failed(kind: FailKind) -> AgentEvent {
    AgentEvent::Finished { result: Err(kind), text: Untrusted::default() }
}
