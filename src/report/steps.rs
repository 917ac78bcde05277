//! The way of a task as a list: `✓` behind it, `➜` where it stands, `○` ahead.

use crate::model::{
    Agent, AgentState, FindingState, Lack, Outcome, RunKind, Severity, Situation, Stage, StageKey,
    StageState, TaskOrigin, TaskState, TodoState, Until, WaitFor,
};

use super::again;
use super::evidence::newest;
use super::figures::{count, moment};
use super::quote::line;

/// A step of the way: a stage, or the merge, which is nobody's stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A stage of Baton's.
    Stage(StageKey),
    /// The merge by a person.
    Merge,
}

/// The steps of this task, as far as its policy goes.
#[must_use]
pub fn steps(situation: &Situation) -> Vec<Step> {
    use StageKey::{Audit, Code, Deploy, Plan, Review, Verify};
    let Some(task) = &situation.task else { return Vec::new() };
    let policy = &situation.policy;
    let started = |key| situation.stage(key).is_some_and(|stage| stage.round > 0);
    let mut way = match task.origin {
        TaskOrigin::Audit => vec![Step::Stage(Audit)],
        TaskOrigin::Pull if started(Code) => vec![Step::Stage(Code), Step::Stage(Review)],
        TaskOrigin::Pull => vec![Step::Stage(Review)],
        TaskOrigin::Issue if policy.until < Until::Pr => vec![Step::Stage(Plan)],
        TaskOrigin::Issue => {
            vec![Step::Stage(Plan), Step::Stage(Code), Step::Stage(Review), Step::Merge]
        }
    };
    if task.origin == TaskOrigin::Issue && policy.until == Until::Deploy {
        way.extend(policy.deploy.as_ref().map(|_| Step::Stage(Deploy)));
        way.extend((!policy.verify.is_empty()).then_some(Step::Stage(Verify)));
    }
    way
}

/// The list in Markdown, one line a step, each ended by a hard break.
#[must_use]
pub fn checklist(situation: &Situation) -> String {
    let lines = steps(situation).into_iter().map(|step| match step {
        Step::Merge => merge_line(situation),
        Step::Stage(key) => stage_line(situation, key),
    });
    lines.collect::<Vec<_>>().join("\\\n")
}

/// `plan → code → review → merge by you`, the present step bold.
#[must_use]
pub fn way(situation: &Situation) -> String {
    let named = steps(situation).into_iter().map(|step| match step {
        Step::Merge => "merge by you".to_owned(),
        Step::Stage(key) if is_present(situation, key) => format!("**{}**", key.name()),
        Step::Stage(key) => key.name().to_owned(),
    });
    named.collect::<Vec<_>>().join(" → ")
}

fn is_present(situation: &Situation, key: StageKey) -> bool {
    situation.stage(key).is_some_and(|stage| {
        stage.state.is_active() || matches!(stage.state, StageState::Waiting(_))
    })
}

fn merge_line(situation: &Situation) -> String {
    let task = situation.task.as_ref();
    if let Some(merged) = task.and_then(|task| task.merged.as_ref()) {
        return format!("✓ **Merge** as `{}`", merged.short());
    }
    match task.map(|task| &task.state) {
        Some(TaskState::Waiting(crate::model::WaitFor::Merge(head))) => {
            format!("➜ **Merge** by a person: `{}` is ready", head.short())
        }
        _ => "○ **Merge** by a person, once the review and CI are green".to_owned(),
    }
}

fn stage_line(situation: &Situation, key: StageKey) -> String {
    let name = super::kept::upper_first(key.name());
    let Some(stage) = situation.stage(key) else {
        return format!("○ **{name}**{}", ahead(situation, key));
    };
    if stage.state.is_active() && has_stopped(situation) {
        return format!("➜ **{name}** is being stopped");
    }
    let (mark, text) = match &stage.state {
        StageState::Blocked => ("○", ahead(situation, key).trim_start().to_owned()),
        StageState::Running(id) => ("➜", at_work(situation, stage, situation.agent(*id))),
        StageState::Commands(id) => {
            let run = situation.run(*id).map(super::evidence::in_short);
            ("➜", run.unwrap_or_else(|| "running the repository's commands".to_owned()))
        }
        StageState::Publishing { head, .. } => {
            ("➜", format!("`{}` is on its way to GitHub", head.short()))
        }
        StageState::Waiting(wait) => ("➜", waiting(situation, wait)),
        StageState::Passed => ("✓", passed(situation, key)),
        StageState::Failed(kind) => {
            let said = super::ended::failed(situation, key, kind);
            ("➜", format!("failed: {}", said.title))
        }
        StageState::Cancelled => ("○", "stopped".to_owned()),
    };
    format!("{mark} **{name}** {text}").trim_end().to_owned()
}

fn ahead(situation: &Situation, key: StageKey) -> String {
    match (key, &situation.policy.deploy) {
        (StageKey::Deploy, Some(deploy)) => format!(" to {}", deploy.environment),
        _ => String::new(),
    }
}

/// Whether the task stands still while a stage's agent is still on its way out.
fn has_stopped(situation: &Situation) -> bool {
    let state = situation.task.as_ref().map(|task| &task.state);
    state.is_some_and(|state| state.is_final() || matches!(state, TaskState::Parked(_)))
}

fn waiting(situation: &Situation, wait: &WaitFor) -> String {
    match wait {
        WaitFor::PlanApproval(_) => "waits for approval".to_owned(),
        WaitFor::Answer(id) => situation.question(*id).map_or_else(
            || "waits for an answer".to_owned(),
            |question| format!("waits for an answer to Q{}", question.number),
        ),
        WaitFor::PushApproval(_) => "waits for approval to be pushed".to_owned(),
        WaitFor::Merge(_) => "waits for a person".to_owned(),
    }
}

fn at_work(situation: &Situation, stage: &Stage, agent: Option<&Agent>) -> String {
    let part = part_at_work(situation, stage);
    let doing = match stage.key {
        StageKey::Plan => "reading the issue and the code",
        StageKey::Code if part.is_some() => part.as_deref().unwrap_or_default(),
        StageKey::Code if stage.round > 1 => "changing it again",
        StageKey::Code => "writing the change",
        StageKey::Review => "reading the change",
        StageKey::Deploy => "judging whether it can go out",
        StageKey::Verify => "judging the evidence",
        StageKey::Audit => "looking over the repository",
    };
    if let Some(set_up) = super::setup::setting_up(situation, stage.key) {
        return set_up;
    }
    let Some(agent) = agent else { return doing.to_owned() };
    let since = match (&agent.state, agent.started_at) {
        (AgentState::Queued, _) => {
            return again::waits_for_its_time(situation, agent).unwrap_or_else(|| queued(agent));
        }
        (_, Some(at)) => format!(" since {}", moment(at, situation.now)),
        (_, None) => String::new(),
    };
    let remarks = remarks(situation, stage.key).map(|said| format!(", {said}")).unwrap_or_default();
    let again = again::why(situation, agent).map(|why| format!(", again, as {why}"));
    format!("{doing}{since}{}{remarks}{}", again.unwrap_or_default(), todo(agent))
}

/// The part of a divided plan that is at work: `part 2 of 3 (refactor, steps 2–3)`.
pub(super) fn part_at_work(situation: &Situation, stage: &Stage) -> Option<String> {
    let StageState::Running(id) = stage.state else { return None };
    let subtask = situation.subtask_of(situation.agent(id)?)?;
    let of = situation.subtasks().len();
    let (number, role) = (subtask.number, subtask.role.name());
    Some(format!("part {number} of {of} ({role}, {})", subtask.steps_in_words()))
}

/// What an agent that has not started waits for.
pub(super) fn queued(agent: &Agent) -> String {
    format!("waits for {}", agent.waits_for.map_or("a free agent", Lack::awaited))
}

/// Where findings stand: `F1 settled, F2 open`.
fn remarks(situation: &Situation, key: StageKey) -> Option<String> {
    if !matches!(key, StageKey::Review | StageKey::Code) || situation.findings.is_empty() {
        return None;
    }
    let ids = |state: FindingState| -> Vec<String> {
        let of = situation.findings.iter().filter(|finding| finding.state == state);
        of.map(|finding| format!("F{}", finding.number)).collect()
    };
    let (settled, open) = (ids(FindingState::Settled), ids(FindingState::Open));
    let mut said = Vec::new();
    if !settled.is_empty() {
        said.push(format!("{} settled", settled.join(", ")));
    }
    if !open.is_empty() {
        said.push(format!("{} open", open.join(", ")));
    }
    Some(said.join(", "))
}

/// The agent's own list: how far, and what it is at.
fn todo(agent: &Agent) -> String {
    if agent.todo.is_empty() {
        return String::new();
    }
    let done = agent.todo.iter().filter(|item| item.state == TodoState::Done).count();
    let doing = agent.todo.iter().find(|item| item.state == TodoState::Doing);
    let doing = doing.map(|item| format!(", now: {}", line(&item.text, 120))).unwrap_or_default();
    format!(" ({done} of {} done{doing}; the agent says)", agent.todo.len())
}

fn passed(situation: &Situation, key: StageKey) -> String {
    match key {
        StageKey::Plan => match situation.approval() {
            Some(approval) => format!("approved by {}", approval.actor.login),
            None => "made".to_owned(),
        },
        StageKey::Code => {
            let head = situation.task.as_ref().and_then(|task| task.head.as_ref());
            let by = head.and_then(|head| situation.push_approval(head));
            let by = by.map(|approval| format!("let out by {}", approval.actor.login));
            let head = head.map(|head| format!("`{}`", head.short()));
            let tests = newest(situation, RunKind::Test);
            head.into_iter().chain(by).chain(tests).collect::<Vec<_>>().join(", ")
        }
        StageKey::Review => review_passed(situation),
        StageKey::Deploy => match &situation.policy.deploy {
            Some(deploy) => format!("on {} {}", deploy.environment, super::evidence::RUN_BY_BATON),
            None => "done".to_owned(),
        },
        StageKey::Verify => {
            match situation.last_agent(key).and_then(|agent| agent.outcome.as_ref()) {
                Some(Outcome::Verify(verdict)) => {
                    let met = verdict.criteria.iter().filter(|verdict| verdict.passed).count();
                    format!("{met} of {} met", count_criteria(verdict.criteria.len()))
                }
                _ => newest(situation, RunKind::Verify).unwrap_or_else(|| "passed".to_owned()),
            }
        }
        StageKey::Audit => "done".to_owned(),
    }
}

fn count_criteria(number: usize) -> String {
    if number == 1 { "1 criterion".to_owned() } else { format!("{number} criteria") }
}

fn review_passed(situation: &Situation) -> String {
    let open = |severity: Severity| {
        let of = |finding: &&crate::model::Finding| {
            finding.state == FindingState::Open && finding.severity == severity
        };
        situation.findings.iter().filter(of).count()
    };
    match (open(Severity::MustFix), open(Severity::Suggestion)) {
        (0, 0) => "nothing left open".to_owned(),
        (0, suggestions) => format!("{} left to you", count(suggestions, "suggestion")),
        (must, _) => format!("{must} must fix"),
    }
}
