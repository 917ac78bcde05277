//! `send_message`, `read_messages`: what the agents of a task write to each other.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Tools,
    call::{CallError, held},
    context::DATA,
};
use crate::{
    db::{
        agents::Caller,
        letters::{self, NewLetter, Reader},
    },
    model::{Addressee, AgentId, Letter, LetterKind, Role, Untrusted},
};

/// Characters of a message.
const LONGEST_BODY: usize = 4000;
/// Characters of a correlation.
const LONGEST_CORRELATION: usize = 64;
/// Messages of one task.
const MOST_LETTERS: i64 = 100;

/// What `send_message` takes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Send {
    to: String,
    kind: LetterKind,
    body: String,
    correlation: Option<String>,
}

/// What `read_messages` takes: nothing.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Read {}

/// The description of `send_message`, its properties, and those that are required.
pub(super) fn about_send() -> (&'static str, Value, Value) {
    let kinds = LetterKind::ALL.map(LetterKind::name);
    let properties = json!({
        "to": {
            "type": "string",
            "description": "`all` of this task; a role (starter, coding, reviewer, deployer, verifier, auditor), \
                            which whoever plays it reads, now or next; or an agent's number, as messages tell it.",
        },
        "kind": { "type": "string", "enum": kinds },
        "body": { "type": "string", "maxLength": LONGEST_BODY },
        "correlation": {
            "type": "string", "maxLength": LONGEST_CORRELATION,
            "description": "What ties a task_response to its task_request; a request without one is given one.",
        },
    });
    (
        "Writes to other agents of this task. Nobody waits for an answer: go on with your work, or end your \
         turn; an answer reaches you, or whoever goes on with your session.",
        properties,
        json!(["to", "kind", "body"]),
    )
}

/// The same of `read_messages`.
pub(super) fn about_read() -> (&'static str, Value, Value) {
    (
        "Reads what other agents of this task wrote to you and you have not read.",
        json!({}),
        json!([]),
    )
}

/// Keeps a message for whom it is for.
pub(super) async fn send(
    tools: &Tools,
    caller: &Caller,
    arguments: Send,
) -> Result<String, CallError> {
    held("the body", &arguments.body, LONGEST_BODY)?;
    let sent = letters::count(&tools.pool, caller.task).await?;
    if sent >= MOST_LETTERS {
        let why = format!("this task's agents have written {MOST_LETTERS} messages, all they may");
        return Err(CallError::refused(why));
    }
    let correlation = correlation(tools, caller, &arguments, sent).await?;
    let new = NewLetter {
        task: caller.task,
        from: caller.agent,
        to: addressee(&arguments.to)?,
        kind: arguments.kind,
        correlation: correlation.clone(),
        body: Untrusted((tools.redact)(&arguments.body)),
        now: tools.clock.now(),
    };
    if letters::insert(&tools.pool, &new).await?.is_none() {
        return Err(CallError::refused(format!("no agent {} is of this task", arguments.to)));
    }
    let tied = correlation.map(|it| format!(", correlation {it}")).unwrap_or_default();
    Ok(format!("Sent{tied}."))
}

fn addressee(to: &str) -> Result<Addressee, CallError> {
    let role = Role::ALL.into_iter().find(|role| role.name() == to);
    match (to, role, to.parse()) {
        ("all", _, _) => Ok(Addressee::All),
        (_, Some(role), _) => Ok(Addressee::Role(role)),
        (_, None, Ok(agent)) => Ok(Addressee::Agent(AgentId(agent))),
        (_, None, Err(_)) => {
            Err(CallError::refused("to is `all`, a role's name or an agent's number"))
        }
    }
}

/// The word that ties request and response. A response needs the one of a request of this task.
async fn correlation(
    tools: &Tools,
    caller: &Caller,
    arguments: &Send,
    sent: i64,
) -> Result<Option<String>, CallError> {
    if let Some(given) = &arguments.correlation {
        let plain = given.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        held("the correlation", given, LONGEST_CORRELATION)?;
        if !plain {
            return Err(CallError::refused(
                "a correlation is of letters, digits, '.', '_' and '-'",
            ));
        }
    }
    match (arguments.kind, &arguments.correlation) {
        (LetterKind::TaskResponse, Some(given))
            if letters::is_requested(&tools.pool, caller.task, given).await? =>
        {
            Ok(Some(given.clone()))
        }
        (LetterKind::TaskResponse, _) => {
            Err(CallError::refused("a task_response needs the correlation of a task_request"))
        }
        (LetterKind::TaskRequest, None) => Ok(Some(format!("r{}-{}", caller.agent, sent + 1))),
        (
            LetterKind::TaskRequest
            | LetterKind::StatusUpdate
            | LetterKind::Coordination
            | LetterKind::Heartbeat
            | LetterKind::Error,
            given,
        ) => Ok(given.clone()),
    }
}

/// Hands out what the caller has not read, once.
pub(super) async fn read(tools: &Tools, caller: &Caller) -> Result<String, CallError> {
    let (task, session, role) = (caller.task, caller.session, caller.role);
    let unread = letters::list_unread(&tools.pool, Reader { task, session, role }).await?;
    let ids: Vec<i64> = unread.iter().map(|letter| letter.id).collect();
    letters::mark_read(&tools.pool, session, &ids, tools.clock.now()).await?;
    let told: Vec<Value> = unread.iter().map(about).collect();
    Ok(json!({ "messages": told, "note": DATA }).to_string())
}

fn about(letter: &Letter) -> Value {
    json!({
        "from": { "agent": letter.from.0, "role": letter.role.name() },
        "kind": letter.kind.name(),
        "correlation": letter.correlation,
        "body": letter.body.as_code(),
        "at": letter.at.format("%Y-%m-%d %H:%M UTC").to_string(),
    })
}
