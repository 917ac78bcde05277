//! What people do to issues and pull requests by GitHub's own means: labels, closing, pushing.

use crate::model::{
    CancelledBy, FailKind, Message, NotHere, ParkReason, Permission, PullFacts, ReportKind, Sha,
    StageKey, StageState, Stop, Subject, Task, TaskInput, TaskOrigin, TaskState, Trigger, Until,
    WaitFor,
};

use super::{Decision, Effect, NewTask, draft::Draft, hashes::input_hash};

/// A label asks for work.
pub(super) fn assigned(mut draft: Draft<'_>, trigger: Trigger) -> Decision {
    if draft.s.task.is_some() {
        return draft.nothing("already_assigned");
    }
    if !may(&draft, Permission::Triage) {
        return draft.nothing("label_by_stranger");
    }
    // Webhooks come in any order: what counts is what the thread shows now.
    if trigger == Trigger::Label && is_labelled(&draft) == Some(false) {
        return draft.nothing("label_gone_again");
    }
    if trigger != Trigger::Label
        && let Some(number) = draft.thread()
    {
        let label = format!("{}{}", draft.s.name, trigger.suffix());
        draft.add(Effect::Act(crate::model::Act::Unlabel { number, label }));
    }
    open(draft).unwrap_or_else(|(draft, _)| draft.rule("cannot_begin"))
}

/// Opens the task that the thread is fit for and starts its first agent.
pub(super) fn open(mut draft: Draft<'_>) -> Result<Decision, (Draft<'_>, NotHere)> {
    if !served(&draft) {
        return Err((draft, NotHere::NotServed));
    }
    if draft.s.repository.off {
        return Err((draft, NotHere::Off));
    }
    match draft.event.subject {
        Subject::Pull(number) => open_review(draft, number),
        Subject::Issue(_)
        | Subject::Commit(_)
        | Subject::Check(_)
        | Subject::Branch(_)
        | Subject::Task(_)
        | Subject::Repository => {
            let opened = open_issue(&mut draft, TaskOrigin::Issue);
            match opened {
                Ok(base) => {
                    draft.start(StageKey::Plan, None, Vec::new(), base);
                    Ok(draft.rule("issue_assigned"))
                }
                Err(why) => Err((draft, why)),
            }
        }
    }
}

/// Opens a task on an issue, without starting anything. Gives the commit that work starts from.
pub(super) fn open_issue(draft: &mut Draft<'_>, origin: TaskOrigin) -> Result<Sha, NotHere> {
    if !served(draft) {
        return Err(NotHere::NotServed);
    }
    let (Some(issue), Some(number)) = (&draft.s.facts.issue, draft.thread()) else {
        return Err(NotHere::NoIssue);
    };
    if !issue.open {
        return Err(NotHere::Closed);
    }
    let base = draft.default_head().ok_or(NotHere::NoIssue)?;
    let new = new_task(draft, origin, number, issue.input.clone(), None);
    draft.tell(Effect::Open(new));
    Ok(base)
}

fn open_review(mut draft: Draft<'_>, number: u64) -> Result<Decision, (Draft<'_>, NotHere)> {
    let Some((pull, issue)) = draft.s.facts.pull.as_ref().zip(draft.s.facts.issue.as_ref()) else {
        return Err((draft, NotHere::NoPull));
    };
    if !pull.open {
        return Err((draft, NotHere::Closed));
    }
    if draft.s.policy.until == Until::Plan {
        return Err((draft, NotHere::BeyondPolicy));
    }
    let head = pull.head.clone();
    let new = new_task(
        &draft,
        TaskOrigin::Pull,
        number,
        issue.input.clone(),
        Some((number, head.clone())),
    );
    draft.tell(Effect::Open(new));
    draft.start(StageKey::Review, None, Vec::new(), head.clone());
    draft.add(Effect::Raise(ReportKind::Check(StageKey::Review, head)));
    Ok(draft.rule("pull_assigned"))
}

fn new_task(
    draft: &Draft<'_>,
    origin: TaskOrigin,
    number: u64,
    input: TaskInput,
    pull: Option<(u64, Sha)>,
) -> NewTask {
    let requested_by = draft.event.actor.account().cloned();
    NewTask { origin, number, input_hash: input_hash(&input), input, requested_by, pull }
}

fn served(draft: &Draft<'_>) -> bool {
    let owner = draft.s.repository.name.owner();
    draft.s.server.limits.accounts.iter().any(|account| account.eq_ignore_ascii_case(owner))
}

/// Whether the event's actor may do what takes this permission. A bot may only where policy names it.
pub(super) fn may(draft: &Draft<'_>, needed: Permission) -> bool {
    use crate::model::Actor;
    match &draft.event.actor {
        Actor::Operator | Actor::System => true,
        Actor::Own => false,
        Actor::Bot(bot) if !draft.s.policy.bots.contains(&bot.id) => false,
        Actor::Person(_) | Actor::Bot(_) => {
            draft.s.facts.permission.is_some_and(|has| has >= needed)
        }
    }
}

/// Whether the thread has the label that asks for work; unknown where the thread is.
fn is_labelled(draft: &Draft<'_>) -> Option<bool> {
    draft.s.facts.issue.as_ref().map(|issue| issue.labels.contains(&draft.s.name))
}

/// The label was taken off: the task ends.
pub(super) fn unassigned(mut draft: Draft<'_>) -> Decision {
    if draft.s.task.is_none() {
        return draft.nothing("not_assigned");
    }
    if !may(&draft, Permission::Triage) {
        return draft.nothing("unlabel_by_stranger");
    }
    if is_labelled(&draft) == Some(true) {
        return draft.nothing("label_back_on");
    }
    cancel(&mut draft);
    draft.rule("label_removed")
}

/// The text was changed after agents got it.
pub(super) fn edited(mut draft: Draft<'_>) -> Decision {
    let (Some(task), Some(issue)) = (&draft.s.task, &draft.s.facts.issue) else {
        return draft.nothing("not_assigned");
    };
    if !may(&draft, Permission::Triage) {
        return draft.nothing("edit_by_stranger");
    }
    let hash = input_hash(&issue.input);
    let waits = matches!(task.state, TaskState::Waiting(WaitFor::PlanApproval(_)));
    if hash == task.input_hash || !waits {
        return draft.nothing("edit_without_effect");
    }
    let Some(base) = draft.default_head() else { return draft.nothing("edit_without_effect") };
    let mut input = issue.input.clone();
    input.outsiders.extend(task.input.outsiders.clone());
    input.outsiders.sort();
    input.outsiders.dedup();
    draft.tell(Effect::Input { input, hash });
    draft.note_outsider();
    draft.start(StageKey::Plan, None, Vec::new(), base);
    raise_asking(&mut draft);
    draft.rule("issue_edited")
}

/// The issue was closed: the task ends, unless the closing came with the merge.
pub(super) fn closed(mut draft: Draft<'_>) -> Decision {
    let Some(task) = &draft.s.task else { return draft.nothing("not_assigned") };
    let merged = task.merged.is_some()
        || draft.s.facts.pull.as_ref().is_some_and(|pull| pull.merged.is_some());
    if merged {
        return draft.nothing("closed_by_merge");
    }
    if draft.s.facts.issue.as_ref().is_some_and(|issue| issue.open) {
        return draft.nothing("open_again");
    }
    cancel(&mut draft);
    draft.rule("issue_closed")
}

/// Ends the task by the will of a person: agents end, work is kept.
pub(super) fn cancel(draft: &mut Draft<'_>) {
    let by = by_actor(draft);
    draft.stop_agents(Stop::Interrupt, by.clone());
    settle_stages(draft);
    raise_asking(draft);
    draft.task(TaskState::Cancelled { by });
}

/// Who did it, for the record.
pub(super) fn by_actor(draft: &Draft<'_>) -> CancelledBy {
    match draft.event.actor.account() {
        Some(person) => CancelledBy::Person(person.id),
        None => CancelledBy::Operator,
    }
}

/// Stages that were at work or waiting are over.
pub(super) fn settle_stages(draft: &mut Draft<'_>) {
    for stage in &draft.s.stages {
        if stage.state.is_active() || matches!(stage.state, StageState::Waiting(_)) {
            draft.stage(stage.key, StageState::Cancelled);
        }
    }
}

/// The newest asking comment may have to be folded away.
pub(super) fn raise_asking(draft: &mut Draft<'_>) {
    if let Some(plan) = draft.s.plan() {
        draft.add(Effect::Raise(ReportKind::Asking(plan.number)));
    }
}

/// An issue was opened again: where the label is still on it, work begins anew.
pub(super) fn reopened(draft: Draft<'_>) -> Decision {
    if draft.s.task.is_some()
        || is_labelled(&draft) != Some(true)
        || !may(&draft, Permission::Triage)
    {
        return draft.nothing("reopened_without_effect");
    }
    open(draft).unwrap_or_else(|(draft, _)| draft.rule("cannot_begin"))
}

/// Somebody pushed to the task's pull request.
pub(super) fn pull_updated(mut draft: Draft<'_>, head: &Sha) -> Decision {
    let Some(task) = &draft.s.task else { return draft.nothing("not_assigned") };
    let ours = draft.s.is_made_here(head);
    let stale = draft.s.facts.pull.as_ref().is_some_and(|pull| &pull.head != head);
    if ours || stale || task.head.as_ref() == Some(head) {
        return draft.nothing("own_or_old_push");
    }
    if task.merged.is_some() || task.origin != TaskOrigin::Issue {
        return draft.nothing("push_by_person");
    }
    let Some(pull) = task.pull else { return draft.nothing("push_by_person") };
    draft.tell(Effect::Pull { number: pull, head: head.clone() });
    let reviewing = draft.s.stage(StageKey::Review).is_some_and(|stage| stage.round > 0);
    if reviewing && !matches!(task.state, TaskState::Parked(_)) {
        if let Some(stage) = draft.s.stage(StageKey::Code)
            && matches!(stage.state, StageState::Waiting(_))
        {
            // What waited was not made on top of this.
            draft.stage(StageKey::Code, StageState::Cancelled);
        }
        draft.stop_agents(Stop::Interrupt, CancelledBy::Superseded);
        draft.start(StageKey::Review, None, Vec::new(), head.clone());
        draft.add(Effect::Raise(ReportKind::Check(StageKey::Review, head.clone())));
    }
    draft.rule("person_pushed")
}

/// Whether the pull request is what the event says, by what GitHub shows now.
fn pull_is(draft: &Draft<'_>, test: impl Fn(&PullFacts) -> bool) -> bool {
    draft.s.facts.pull.as_ref().is_some_and(test)
}

/// The pull request was closed unmerged: the task is parked.
pub(super) fn pull_closed(mut draft: Draft<'_>) -> Decision {
    let Some(task) = &draft.s.task else { return draft.nothing("not_assigned") };
    if task.merged.is_some() || pull_is(&draft, |pull| pull.open || pull.merged.is_some()) {
        return draft.nothing("not_closed");
    }
    // Whoever looks again sees it closed again: it has been said.
    if matches!(task.state, TaskState::Parked(ParkReason::PullClosed | ParkReason::BranchDeleted)) {
        return draft.nothing("closed_already");
    }
    if task.origin == TaskOrigin::Pull {
        cancel(&mut draft);
        return draft.rule("persons_pull_closed");
    }
    settle_stages(&mut draft);
    draft.park(ParkReason::PullClosed);
    draft.rule("pull_closed")
}

/// The pull request was opened again: back to where it was.
pub(super) fn pull_reopened(mut draft: Draft<'_>) -> Decision {
    let Some(task) = &draft.s.task else { return draft.nothing("not_assigned") };
    let parked =
        matches!(task.state, TaskState::Parked(ParkReason::PullClosed | ParkReason::BranchDeleted));
    if !parked || pull_is(&draft, |pull| !pull.open) {
        return draft.nothing("reopened_without_effect");
    }
    continue_work(&mut draft, task);
    draft.rule("pull_reopened")
}

/// The branch is gone, and with it the pull request.
pub(super) fn branch_deleted(mut draft: Draft<'_>) -> Decision {
    let Some(task) = &draft.s.task else { return draft.nothing("not_assigned") };
    if draft.s.policy.fork().is_some() {
        // The task's branch is in its fork; its pull request closes when that is deleted.
        return draft.nothing("branch_of_another");
    }
    if task.merged.is_some()
        || pull_is(&draft, |pull| pull.merged.is_some() || pull.branch.is_some())
    {
        return draft.nothing("branch_not_needed");
    }
    if matches!(task.state, TaskState::Parked(ParkReason::PullClosed | ParkReason::BranchDeleted)) {
        return draft.nothing("deleted_already");
    }
    settle_stages(&mut draft);
    draft.park(ParkReason::BranchDeleted);
    draft.rule("branch_deleted")
}

/// The App was taken off the repository: nothing can be said there any more.
pub(super) fn repository_removed(mut draft: Draft<'_>) -> Decision {
    if draft.s.task.is_none() {
        return draft.nothing("repository_removed");
    }
    settle_stages(&mut draft);
    draft.park(ParkReason::Off);
    draft.rule("repository_removed")
}

/// Goes on with the first stage that is not through.
pub(super) fn continue_work(draft: &mut Draft<'_>, task: &Task) {
    if task.origin == TaskOrigin::Audit {
        return continue_audit(draft);
    }
    let unfinished =
        draft.s.stages.iter().find(|stage| {
            stage.key != StageKey::Audit && !matches!(stage.state, StageState::Passed)
        });
    let key = unfinished.map(|stage| stage.key);
    let agent = key.and_then(|key| draft.s.last_agent(key));
    if super::questions::taken_up(draft, agent) {
        return;
    }
    match key {
        Some(StageKey::Plan) => continue_plan(draft),
        Some(StageKey::Code) => {
            if !super::publishing::taken_up(draft, task) {
                continue_code(draft, task);
            }
        }
        Some(StageKey::Review) => match &task.head {
            Some(head) => draft.start(StageKey::Review, None, Vec::new(), head.clone()),
            None => continue_code(draft, task),
        },
        Some(key @ (StageKey::Deploy | StageKey::Verify)) => {
            super::deploying::again(draft, task, key);
        }
        Some(StageKey::Audit) | None => match (&task.head, &task.merged) {
            (Some(head), None) => draft.task(TaskState::Waiting(WaitFor::Merge(head.clone()))),
            _ => draft.task(TaskState::Done),
        },
    }
}

/// Looks over the repository again, from its newest commit.
fn continue_audit(draft: &mut Draft<'_>) {
    let Some(base) = draft.default_head() else {
        let kind = FailKind::Setup("the default branch has no commit".into());
        return draft.fail(StageKey::Audit, kind);
    };
    draft.start(StageKey::Audit, None, Vec::new(), base);
}

/// Asks again where a plan of these words waits for nothing but a person; else plans.
fn continue_plan(draft: &mut Draft<'_>) {
    let words = draft.s.task.as_ref().map(|task| &task.input_hash);
    let asked = draft.s.plan().filter(|plan| {
        Some(&plan.input_hash) == words
            && draft.s.last_agent(StageKey::Plan).is_some_and(|agent| agent.outcome.is_some())
    });
    if let Some(plan) = asked {
        let wait = WaitFor::PlanApproval(plan.hash.clone());
        draft.stage(StageKey::Plan, StageState::Waiting(wait.clone()));
        draft.task(TaskState::Waiting(wait));
        raise_asking(draft);
        return;
    }
    let Some(base) = draft.default_head() else {
        return draft
            .fail(StageKey::Plan, FailKind::Setup("the default branch has no commit".into()));
    };
    let resumes = draft.s.last_agent(StageKey::Plan).map(|agent| agent.id);
    let messages = resumes.map(|_| Message::GoOn).into_iter().collect();
    draft.start(StageKey::Plan, resumes, messages, base);
}

/// Goes on in the session of whoever was at the change, from what it left.
pub(super) fn continue_code(draft: &mut Draft<'_>, task: &Task) {
    let Some(base) = draft.code_base(task) else {
        return draft
            .fail(StageKey::Code, FailKind::Setup("the default branch has no commit".into()));
    };
    let last = super::subtasks::last_of(draft.s, super::subtasks::next(draft.s));
    let mut messages: Vec<Message> = last.map(|_| Message::GoOn).into_iter().collect();
    if let TaskState::Parked(ParkReason::Refused(refusal)) = &task.state {
        messages.push(Message::Refused { refusal: refusal.clone() });
    }
    let open = super::findings::open_numbers(draft.s);
    if !open.is_empty() {
        messages.push(Message::Findings { numbers: open });
    }
    super::subtasks::go_on(draft, messages, base);
}
