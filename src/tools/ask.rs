//! `ask_human`: records a question; the agent ends its turn, and nothing waits but the task.

use chrono::TimeDelta;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Tools,
    call::{CallError, held},
};
use crate::{
    db::{
        agents::Caller,
        questions::{self, NewQuestion},
    },
    model::{Fallback, Timestamp, Untrusted},
};

/// Characters of a question.
const LONGEST_QUESTION: usize = 2000;
/// Options of one question.
const MOST_OPTIONS: usize = 6;
/// Characters of an option.
const LONGEST_OPTION: usize = 200;
/// Hours until a default counts, unless the agent names others.
const HOURS: u32 = 24;
/// A week: after that nobody remembers what it was about.
const MOST_HOURS: u32 = 168;
/// Questions of one task: whoever has more has not understood it.
const MOST_QUESTIONS: u32 = 10;

/// What an agent hears from the moment on that it has asked.
pub(super) const END_YOUR_TURN: &str = "your question is recorded: end your turn now, without the structured output and \
    without another call. You go on in this session once it is answered";

/// What it takes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {
    question: String,
    #[serde(default)]
    options: Vec<String>,
    default: Option<u32>,
    wait_hours: Option<u32>,
}

/// Its description, its properties, and those that are required.
pub(super) fn about() -> (&'static str, Value, Value) {
    let properties = json!({
        "question": {
            "type": "string", "maxLength": LONGEST_QUESTION,
            "description": "What you need to know and why, for somebody who has not seen what you saw.",
        },
        "options": {
            "type": "array", "maxItems": MOST_OPTIONS,
            "items": { "type": "string", "maxLength": LONGEST_OPTION },
            "description": "What can be chosen; they are numbered from 1. None if only words can answer.",
        },
        "default": {
            "type": "integer", "minimum": 1, "maximum": MOST_OPTIONS,
            "description": "The number of the option that you take when nobody answers in time. Without it the \
                            task waits for a person without limit.",
        },
        "wait_hours": {
            "type": "integer", "minimum": 1, "maximum": MOST_HOURS,
            "description": "How long to wait before the default counts: 24 hours unless you say otherwise.",
        },
    });
    (
        "Asks a person on the task's thread. Your turn ends with it: call nothing else, give no structured \
         output, and say in a sentence that you wait. You go on in this session with the answer.",
        properties,
        json!(["question"]),
    )
}

/// Records the question.
pub(super) async fn human(
    tools: &Tools,
    caller: &Caller,
    arguments: Arguments,
) -> Result<String, CallError> {
    held("the question", &arguments.question, LONGEST_QUESTION)?;
    if arguments.options.len() > MOST_OPTIONS {
        return Err(CallError::refused(format!("at most {MOST_OPTIONS} options can be given")));
    }
    for option in &arguments.options {
        held("an option", option, LONGEST_OPTION)?;
    }
    let now = tools.clock.now();
    let fallback = fallback(&arguments, now)?;
    let asked = questions::count(&tools.pool, caller.task).await?;
    if asked >= MOST_QUESTIONS {
        let why = format!(
            "{MOST_QUESTIONS} questions were asked for this task: decide yourself, and say what you decided"
        );
        return Err(CallError::refused(why));
    }
    let redacted = |text: &String| Untrusted((tools.redact)(text));
    let new = NewQuestion {
        task: caller.task,
        agent: caller.agent,
        text: redacted(&arguments.question),
        options: arguments.options.iter().map(redacted).collect(),
        fallback,
        now,
    };
    match questions::insert(&tools.pool, &new).await? {
        Some(number) => Ok(format!("This is question {number}; {END_YOUR_TURN}.")),
        None => Err(CallError::refused(END_YOUR_TURN)),
    }
}

/// What counts when nobody answers: one of the options, after a while.
fn fallback(arguments: &Arguments, now: Timestamp) -> Result<Option<Fallback>, CallError> {
    let hours = arguments.wait_hours.unwrap_or(HOURS);
    let Some(option) = arguments.default else {
        return match arguments.wait_hours {
            Some(_) => Err(CallError::refused("wait_hours needs a default that counts afterwards")),
            None => Ok(None),
        };
    };
    let known = usize::try_from(option).is_ok_and(|it| (1..=arguments.options.len()).contains(&it));
    if !known {
        return Err(CallError::refused("default has to be the number of one of the options"));
    }
    if !(1..=MOST_HOURS).contains(&hours) {
        return Err(CallError::refused(format!("wait_hours has to be from 1 to {MOST_HOURS}")));
    }
    Ok(Some(Fallback { option, at: now + TimeDelta::hours(hours.into()) }))
}
