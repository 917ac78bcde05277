//! What has to be asked of GitHub before deciding.

use crate::model::{Command, Event, Form, Subject, Task, What};

/// One question to GitHub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fact {
    /// What the event's actor may do, now.
    Permission,
    /// The thread's issue, with the words that agents may get.
    Issue(u64),
    /// A pull request.
    Pull(u64),
    /// The newest commit of the default branch.
    DefaultHead,
}

/// Says what a decision about this event rests on.
#[must_use]
pub fn facts_needed(event: &Event, task: Option<&Task>) -> Vec<Fact> {
    let thread = thread(&event.subject, task);
    let pull = task.and_then(|task| task.pull).or(match event.subject {
        Subject::Pull(number) => Some(number),
        _ => None,
    });
    let mut facts = Vec::new();
    match &event.what {
        What::TaskAssigned { .. } | What::TaskReopened | What::TaskEdited => {
            facts.push(Fact::Permission);
            facts.extend(thread.map(Fact::Issue));
            facts.extend(pull.map(Fact::Pull));
            facts.push(Fact::DefaultHead);
        }
        What::CommandGiven { command, form, .. } => {
            if *form != Form::Operator {
                facts.push(Fact::Permission);
            }
            if spends(command) {
                facts.extend(thread.map(Fact::Issue));
                facts.extend(pull.map(Fact::Pull));
                facts.push(Fact::DefaultHead);
            }
        }
        What::TaskUnassigned => {
            facts.push(Fact::Permission);
            facts.extend(thread.map(Fact::Issue));
        }
        What::TaskClosed => {
            facts.extend(thread.map(Fact::Issue));
            facts.extend(pull.map(Fact::Pull));
        }
        What::PullOpened { .. }
        | What::PullUpdated { .. }
        | What::PullMerged { .. }
        | What::PullClosed
        | What::PullReopened
        | What::BranchDeleted => facts.extend(pull.map(Fact::Pull)),
        What::AgentFinished { .. }
        | What::CommandsFinished { .. }
        | What::PublishRefused { .. } => {
            facts.push(Fact::DefaultHead);
        }
        What::PublishDone { .. }
        | What::PublishHeld { .. }
        | What::StartRefused { .. }
        | What::DeadlinePassed { .. }
        | What::FollowUpNoted { .. }
        | What::AuditWanted { .. }
        | What::PolicyChanged
        | What::RepositoryAdded
        | What::RepositoryRemoved => {}
    }
    facts
}

/// The number of the thread that the event is about.
fn thread(subject: &Subject, task: Option<&Task>) -> Option<u64> {
    match subject {
        Subject::Issue(number) | Subject::Pull(number) => Some(*number),
        Subject::Commit(_)
        | Subject::Check(_)
        | Subject::Branch(_)
        | Subject::Task(_)
        | Subject::Repository => task.map(|task| task.number),
    }
}

/// Whether the command can start an agent, and so needs to know the thread and the code.
fn spends(command: &Command) -> bool {
    match command {
        Command::Plan
        | Command::Approve { .. }
        | Command::Revise { .. }
        | Command::Answer { .. }
        | Command::Fix
        | Command::Review
        | Command::Audit
        | Command::Retry
        | Command::Resume
        | Command::Budget { .. }
        | Command::Provider { .. } => true,
        Command::Reject { .. }
        | Command::FollowUp { .. }
        | Command::Stop { .. }
        | Command::Off
        | Command::On
        | Command::Status
        | Command::Help
        | Command::Unknown { .. } => false,
    }
}
