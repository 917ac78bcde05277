//! How a turn of Claude Code ended: success is what its `result` line says, never an exit code.

use chrono::DateTime;
use serde_json::Value;

use crate::model::{AgentEvent, BUDGET_SPENT, FailKind, Timestamp, Untrusted};
use crate::provider::contract::{Exit, ModelRefusal, RefusalKind};
use crate::provider::json::{is_true, items, status, text};

/// How many characters of the program's own words are kept in a failure.
const WORDS: usize = 500;

/// Reads a `result` line.
pub(super) fn of_result(line: &Value, schema_asked: bool) -> AgentEvent {
    let result = if is_true(line, "is_error") || text(line, "subtype") != "success" {
        Err(failure(line))
    } else if !schema_asked {
        Ok(None)
    } else if line["structured_output"].is_null() {
        // Seen: words only, `subtype: success`, exit code 0.
        Err(FailKind::InvalidOutcome("it ended without giving its outcome".to_owned()))
    } else {
        Ok(Some(line["structured_output"].clone()))
    };
    AgentEvent::Finished { result, text: Untrusted(text(line, "result").to_owned()) }
}

fn failure(line: &Value) -> FailKind {
    let words = own_words(line);
    match text(line, "subtype") {
        // A failed call of the model's API is told as a "success" with `is_error`.
        "success" => match status(line, "api_error_status") {
            Some(status) => FailKind::Model(format!("HTTP {status}: {words}")),
            None => FailKind::Model(words),
        },
        "error_max_structured_output_retries" => FailKind::InvalidOutcome(words),
        "error_during_execution" if text(line, "terminal_reason").starts_with("aborted") => {
            FailKind::Provider("the turn was interrupted".to_owned())
        }
        // Without a turn nothing was begun: an unknown session, for one.
        "error_during_execution" if line["num_turns"].as_u64() == Some(0) => FailKind::Setup(words),
        _ => FailKind::Provider(words),
    }
}

fn own_words(line: &Value) -> String {
    let errors: Vec<&str> = items(&line["errors"]).iter().filter_map(Value::as_str).collect();
    let words = if errors.is_empty() { text(line, "result").to_owned() } else { errors.join("; ") };
    let words = if words.is_empty() { text(line, "subtype").to_owned() } else { words };
    words.chars().take(WORDS).collect()
}

/// Says why the model's API gave no answer; nothing if the turn did not end for that.
///
/// `error` is the word of the failed answer's own line, such as `rate_limit`.
pub(super) fn refusal(line: &Value, error: &str) -> Option<ModelRefusal> {
    if !is_true(line, "is_error") || text(line, "subtype") != "success" {
        return None;
    }
    let status = status(line, "api_error_status");
    let words = text(line, "result");
    Some(ModelRefusal { kind: kind(line, error, status), status, retry_at: reset_time(words) })
}

fn kind(line: &Value, error: &str, status: Option<u16>) -> RefusalKind {
    if text(line, "result").contains(BUDGET_SPENT) {
        return RefusalKind::Budget;
    }
    if text(line, "stop_reason") == "refusal" {
        return RefusalKind::Declined;
    }
    if text(line, "terminal_reason") == "prompt_too_long" || error == "max_output_tokens" {
        return RefusalKind::TooLong;
    }
    match (error, status) {
        ("billing_error", _) => RefusalKind::Credit,
        ("rate_limit", _) | (_, Some(429)) => RefusalKind::Quota,
        ("authentication_failed" | "model_not_found", _) | (_, Some(401 | 403 | 404)) => {
            RefusalKind::Access
        }
        (_, Some(400..=499)) => RefusalKind::Invalid,
        (_, Some(_) | None) => RefusalKind::Unavailable,
    }
}

/// A usage limit is told as words, a bar, and the second (Unix time) at which it ends.
fn reset_time(words: &str) -> Option<Timestamp> {
    let (_, seconds) = words.trim_end().rsplit_once('|')?;
    DateTime::from_timestamp(seconds.parse().ok()?, 0)
}

/// Says how it went when the process is gone and a prompt has no `result`.
pub(super) fn without_result(exit: Exit, stderr_tail: &str, spoke: bool) -> AgentEvent {
    let last = stderr_tail.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let words: String = last.trim().chars().take(WORDS).collect();
    let what = if words.is_empty() { exit.to_string() } else { format!("{exit}: {words}") };
    let kind = match exit {
        // A flag it refuses, a session that is in use: it says so and never begins.
        Exit::Code(code) if code != 0 && !spoke => FailKind::Setup(what),
        Exit::Code(_) | Exit::Signal(_) => FailKind::Crashed(what),
    };
    AgentEvent::Finished { result: Err(kind), text: Untrusted::default() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn failed(result: &str) -> Value {
        json!({"subtype": "success", "is_error": true, "result": result, "api_error_status": 403})
    }

    #[test]
    fn a_spent_budget_is_told_apart_from_a_wrong_key() {
        let spent = failed(&format!("API Error: 403 {BUDGET_SPENT}"));
        let told = refusal(&spent, "authentication_failed").map(|refusal| refusal.kind);
        assert_eq!(told, Some(RefusalKind::Budget));
        let wrong = refusal(&failed("API Error: 403 no access"), "authentication_failed");
        assert_eq!(wrong.map(|refusal| refusal.kind), Some(RefusalKind::Access));
    }

    #[test]
    fn the_end_of_a_usage_limit_is_read() {
        let told = refusal(&failed("usage limit reached|1795225355"), "rate_limit");
        let expected = ModelRefusal {
            kind: RefusalKind::Quota,
            status: Some(403),
            retry_at: DateTime::from_timestamp(1_795_225_355, 0),
        };
        assert_eq!(told, Some(expected));
        assert_eq!(reset_time("a|b"), None);
        assert_eq!(reset_time("a|99999999999999999"), None);
    }

    #[test]
    fn a_result_of_an_unknown_kind_is_no_success() {
        let odd = json!({"type": "result", "subtype": "error_new", "is_error": false});
        let AgentEvent::Finished { result, .. } = of_result(&odd, false) else {
            panic!("a result ends a turn");
        };
        assert_eq!(result, Err(FailKind::Provider("error_new".to_owned())));
    }
}
