//! `emit_event`: what an agent tells people beside its work. It decides nothing: `workflow` does.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use sqlx::PgConnection;

use super::{
    Tools,
    call::{CallError, held, read},
    wishes,
};
use crate::{
    db::{
        agents::Caller,
        events,
        follow_ups::{self, NewFollowUp},
        tasks,
    },
    model::{
        Actor, Cause, Emission, FollowUp, Job, NewEvent, NewJob, Role, Subject, Untrusted, What,
    },
    queue::{self, Wake},
};

/// Characters of a follow-up's title: a line.
const LONGEST_TITLE: usize = 120;
/// Characters of its text: half a page.
const LONGEST_TEXT: usize = 4000;
/// Follow-ups of one agent.
const MOST_OF_AGENT: usize = 5;
/// Follow-ups of one task: people read each of them.
const MOST_OF_TASK: usize = 10;

/// What a follow-up takes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Noticed {
    title: String,
    text: String,
}

/// Its description for a role, its properties, and those that are required.
pub(super) fn about(role: Role) -> (&'static str, Value, Value) {
    let properties = json!({
        "event": { "type": "string", "enum": names(role) },
        "reason": {
            "type": "string", "maxLength": wishes::LONGEST_REASON,
            "description": "For `audit_wanted`: which danger of this change an auditor should look for.",
        },
        "paths": {
            "type": "array", "maxItems": wishes::MOST_PATHS,
            "items": { "type": "string", "maxLength": wishes::LONGEST_PATH },
            "description": "For `audit_wanted`: where to look, if you know.",
        },
        "title": {
            "type": "string", "maxLength": LONGEST_TITLE,
            "description": "For `follow_up`: what goes wrong or is wanted, as the title of an issue.",
        },
        "text": {
            "type": "string", "maxLength": LONGEST_TEXT,
            "description": "For `follow_up`: where it is and how it shows, for somebody who has not seen what you saw.",
        },
    });
    (
        "Tells people something beside your work. `follow_up`: you noticed something that deserves work of its \
         own and is outside of your task; people see it on the thread and may open an issue for it. Nothing \
         starts by it. `audit_wanted`: you ask that an auditor looks at this change once it is pushed, where the \
         repository allows that. You go on with your task.",
        properties,
        json!(["event"]),
    )
}

fn names(role: Role) -> Vec<&'static str> {
    Emission::of(role).into_iter().map(Emission::name).collect()
}

/// Emits the event that the arguments name, where the role may.
pub(super) async fn event(
    tools: &Tools,
    caller: &Caller,
    mut arguments: Map<String, Value>,
) -> Result<String, CallError> {
    let named = arguments.remove("event");
    let named = named.as_ref().and_then(Value::as_str).unwrap_or_default();
    let mut allowed = Emission::of(caller.role).into_iter();
    let arguments = Value::Object(arguments);
    match allowed.find(|emission| emission.name() == named) {
        Some(Emission::FollowUp) => follow_up(tools, caller, read(arguments)?).await,
        Some(Emission::AuditWanted) => wishes::audit(tools, caller, read(arguments)?).await,
        None => {
            let names = names(caller.role).join(", ");
            Err(CallError::refused(format!("event has to be one that your role may emit: {names}")))
        }
    }
}

/// Notes a follow-up and tells the pipeline, in one transaction. The same one twice is one.
async fn follow_up(tools: &Tools, caller: &Caller, noticed: Noticed) -> Result<String, CallError> {
    let title = noticed.title.split_whitespace().collect::<Vec<_>>().join(" ");
    held("the title", &title, LONGEST_TITLE)?;
    held("the text", &noticed.text, LONGEST_TEXT)?;
    let redacted = |text: &str| Untrusted((tools.redact)(text));
    let new = NewFollowUp {
        task: caller.task,
        agent: caller.agent,
        title: redacted(&title),
        text: redacted(&noticed.text),
        now: tools.clock.now(),
    };
    let mut tx = tools.pool.begin().await?;
    tasks::lock(&mut *tx, caller.task).await?;
    let noted = follow_ups::list(&mut *tx, caller.task).await?;
    if let Some(same) = noted.iter().find(|other| is_same(other, &new)) {
        return Ok(format!("It is noted already, as {}.", same.number));
    }
    has_room(caller, &noted)?;
    let number = follow_ups::insert(&mut *tx, &new).await?;
    let key = format!("task:{}:follow-up:{number}", caller.task);
    let wake = tell(tools, &mut tx, caller, key, What::FollowUpNoted { number }).await?;
    tx.commit().await?;
    wake.release(&tools.wakes);
    Ok(format!("Noted as {number}; people see it on the thread. Go on with your task."))
}

/// An agent that goes on where another was lost notices the same again.
fn is_same(noted: &FollowUp, new: &NewFollowUp) -> bool {
    noted.title.0.to_lowercase() == new.title.0.to_lowercase()
}

fn has_room(caller: &Caller, noted: &[FollowUp]) -> Result<(), CallError> {
    let own = noted.iter().filter(|other| other.agent == caller.agent).count();
    if own >= MOST_OF_AGENT {
        let why = format!("an agent may note {MOST_OF_AGENT} follow-ups, and you have noted them");
        return Err(CallError::refused(why));
    }
    if noted.len() >= MOST_OF_TASK {
        let why = format!("this task has {MOST_OF_TASK} follow-ups; no more are noted");
        return Err(CallError::refused(why));
    }
    Ok(())
}

/// Puts an event about the caller's task into the pipeline. It follows from what was decided last.
pub(super) async fn tell(
    tools: &Tools,
    tx: &mut PgConnection,
    caller: &Caller,
    dedup_key: String,
    what: What,
) -> Result<Wake, CallError> {
    let before = events::last_decided(&mut *tx, caller.task).await?;
    let cause = before.map_or(Cause::Sweep, |(id, cause)| Cause::after(id, &cause));
    let (now, repository) = (tools.clock.now(), caller.repository);
    let (subject, actor) = (Subject::Task(caller.task), Actor::System);
    let event = NewEvent { at: now, repository, subject, actor, cause, dedup_key, what };
    let Some(event) = events::insert(&mut *tx, &event).await? else { return Ok(Wake::none()) };
    let route = NewJob {
        job: Job::Route { event },
        key: None,
        dedup: None,
        priority: 0,
        repository: Some(repository),
        run_at: now,
        shares: Vec::new(),
    };
    Ok(queue::enqueue(tx, &[route]).await?)
}
