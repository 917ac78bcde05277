//! What the end of an agent means.

use crate::model::{
    Act, Agent, AgentId, AgentState, CancelledBy, End, FailKind, FindingState, Message, Outcome,
    ParkReason, Plan, PlanOutcome, Reply, ReportKind, ReviewOutcome, RunKind, StageKey, StageState,
    Task, TaskOrigin, TaskState, Until, Verdict, WaitFor,
};

use super::{
    Decision, Effect, deploying,
    draft::Draft,
    findings, follow_ups,
    hashes::plan_hash,
    publishing, questions,
    restarts::{mishaps_in_a_row, worth_another},
    subtasks, threads,
};

/// An agent ended.
pub(super) fn finished(draft: Draft<'_>, id: AgentId) -> Decision {
    let situation = draft.s;
    follow_ups::offer(ended(draft, id), situation, id)
}

/// What its end means for its stage and task.
fn ended(draft: Draft<'_>, id: AgentId) -> Decision {
    let (Some(task), Some(agent)) = (&draft.s.task, draft.s.agent(id)) else {
        return draft.nothing("unknown_agent");
    };
    let AgentState::Ended(end) = &agent.state else { return draft.nothing("agent_not_ended") };
    let current =
        draft.s.stage(agent.stage).is_some_and(|stage| stage.state == StageState::Running(id));
    if !current || task.state.is_final() && agent.stage != StageKey::Audit {
        return superseded(draft, agent);
    }
    match end {
        End::Succeeded => succeeded(draft, task, agent),
        End::Asked(question) => questions::asked(draft, agent, *question),
        End::OutOfQuota { until } => {
            let until = *until;
            blocked(draft, agent.stage, ParkReason::Quota { until }, "out_of_quota")
        }
        End::OutOfBudget => blocked(draft, agent.stage, ParkReason::Budget, "out_of_budget"),
        End::Cancelled(by) => cancelled(draft, agent, by),
        end if worth_another(&draft.s.agents, agent.stage, end, &draft.s.policy) => {
            again(draft, agent, end)
        }
        End::Lost => lost(draft, agent),
        End::TimedOut(watchdog) => {
            let kind = FailKind::Provider(format!("{watchdog:?} time limit").to_lowercase());
            failed(draft, agent.stage, kind, "agent_timed_out")
        }
        End::Failed(kind) => {
            let kind = kind.clone();
            failed(draft, agent.stage, kind, "agent_failed")
        }
    }
}

/// Something newer took its place while it ended. The check of what it read still says that it is at work.
fn superseded(mut draft: Draft<'_>, agent: &Agent) -> Decision {
    if agent.stage == StageKey::Review {
        draft.add(Effect::Raise(ReportKind::Check(StageKey::Review, agent.base.clone())));
    }
    draft.rule("superseded_agent")
}

/// The sandbox or the server does not let an agent start.
pub(super) fn start_refused(draft: Draft<'_>, id: AgentId, reason: &str) -> Decision {
    let Some(agent) = draft.s.agent(id) else { return draft.nothing("unknown_agent") };
    if draft.s.stage(agent.stage).is_none_or(|stage| stage.state != StageState::Running(id)) {
        return draft.nothing("superseded_agent");
    }
    blocked(
        draft,
        agent.stage,
        ParkReason::NoSandbox { remedy: reason.to_owned() },
        "start_refused",
    )
}

fn blocked(mut draft: Draft<'_>, key: StageKey, reason: ParkReason, rule: &str) -> Decision {
    if is_aside(&draft, key) {
        let means = "there was no money, no quota or no sandbox for it".to_owned();
        draft.stage(key, StageState::Failed(FailKind::Setup(means)));
        return draft.rule(rule);
    }
    draft.stage(key, StageState::Blocked);
    draft.task(TaskState::Parked(reason));
    draft.rule(rule)
}

/// Whether the stage is an audit beside a task's own work, which goes on whatever becomes of it.
pub(super) fn is_aside(draft: &Draft<'_>, key: StageKey) -> bool {
    key == StageKey::Audit
        && draft.s.task.as_ref().is_some_and(|task| task.origin != TaskOrigin::Audit)
}

fn failed(mut draft: Draft<'_>, key: StageKey, kind: FailKind, rule: &str) -> Decision {
    if is_aside(&draft, key) {
        draft.stage(key, StageState::Failed(kind));
    } else {
        draft.fail(key, kind);
    }
    draft.rule(rule)
}

/// A person's or operator's stop has already parked the task; a shutdown only interrupts it, and the
/// off switch ends its agent without a word to the task.
fn cancelled(mut draft: Draft<'_>, agent: &Agent, by: &CancelledBy) -> Decision {
    match by {
        CancelledBy::Shutdown => {
            go_on(&mut draft, agent);
            draft.rule("resumed_after_shutdown")
        }
        CancelledBy::Person(_) | CancelledBy::Operator | CancelledBy::Superseded => {
            draft.stage(agent.stage, StageState::Cancelled);
            let task = draft.s.task.as_ref();
            if task.is_some_and(|task| task.state == TaskState::Open)
                && !is_aside(&draft, agent.stage)
            {
                draft.task(TaskState::Parked(match draft.s.repository.off {
                    true => ParkReason::Off,
                    false => ParkReason::Stopped(by.clone()),
                }));
            }
            draft.rule("agent_cancelled")
        }
    }
}

/// Nobody knows how far it came, or what was away may be back: its session goes on, a few times.
fn again(mut draft: Draft<'_>, agent: &Agent, end: &End) -> Decision {
    go_on(&mut draft, agent);
    draft.rule(if *end == End::Lost { "agent_lost" } else { "agent_restarted" })
}

/// It was lost more often than it is worth.
fn lost(draft: Draft<'_>, agent: &Agent) -> Decision {
    let in_a_row = mishaps_in_a_row(&draft.s.agents, agent.stage);
    let times =
        if in_a_row == 1 { "once".to_owned() } else { format!("{in_a_row} times in a row") };
    let kind = FailKind::Crashed(format!("Baton was ended under it, {times}"));
    failed(draft, agent.stage, kind, "agent_lost_too_often")
}

/// Starts another agent that goes on with the session of one that was interrupted.
fn go_on(draft: &mut Draft<'_>, agent: &Agent) {
    let mut messages = agent.inputs.messages.clone();
    messages.push(Message::GoOn);
    let base = agent.head.clone().unwrap_or_else(|| agent.base.clone());
    if agent.stage == StageKey::Audit {
        draft.start_unchecked(agent.stage, Some(agent.id), messages, base);
    } else {
        draft.start_part(agent.stage, agent.part(), Some(agent.id), messages, base);
    }
}

fn succeeded(draft: Draft<'_>, task: &Task, agent: &Agent) -> Decision {
    match &agent.outcome {
        Some(Outcome::Plan(plan)) => planned(draft, task, plan),
        Some(Outcome::Code(_) | Outcome::Analysis(_)) => coded(draft, task, agent),
        Some(Outcome::Review(review)) => reviewed(draft, task, agent, review),
        Some(Outcome::Deploy(outcome)) => deploying::judged_ready(draft, task, outcome),
        Some(Outcome::Verify(outcome)) => deploying::verified(draft, task, outcome),
        Some(Outcome::Audit(_)) => audited(draft, task, agent),
        None => {
            let kind = FailKind::InvalidOutcome("the agent ended without one".to_owned());
            failed(draft, agent.stage, kind, "agent_without_outcome")
        }
    }
}

fn planned(mut draft: Draft<'_>, task: &Task, body: &PlanOutcome) -> Decision {
    let hash = plan_hash(body, &task.input_hash);
    let number = draft.s.plan().map_or(1, |plan| plan.number + 1);
    let input_hash = task.input_hash.clone();
    draft.tell(Effect::Plan(Plan { number, hash: hash.clone(), input_hash, body: body.clone() }));
    threads::raise_asking(&mut draft);
    if matches!(draft.s.policy.until, Until::Plan | Until::Review) {
        draft.stage(StageKey::Plan, StageState::Passed);
        draft.task(TaskState::Done);
        return draft.rule("planned_only");
    }
    if draft.s.policy.approve_plan || !body.questions.is_empty() {
        let wait = WaitFor::PlanApproval(hash);
        draft.stage(StageKey::Plan, StageState::Waiting(wait.clone()));
        draft.add(Effect::Raise(crate::model::ReportKind::Asking(number)));
        draft.task(TaskState::Waiting(wait));
        return draft.rule("plan_waits");
    }
    draft.stage(StageKey::Plan, StageState::Passed);
    begin_code(&mut draft, task);
    draft.rule("plan_accepted_by_policy")
}

/// Starts on the newest plan: its first subtask, or the coder.
pub(super) fn begin_code(draft: &mut Draft<'_>, task: &Task) {
    if draft.s.server.open_pulls >= draft.s.server.limits.open_pulls {
        let limit = draft.s.server.limits.open_pulls;
        let kind =
            FailKind::Setup(format!("{limit} pull requests of Baton's are open here already"));
        return draft.fail(StageKey::Code, kind);
    }
    match draft.code_base(task) {
        Some(base) => subtasks::begin(draft, base),
        None => {
            let kind = FailKind::Setup("the default branch has no commit".to_owned());
            draft.fail(StageKey::Code, kind);
        }
    }
}

/// The coder is done, or a subtask is: first the next subtask, then evidence, then out.
fn coded(mut draft: Draft<'_>, task: &Task, agent: &Agent) -> Decision {
    if subtasks::next(draft.s).is_some() {
        subtasks::begin(&mut draft, subtasks::left_by(agent));
        return draft.rule("subtask_done");
    }
    let Some(head) = subtasks::result(draft.s, agent).cloned() else {
        draft.stage(StageKey::Code, StageState::Failed(FailKind::Commands));
        draft.task(TaskState::Parked(ParkReason::Refused(crate::model::Refusal::Nothing)));
        return draft.rule("nothing_committed");
    };
    if draft.s.policy.test.is_empty() {
        draft.publish(agent.id, head, publishing::branch(draft.s, task));
        return draft.rule("coded_without_tests");
    }
    let commands = draft.s.policy.test.clone();
    draft.run(StageKey::Code, RunKind::Test, &commands, head);
    draft.rule("coded")
}

fn reviewed(mut draft: Draft<'_>, task: &Task, agent: &Agent, review: &ReviewOutcome) -> Decision {
    let round = draft.s.stage(StageKey::Review).map_or(1, |stage| stage.round);
    let changed = findings::after_review(draft.s, review, round);
    for finding in &changed {
        draft.tell(Effect::Finding(finding.clone()));
    }
    let Some(pull) = task.pull else { return draft.nothing("review_without_pull") };
    draft.add(Effect::Act(Act::Review { pull, agent: agent.id }));
    for finding in changed.iter().filter(|finding| finding.state == FindingState::Settled) {
        draft.add(Effect::Act(Act::ResolveThread { pull, finding: finding.number }));
    }
    draft.stage(StageKey::Review, StageState::Passed);
    if task.origin == TaskOrigin::Pull {
        draft.task(TaskState::Done);
        return draft.rule("persons_pull_reviewed");
    }
    let open = must_fix_numbers(&findings::merged(draft.s, &changed));
    if review.verdict == Verdict::Approve && open.is_empty() {
        draft.add(Effect::Act(Act::ReadyForReview { pull }));
        draft.add(Effect::Raise(crate::model::ReportKind::Pull));
        draft.task(TaskState::Waiting(WaitFor::Merge(agent.base.clone())));
        return draft.rule("review_passed");
    }
    if open.is_empty() || findings::stuck(draft.s, &changed) || task.rounds >= task.max_rounds {
        draft.task(TaskState::Parked(ParkReason::NotConverging));
        return draft.rule("review_not_converging");
    }
    draft.tell(Effect::Rounds { rounds: task.rounds + 1 });
    let coder = subtasks::coder(draft.s);
    let messages = vec![Message::Findings { numbers: open }];
    draft.start(StageKey::Code, coder, messages, agent.base.clone());
    draft.rule("review_wants_changes")
}

fn must_fix_numbers(all: &[crate::model::Finding]) -> Vec<u32> {
    let open = all.iter().filter(|finding| {
        finding.state == FindingState::Open && finding.severity == crate::model::Severity::MustFix
    });
    open.map(|finding| finding.number).collect()
}

/// At most so many issues come out of one audit.
const MAX_AUDIT_ISSUES: usize = 5;

fn audited(mut draft: Draft<'_>, task: &Task, agent: &Agent) -> Decision {
    let Some(Outcome::Audit(audit)) = &agent.outcome else { return draft.nothing("not_an_audit") };
    for finding in 0..audit.findings.len().min(MAX_AUDIT_ISSUES) {
        draft.add(Effect::Act(Act::OpenIssue { agent: agent.id, finding }));
    }
    draft.add(Effect::Act(Act::Reply {
        number: task.number,
        reply: Reply::Audited { agent: agent.id },
    }));
    draft.stage(StageKey::Audit, StageState::Passed);
    if task.origin == TaskOrigin::Audit {
        draft.tell(Effect::Task { next: TaskState::Done });
    }
    draft.rule("audited")
}
