//! An event finds its tasks.

use super::{Failure, Parts};
use crate::{
    db::{
        events, follow_ups,
        task_refs::{self, RefKind},
        tasks,
    },
    model::{Command, Event, EventId, Job, NewJob, Subject, TaskId, Timestamp, What},
    queue::{self, Claimed},
};

/// Hands the event to every open task that it concerns; or to the thread's task to be.
pub(super) async fn event(parts: &Parts, claimed: &Claimed, id: EventId) -> Result<(), Failure> {
    let event = events::load(&parts.pool, id).await?;
    let tasks = concerned(parts, &event).await?;
    let now = parts.clock.now();
    let mut jobs: Vec<NewJob> = tasks.iter().map(|task| decide(&event, Some(*task), now)).collect();
    if jobs.is_empty() && may_begin(&event.what) {
        jobs.push(decide(&event, None, now));
    }
    let mut tx = parts.pool.begin().await?;
    let wake = queue::enqueue(&mut tx, &jobs).await?;
    queue::finish(&mut tx, claimed, now).await?;
    tx.commit().await?;
    wake.release(&parts.wakes);
    Ok(())
}

async fn concerned(parts: &Parts, event: &Event) -> Result<Vec<TaskId>, Failure> {
    let repository = event.repository;
    if let Some(task) = noticed_in(parts, event).await? {
        return Ok(vec![task]);
    }
    let found = match &event.subject {
        Subject::Task(task) => vec![*task],
        Subject::Issue(number) => {
            task_refs::find(&parts.pool, repository, RefKind::Issue, &number.to_string()).await?
        }
        Subject::Pull(number) => {
            task_refs::find(&parts.pool, repository, RefKind::Pull, &number.to_string()).await?
        }
        Subject::Branch(branch) => {
            task_refs::find(&parts.pool, repository, RefKind::Branch, branch.as_str()).await?
        }
        Subject::Commit(sha) => {
            task_refs::find(&parts.pool, repository, RefKind::Sha, sha.as_str()).await?
        }
        Subject::Check(check) => {
            task_refs::find(&parts.pool, repository, RefKind::Check, &check.to_string()).await?
        }
        Subject::Repository if event.what == What::RepositoryRemoved => {
            tasks::list_open_of(&parts.pool, repository).await?
        }
        Subject::Repository => Vec::new(),
    };
    Ok(found)
}

/// The task, over or not, that noticed the follow-up which a command is about.
async fn noticed_in(parts: &Parts, event: &Event) -> Result<Option<TaskId>, Failure> {
    let What::CommandGiven { command: Command::FollowUp { number }, .. } = &event.what else {
        return Ok(None);
    };
    let (kind, thread) = match event.subject {
        Subject::Issue(thread) => (RefKind::Issue, thread),
        Subject::Pull(thread) => (RefKind::Pull, thread),
        Subject::Commit(_)
        | Subject::Check(_)
        | Subject::Branch(_)
        | Subject::Task(_)
        | Subject::Repository => return Ok(None),
    };
    Ok(follow_ups::task_of(&parts.pool, event.repository, kind, thread, *number).await?)
}

/// The job that decides an event. Jobs of one task, or of one thread without a task, run in order.
pub(super) fn decide(event: &Event, task: Option<TaskId>, now: Timestamp) -> NewJob {
    let key = match (task, &event.subject) {
        (Some(task), _) => format!("task:{task}"),
        (None, Subject::Issue(number) | Subject::Pull(number)) => {
            format!("thread:{}:{number}", event.repository)
        }
        (None, _) => format!("repository:{}", event.repository),
    };
    // A stop overtakes what waits.
    let priority = match &event.what {
        What::CommandGiven { .. } | What::TaskUnassigned => -10,
        _ => 0,
    };
    NewJob {
        job: Job::Decide { event: event.id, task },
        key: Some(key),
        dedup: None,
        priority,
        repository: Some(event.repository),
        shares: Vec::new(),
        run_at: now,
    }
}

/// Whether an event without a task deserves a decision at all. Most of what happens in a busy
/// repository ends here, without a question to GitHub.
fn may_begin(what: &What) -> bool {
    match what {
        What::TaskAssigned { .. }
        | What::TaskReopened
        | What::CommandGiven { .. }
        | What::PolicyChanged
        | What::RepositoryAdded => true,
        What::TaskUnassigned
        | What::TaskEdited
        | What::TaskClosed
        | What::PullOpened { .. }
        | What::PullUpdated { .. }
        | What::PullMerged { .. }
        | What::PullClosed
        | What::PullReopened
        | What::BranchDeleted
        | What::RepositoryRemoved
        | What::AgentFinished { .. }
        | What::CommandsFinished { .. }
        | What::PublishDone { .. }
        | What::PublishHeld { .. }
        | What::PublishRefused { .. }
        | What::StartRefused { .. }
        | What::FollowUpNoted { .. }
        | What::AuditWanted { .. }
        | What::DeadlinePassed { .. } => false,
    }
}
