//! What people tell Baton to do.

use crate::model::{
    AgentId, AgentState, Approval, Approved, Command, Form, Message, Micros, NotHere, ParkReason,
    Permission, Plan, Reaction, Reply, Sha, StageKey, StageState, Stop, Subject, Task, TaskOrigin,
    TaskState, Until, Untrusted, WaitFor,
};

use super::{
    Decision, Effect, agents,
    deploying::{busy, unpark},
    draft::Draft,
    findings, follow_ups, publishing, questions, subtasks,
    threads::{by_actor, cancel, may, open, open_issue, raise_asking, settle_stages},
};

/// Somebody gave a command.
pub(super) fn given(mut draft: Draft<'_>, command: &Command, form: Form) -> Decision {
    let word = command.word().to_owned();
    let needs = needed(command);
    if !may(&draft, needs) {
        return not_allowed(draft, word, needs);
    }
    if form == Form::Edited && (needs > Permission::Triage || costs(command)) {
        draft.react(Reaction::Confused);
        draft.reply(Reply::Edited { command: word });
        return draft.rule("edited_comment");
    }
    match command {
        Command::Plan => plan(draft),
        Command::Approve { hash } => approve(draft, hash.as_deref()),
        Command::Revise { text } => revise(draft, text),
        Command::Reject { .. } => reject(draft),
        Command::Answer { number, text } => questions::answer(draft, *number, text),
        Command::FollowUp { number } => follow_ups::taken(draft, *number),
        Command::Fix => fix(draft),
        Command::Review => review(draft),
        Command::Audit => audit(draft),
        Command::Retry => resume(draft, "retry"),
        Command::Resume => resume(draft, "resume"),
        Command::Stop { now } => stop(draft, *now),
        Command::Budget { add } => raise_budget(draft, *add),
        Command::Provider { provider } => change_provider(draft, provider.as_deref()),
        Command::Off => switch(draft, true),
        Command::On => switch(draft, false),
        Command::Status => answer(draft, Reply::Status, "status"),
        Command::Help => answer(draft, Reply::Help, "help"),
        Command::Unknown { word, near } => {
            draft.react(Reaction::Confused);
            draft.reply(Reply::Unknown { word: word.clone(), near: near.clone() });
            draft.rule("unknown_command")
        }
    }
}

/// What it takes to give a command.
fn needed(command: &Command) -> Permission {
    match command {
        Command::Off | Command::On => Permission::Maintain,
        Command::Approve { .. }
        | Command::Reject { .. }
        | Command::Answer { .. }
        | Command::FollowUp { .. }
        | Command::Fix
        | Command::Retry
        | Command::Resume
        | Command::Budget { .. }
        | Command::Provider { .. } => Permission::Write,
        Command::Plan
        | Command::Revise { .. }
        | Command::Review
        | Command::Audit
        | Command::Stop { .. }
        | Command::Status
        | Command::Help
        | Command::Unknown { .. } => Permission::Triage,
    }
}

fn costs(command: &Command) -> bool {
    matches!(command, Command::Plan | Command::Revise { .. } | Command::Review | Command::Audit)
}

/// Silence for strangers where Baton is not at work; else 😕, and a line for those who have a say.
fn not_allowed(mut draft: Draft<'_>, command: String, needs: Permission) -> Decision {
    let own = matches!(draft.event.actor, crate::model::Actor::Own | crate::model::Actor::Bot(_));
    if own || (draft.s.task.is_none() && !may(&draft, Permission::Triage)) {
        return draft.nothing("command_by_stranger");
    }
    draft.react(Reaction::Confused);
    draft.reply(Reply::NotAllowed { command, needs });
    draft.rule("command_not_allowed")
}

fn answer(mut draft: Draft<'_>, reply: Reply, rule: &str) -> Decision {
    draft.react(Reaction::Eyes);
    draft.reply(reply);
    draft.rule(rule)
}

fn plan(mut draft: Draft<'_>) -> Decision {
    if matches!(draft.event.subject, Subject::Pull(_)) {
        return draft.decline("plan", NotHere::NoIssue);
    }
    let Some(task) = &draft.s.task else {
        return begin(draft, "plan");
    };
    let waits = matches!(task.state, TaskState::Waiting(WaitFor::PlanApproval(_)));
    if let Some(why) = unanswered(&draft) {
        return draft.decline("plan", why);
    }
    let Some(base) = draft.default_head() else { return draft.decline("plan", NotHere::Busy) };
    if !waits {
        return draft.decline("plan", NotHere::Busy);
    }
    draft.react(Reaction::Eyes);
    draft.start(StageKey::Plan, None, Vec::new(), base);
    raise_asking(&mut draft);
    draft.rule("plan_again")
}

/// Opens a task for a command on a thread that has none.
fn begin(mut draft: Draft<'_>, command: &str) -> Decision {
    draft.react(Reaction::Eyes);
    match open(draft) {
        Ok(decision) => decision,
        Err((declined, why)) => Draft::new(declined.s, declined.event).decline(command, why),
    }
}

/// The plan that waits, when a command about it makes sense.
fn waiting_plan<'a>(draft: &Draft<'a>) -> Result<(&'a Task, &'a Plan), NotHere> {
    let task = draft.s.task.as_ref().ok_or(NotHere::NoTask)?;
    let TaskState::Waiting(WaitFor::PlanApproval(hash)) = &task.state else {
        return Err(if task.state.is_final() { NotHere::Over } else { NotHere::NoPlan });
    };
    let plan = draft.s.plan().filter(|plan| plan.hash == *hash).ok_or(NotHere::NoPlan)?;
    Ok((task, plan))
}

/// The commit that waits to be let out.
fn waiting_push<'a>(draft: &Draft<'a>) -> Option<(&'a Task, &'a Sha)> {
    let task = draft.s.task.as_ref()?;
    match &task.state {
        TaskState::Waiting(WaitFor::PushApproval(head)) => Some((task, head)),
        TaskState::Waiting(WaitFor::PlanApproval(_) | WaitFor::Answer(_) | WaitFor::Merge(_))
        | TaskState::Open
        | TaskState::Parked(_)
        | TaskState::Done
        | TaskState::Cancelled { .. } => None,
    }
}

fn approve(mut draft: Draft<'_>, hash: Option<&str>) -> Decision {
    if let Some((task, head)) = waiting_push(&draft) {
        return publishing::approved(draft, task, head, hash);
    }
    let (task, plan) = match waiting_plan(&draft) {
        Ok(found) => found,
        Err(why) => return draft.decline("approve", why),
    };
    let same = hash.is_none_or(|hash| plan.hash.as_str().starts_with(&hash.to_lowercase()));
    if !same || plan.input_hash != task.input_hash {
        let current = plan.hash.short().to_owned();
        return draft.decline("approve", NotHere::OtherPlan { current });
    }
    let Some(actor) = draft.event.actor.account().cloned() else {
        return draft.decline("approve", NotHere::NoPlan);
    };
    let permission = draft.s.facts.permission.unwrap_or(Permission::None);
    let of = Approved::Plan(plan.hash.clone());
    let approval = Approval { of, actor, permission, at: draft.event.at };
    draft.react(Reaction::Eyes);
    draft.tell(Effect::Approve(approval));
    draft.stage(StageKey::Plan, StageState::Passed);
    raise_asking(&mut draft);
    agents::begin_code(&mut draft, task);
    draft.rule("plan_approved")
}

/// Other words: into the live session, or a new plan, or another round of work.
fn revise(mut draft: Draft<'_>, text: &str) -> Decision {
    let Some(task) = &draft.s.task else { return draft.decline("revise", NotHere::NoTask) };
    let by =
        draft.event.actor.account().map_or_else(String::new, |person| person.login.to_string());
    let message = Message::Revise { text: Untrusted(text.to_owned()), by };
    if let Some(agent) = running(&draft) {
        draft.react(Reaction::Eyes);
        draft.note_outsider();
        draft.tell(Effect::FollowUp { agent, message });
        return draft.rule("follow_up");
    }
    let planning = matches!(task.state, TaskState::Waiting(WaitFor::PlanApproval(_)));
    // Words for a plan are cheap; words that set the coder to work take what approving takes.
    if !planning && !may(&draft, Permission::Write) {
        return not_allowed(draft, "revise".to_owned(), Permission::Write);
    }
    match &task.state {
        TaskState::Waiting(WaitFor::PlanApproval(_)) => replan(draft, message),
        TaskState::Waiting(WaitFor::PushApproval(head)) => {
            draft.react(Reaction::Eyes);
            subtasks::go_on(&mut draft, vec![message], head.clone());
            draft.rule("revise_held_change")
        }
        TaskState::Waiting(WaitFor::Merge(head)) => {
            draft.react(Reaction::Eyes);
            draft.tell(Effect::Rounds { rounds: task.rounds + 1 });
            subtasks::go_on(&mut draft, vec![message], head.clone());
            draft.rule("revise_change")
        }
        TaskState::Waiting(WaitFor::Answer(_)) => {
            let why = unanswered(&draft).unwrap_or(NotHere::Busy);
            draft.decline("revise", why)
        }
        TaskState::Parked(_) => revise_parked(draft, task, message),
        TaskState::Done | TaskState::Cancelled { .. } => draft.decline("revise", NotHere::Over),
        TaskState::Open => draft.decline("revise", NotHere::Busy),
    }
}

/// A question that waits is answered before anything else begins.
fn unanswered(draft: &Draft<'_>) -> Option<NotHere> {
    draft.s.waiting_question().map(|question| NotHere::Unanswered { question: question.number })
}

/// Goes on with a parked task, with these words: in the code where there is any, else in the plan.
fn revise_parked(mut draft: Draft<'_>, task: &Task, message: Message) -> Decision {
    if task.merged.is_some() {
        return draft.decline("revise", NotHere::NothingToFix);
    }
    if draft.s.last_agent(StageKey::Code).is_none() {
        return replan(draft, message);
    }
    let Some(base) = draft.code_base(task) else {
        return draft.decline("revise", NotHere::NoIssue);
    };
    draft.react(Reaction::Eyes);
    subtasks::go_on(&mut draft, vec![message], base);
    draft.rule("revise_parked")
}

fn replan(mut draft: Draft<'_>, message: Message) -> Decision {
    let resumes = draft.s.last_agent(StageKey::Plan).map(|agent| agent.id);
    let Some(base) = draft.default_head() else { return draft.decline("revise", NotHere::NoPlan) };
    draft.react(Reaction::Eyes);
    draft.note_outsider();
    draft.start(StageKey::Plan, resumes, vec![message], base);
    raise_asking(&mut draft);
    draft.rule("revise_plan")
}

/// The agent that can be told something right now.
fn running(draft: &Draft<'_>) -> Option<AgentId> {
    draft.s.stages.iter().find_map(|stage| match stage.state {
        StageState::Running(id) => draft
            .s
            .agent(id)
            .filter(|agent| !matches!(agent.state, AgentState::Ended(_)))
            .map(|agent| agent.id),
        _ => None,
    })
}

fn reject(mut draft: Draft<'_>) -> Decision {
    if waiting_push(&draft).is_some() {
        draft.react(Reaction::Rocket);
        cancel(&mut draft);
        return draft.rule("push_rejected");
    }
    if let Err(why) = waiting_plan(&draft) {
        return draft.decline("reject", why);
    }
    draft.react(Reaction::Rocket);
    cancel(&mut draft);
    draft.rule("plan_rejected")
}

fn fix(mut draft: Draft<'_>) -> Decision {
    let Some(task) = &draft.s.task else { return draft.decline("fix", NotHere::NoTask) };
    let open = findings::open_numbers(draft.s);
    let all: Vec<u32> = draft.s.findings.iter().map(|finding| finding.number).collect();
    let (Some(head), TaskOrigin::Issue) = (&task.head, task.origin) else {
        return draft.decline("fix", NotHere::NothingToFix);
    };
    if let Some(why) = unanswered(&draft) {
        return draft.decline("fix", why);
    }
    if busy(&draft) {
        return draft.decline("fix", NotHere::Busy);
    }
    let numbers = if open.is_empty() { all } else { open };
    if numbers.is_empty() || task.merged.is_some() {
        return draft.decline("fix", NotHere::NothingToFix);
    }
    draft.react(Reaction::Eyes);
    draft.tell(Effect::Rounds { rounds: task.rounds + 1 });
    subtasks::go_on(&mut draft, vec![Message::Findings { numbers }], head.clone());
    draft.rule("fix")
}

fn review(mut draft: Draft<'_>) -> Decision {
    let Some(task) = &draft.s.task else {
        if matches!(draft.event.subject, Subject::Pull(_)) {
            return begin(draft, "review");
        }
        return draft.decline("review", NotHere::NoPull);
    };
    if let Some(why) = unanswered(&draft) {
        return draft.decline("review", why);
    }
    if busy(&draft) {
        return draft.decline("review", NotHere::Busy);
    }
    let Some(head) =
        draft.s.facts.pull.as_ref().map(|pull| pull.head.clone()).or_else(|| task.head.clone())
    else {
        return draft.decline("review", NotHere::NoPull);
    };
    if task.merged.is_some() || task.state.is_final() {
        return draft.decline("review", NotHere::Over);
    }
    draft.react(Reaction::Eyes);
    draft.start(StageKey::Review, None, Vec::new(), head);
    draft.rule("review_again")
}

fn audit(mut draft: Draft<'_>) -> Decision {
    if draft.s.repository.off {
        return draft.decline("audit", NotHere::Off);
    }
    if draft.s.policy.until == Until::Plan {
        return draft.decline("audit", NotHere::BeyondPolicy);
    }
    let Some(base) = draft.default_head() else { return draft.decline("audit", NotHere::NoIssue) };
    let at_it = draft.s.stage(StageKey::Audit).is_some_and(|stage| stage.state.is_active());
    if at_it {
        return draft.decline("audit", NotHere::Busy);
    }
    if draft.s.task.is_none()
        && let Err(why) = open_issue(&mut draft, TaskOrigin::Audit)
    {
        return Draft::new(draft.s, draft.event).decline("audit", why);
    }
    if draft.obstacle().is_some() {
        draft.start(StageKey::Audit, None, Vec::new(), base);
        return draft.rule("audit_cannot_start");
    }
    draft.react(Reaction::Eyes);
    draft.start_unchecked(StageKey::Audit, None, Vec::new(), base);
    draft.rule("audit")
}

fn resume(mut draft: Draft<'_>, word: &str) -> Decision {
    let Some(task) = &draft.s.task else { return draft.decline(word, NotHere::NoTask) };
    match &task.state {
        TaskState::Parked(reason) => {
            draft.react(Reaction::Eyes);
            unpark(&mut draft, task, reason);
            draft.rule("resumed")
        }
        TaskState::Done | TaskState::Cancelled { .. } => draft.decline(word, NotHere::Over),
        TaskState::Open | TaskState::Waiting(_) => {
            if let Some(agent) = waits_for_its_time(&draft) {
                draft.react(Reaction::Eyes);
                draft.tell(Effect::StartNow { agent });
                return draft.rule("restarted_now");
            }
            let why = unanswered(&draft).unwrap_or(NotHere::NothingToResume);
            draft.decline(word, why)
        }
    }
}

/// The agent that starts by itself later, as one before it went wrong.
fn waits_for_its_time(draft: &Draft<'_>) -> Option<AgentId> {
    let later = |agent: &&crate::model::Agent| {
        agent.state == AgentState::Queued && agent.not_before.is_some_and(|at| at > draft.s.now)
    };
    draft.s.agents.iter().rev().find(later).map(|agent| agent.id)
}

/// More money for this task, within what the server allows; it goes on where it had too little.
fn raise_budget(mut draft: Draft<'_>, add: Option<Micros>) -> Decision {
    let Some(task) = &draft.s.task else { return draft.decline("budget", NotHere::NoTask) };
    let Some(add) = add else { return draft.decline("budget", NotHere::NoAmount) };
    if task.state.is_final() {
        return draft.decline("budget", NotHere::Over);
    }
    let limit = draft.s.server.limits.task;
    let budget = task.budget + add;
    if budget > limit {
        return draft.decline("budget", NotHere::OverLimit { limit });
    }
    draft.raise_budget(budget);
    match &task.state {
        TaskState::Parked(reason @ ParkReason::Budget) => {
            draft.react(Reaction::Eyes);
            unpark(&mut draft, task, reason);
            draft.rule("budget_raised_and_resumed")
        }
        TaskState::Parked(_)
        | TaskState::Open
        | TaskState::Waiting(_)
        | TaskState::Done
        | TaskState::Cancelled { .. } => {
            draft.react(Reaction::Rocket);
            draft.rule("budget_raised")
        }
    }
}

/// Another provider for this task's agents from the next one on; where the one before gave no more, that
/// one starts now.
fn change_provider(mut draft: Draft<'_>, name: Option<&str>) -> Decision {
    let Some(task) = &draft.s.task else { return draft.decline("provider", NotHere::NoTask) };
    if task.state.is_final() {
        return draft.decline("provider", NotHere::Over);
    }
    let have = &draft.s.server.providers;
    let Some(provider) = have.iter().find(|provider| Some(provider.as_str()) == name) else {
        return draft.decline("provider", NotHere::NoSuchProvider { have: have.clone() });
    };
    draft.add(Effect::Provider { provider: provider.clone() });
    match &task.state {
        TaskState::Parked(reason @ ParkReason::Quota { .. }) => {
            draft.react(Reaction::Eyes);
            unpark(&mut draft, task, reason);
            draft.rule("provider_changed_and_resumed")
        }
        TaskState::Parked(_)
        | TaskState::Open
        | TaskState::Waiting(_)
        | TaskState::Done
        | TaskState::Cancelled { .. } => {
            draft.react(Reaction::Rocket);
            draft.rule("provider_changed")
        }
    }
}

fn stop(mut draft: Draft<'_>, now: bool) -> Decision {
    let Some(task) = &draft.s.task else { return draft.decline("stop", NotHere::NoTask) };
    if task.state.is_final() {
        return draft.decline("stop", NotHere::Over);
    }
    let by = by_actor(&draft);
    draft.react(Reaction::Rocket);
    let how = if now { Stop::Kill } else { Stop::Interrupt };
    draft.stop_agents(how, by.clone());
    settle_stages(&mut draft);
    draft.task(TaskState::Parked(ParkReason::Stopped(by)));
    draft.rule("stopped")
}

fn switch(mut draft: Draft<'_>, off: bool) -> Decision {
    draft.react(Reaction::Rocket);
    draft.add(Effect::Switch { off });
    draft.reply(if off { Reply::SwitchedOff } else { Reply::SwitchedOn });
    draft.rule(if off { "switched_off" } else { "switched_on" })
}
