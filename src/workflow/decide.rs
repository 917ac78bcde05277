//! The one match over everything that can happen.

use crate::model::{CancelledBy, Command, Event, FailKind, Situation, Stop, TaskState, What};

use super::{
    Decision, agents, auditing, commands, deploying, draft::Draft, follow_ups, publishing,
    questions, threads,
};

/// So many events may follow from one another before a person has to look: several times as many as
/// the longest task with all its rounds has.
const MAX_DEPTH: u32 = 100;

/// Decides what an event means. The same situation and event always give the same decision.
#[must_use]
pub fn decide(situation: &Situation, event: &Event) -> Decision {
    if event.cause.depth() > MAX_DEPTH {
        let reason = format!("{MAX_DEPTH} steps followed from one another without a person");
        return give_up(situation, event, &reason);
    }
    let draft = Draft::new(situation, event);
    let over = situation.task.as_ref().is_some_and(|task| task.state.is_final());
    if over && !outlives_its_task(&event.what) {
        return draft.nothing("task_over");
    }
    match &event.what {
        What::TaskAssigned { trigger } => threads::assigned(draft, *trigger),
        What::TaskUnassigned => threads::unassigned(draft),
        What::TaskEdited => threads::edited(draft),
        What::TaskClosed => threads::closed(draft),
        What::TaskReopened => threads::reopened(draft),
        What::CommandGiven { command, form, .. } => commands::given(draft, command, *form),
        What::PullOpened { .. } => draft.nothing("pull_opened"),
        What::PullUpdated { head } => threads::pull_updated(draft, head),
        What::PullMerged { .. } => deploying::merged(draft),
        What::PullClosed => threads::pull_closed(draft),
        What::PullReopened => threads::pull_reopened(draft),
        What::BranchDeleted => threads::branch_deleted(draft),
        What::PolicyChanged => draft.nothing("policy_read"),
        What::RepositoryAdded => draft.nothing("repository_added"),
        What::RepositoryRemoved => threads::repository_removed(draft),
        What::AgentFinished { agent } => agents::finished(draft, *agent),
        What::CommandsFinished { run } => publishing::commands_finished(draft, *run),
        What::PublishDone { pull, head } => publishing::done(draft, *pull, head),
        What::PublishHeld { head } => publishing::held(draft, head),
        What::PublishRefused { refusal } => publishing::refused(draft, refusal),
        What::StartRefused { agent, reason } => agents::start_refused(draft, *agent, reason),
        What::FollowUpNoted { number } => follow_ups::noted(draft, *number),
        What::AuditWanted { wish } => auditing::wanted(draft, wish),
        What::DeadlinePassed { question } => questions::deadline_passed(draft, *question),
    }
}

/// Whether an event is about a task that is over, too.
fn outlives_its_task(what: &What) -> bool {
    matches!(
        what,
        What::AgentFinished { .. }
            | What::CommandsFinished { .. }
            | What::CommandGiven { command: Command::FollowUp { .. }, .. }
    )
}

/// Decides when deciding failed for good: a task that Baton is at work on is parked with the reason.
#[must_use]
pub fn give_up(situation: &Situation, event: &Event, reason: &str) -> Decision {
    let mut draft = Draft::new(situation, event);
    let open = situation.task.as_ref().is_some_and(|task| task.state == TaskState::Open);
    let active = situation.stages.iter().find(|stage| stage.state.is_active());
    let (true, Some(stage)) = (open, active) else { return draft.nothing("given_up") };
    draft.stop_agents(Stop::Interrupt, CancelledBy::Superseded);
    draft.fail(stage.key, FailKind::Setup(reason.to_owned()));
    draft.rule("given_up")
}
