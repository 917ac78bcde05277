//! The one comment that says where a task stands: state and who acts, then why, then what can be done.

use crate::model::{
    Desired, FindingState, Outcome, ParkReason, Plan, ReportKind, Role, Situation, Stage, StageKey,
    StageState, Task, TaskOrigin, TaskState, Until, Untrusted, WaitFor,
};

use super::asking_push;
use super::barred::barred;
use super::commands::{in_a_line, typed};
use super::evidence::{agent_says, folded};
use super::figures::{called_in_all, count, spent, split, taken_in_all};
use super::fit::{COMMENT, fit};
use super::follow_ups::noticed;
use super::kept::kept;
use super::marker::Marker;
use super::parked::parked;
use super::parking::led;
use super::people::{ended_by, pull_name, who_acts};
use super::question::{answered, how, quoted};
use super::quote::{block, code, line};
use super::setup::fetched;
use super::steps::{checklist, part_at_work, way};
use super::wishes::wished;

/// What the progress comment should say.
#[must_use]
pub fn progress(situation: &Situation, task: &Task) -> Desired {
    let marker = Marker::of_report(task.id, &ReportKind::Progress).write(&situation.name);
    let mut parts = vec![format!("{marker}\n### Baton: {}", headline(situation, task))];
    parts.extend(warnings(situation));
    parts.extend(body(situation, task));
    parts.push(noticed(situation));
    parts.push(wished(situation, task));
    parts.push(footer(situation, task));
    parts.retain(|part| !part.is_empty());
    Desired::Comment { body: fit(&parts.join("\n\n"), COMMENT), minimised: false, frozen: false }
}

/// The state, and who acts: the first line of the comment without its mark.
#[must_use]
pub fn headline(situation: &Situation, task: &Task) -> String {
    match &task.state {
        TaskState::Open => format!("{}. Nothing for you to do", at_work(situation, task)),
        TaskState::Waiting(WaitFor::PlanApproval(_)) => {
            format!("the plan is ready, waiting for {}", who_acts(situation))
        }
        TaskState::Waiting(WaitFor::PushApproval(_)) => {
            format!("the change is ready to be pushed, waiting for {}", who_acts(situation))
        }
        TaskState::Waiting(WaitFor::Answer(_)) => {
            let doing = waiting_stage(situation).map_or("an agent", StageKey::name);
            format!("{doing} has a question, waiting for {}", who_acts(situation))
        }
        TaskState::Waiting(WaitFor::Merge(_)) => {
            format!(
                "{} is ready, waiting for {} to merge it",
                pull_name(situation),
                who_acts(situation)
            )
        }
        TaskState::Parked(reason) => parked_headline(situation, reason),
        TaskState::Done => format!("{}. Nothing for you to do", done(situation, task)),
        TaskState::Cancelled { by } => format!("ended by {}", ended_by(situation, by)),
    }
}

/// The stage whose agent asked what the task waits for.
fn waiting_stage(situation: &Situation) -> Option<StageKey> {
    let asked = situation.waiting_question()?;
    situation.agent(asked.agent).map(|agent| agent.stage)
}

fn parked_headline(situation: &Situation, reason: &ParkReason) -> String {
    let said = parked(situation, reason);
    let waits = if said.needs_person {
        format!(". Waiting for {}", who_acts(situation))
    } else {
        String::new()
    };
    led(reason, "parked, ", &said.headline) + &waits
}

fn at_work(situation: &Situation, task: &Task) -> String {
    let active = situation.stages.iter().rev().find(|stage| stage.state.is_active());
    let Some(stage) = active else { return "working out what comes next".to_owned() };
    let doing = match (stage.key, &stage.state) {
        (StageKey::Code, StageState::Commands(_)) => "running the tests".to_owned(),
        (StageKey::Code, StageState::Publishing { .. }) => "pushing the change".to_owned(),
        (StageKey::Plan, _) => "planning".to_owned(),
        (StageKey::Code, _) => match part_at_work(situation, stage) {
            Some(part) => format!("writing the change, {part}"),
            None => "writing the change".to_owned(),
        },
        (StageKey::Review, _) => format!("reviewing {}", pull_name(situation)),
        (StageKey::Deploy, _) => format!("deploying{}", to_environment(situation)),
        (StageKey::Verify, _) => {
            format!("verifying{}", to_environment(situation).replace(" to ", " "))
        }
        (StageKey::Audit, _) => "auditing the repository".to_owned(),
    };
    format!("{doing}{}", round(task, stage))
}

/// How often the change went back to the coder; before the first time there is nothing to count.
fn round(task: &Task, stage: &Stage) -> String {
    let counted = matches!(stage.key, StageKey::Code | StageKey::Review);
    if counted && task.rounds > 0 {
        format!(", fix round {} of {}", task.rounds, task.max_rounds)
    } else {
        String::new()
    }
}

fn to_environment(situation: &Situation) -> String {
    let deploy = situation.policy.deploy.as_ref();
    deploy.map(|deploy| format!(" to {}", deploy.environment)).unwrap_or_default()
}

/// What there is at the end.
#[must_use]
pub fn done(situation: &Situation, task: &Task) -> String {
    let passed = |key| situation.stage(key).is_some_and(|stage| stage.state == StageState::Passed);
    let environment = to_environment(situation).replace(" to ", "");
    match task.origin {
        TaskOrigin::Audit => "the audit is done".to_owned(),
        TaskOrigin::Pull => format!("{} is reviewed", pull_name(situation)),
        TaskOrigin::Issue if situation.policy.until < Until::Pr => "the plan is ready".to_owned(),
        TaskOrigin::Issue if passed(StageKey::Verify) && environment.is_empty() => {
            "done, verified".to_owned()
        }
        TaskOrigin::Issue if passed(StageKey::Verify) => format!("done, verified on {environment}"),
        TaskOrigin::Issue if passed(StageKey::Deploy) => format!("done, deployed to {environment}"),
        TaskOrigin::Issue => format!("done, {} is merged", pull_name(situation)),
    }
}

/// What stands in the way, or will.
fn warnings(situation: &Situation) -> Vec<String> {
    let says = |text: &str| line(&Untrusted::from(text), 300);
    let paused = situation.server.paused.as_deref();
    let paused = paused.map(|why| {
        format!("This server is paused, nothing starts before it goes on: {}", says(why))
    });
    let policy = situation.repository.policy_error.as_deref();
    let policy = policy.map(|mistake| {
        format!(
            "`.github/baton.yml` has a mistake, so its last good version holds: {}",
            says(mistake)
        )
    });
    paused.into_iter().chain(policy).collect()
}

fn body(situation: &Situation, task: &Task) -> Vec<String> {
    match &task.state {
        TaskState::Open => {
            let fetched = fetched(situation);
            let steps = [checklist(situation), fetched, barred(situation)];
            let folded = [analyses(situation), plan_folded(situation)];
            [vec![notes(situation), answers(situation)], steps.into(), folded.into()].concat()
        }
        TaskState::Waiting(WaitFor::PlanApproval(_)) => waiting_plan(situation),
        TaskState::Waiting(WaitFor::PushApproval(head)) => {
            let kept = format!("Commit `{}` is kept here, nothing of it was pushed.", head.short());
            let why = asking_push::why(situation, task);
            let steps = [checklist(situation), asking_push::act(situation)];
            let folded = vec![analyses(situation), plan_folded(situation)];
            [vec![kept, why], steps.into(), folded].concat()
        }
        TaskState::Waiting(WaitFor::Answer(_)) => {
            let asked = situation.waiting_question();
            let asked = asked.map(|asked| (quoted(asked), how(situation, asked, "Tick one below")));
            let (asked, how) = asked.unwrap_or_default();
            let folded = [analyses(situation), plan_folded(situation)];
            [vec![asked, how, checklist(situation)], folded.into()].concat()
        }
        TaskState::Waiting(WaitFor::Merge(_)) => {
            let words = latest_words(situation);
            let steps = vec![words, open_findings(situation), checklist(situation)];
            [steps, vec![analyses(situation), plan_folded(situation)]].concat()
        }
        TaskState::Parked(reason) => parked_body(situation, reason),
        TaskState::Done if is_plan(situation, task) => {
            vec![situation.plan().map(plan_text).unwrap_or_default()]
        }
        TaskState::Done => {
            let words = latest_words(situation);
            let steps = vec![words, open_findings(situation), checklist(situation)];
            [steps, vec![analyses(situation), plan_folded(situation)]].concat()
        }
        TaskState::Cancelled { .. } => vec![kept(situation), checklist(situation)],
    }
}

/// Whether the task ends with its plan.
#[must_use]
pub fn is_plan(situation: &Situation, task: &Task) -> bool {
    let ends_there = situation.policy.until < Until::Pr;
    task.origin == TaskOrigin::Issue && ends_there
}

/// What agents asked and people answered, so that the thread shows on what the work rests.
fn answers(situation: &Situation) -> String {
    let told: Vec<String> = situation.questions.iter().filter_map(answered).collect();
    told.join("\\\n")
}

fn waiting_plan(situation: &Situation) -> Vec<String> {
    let Some(plan) = situation.plan() else { return Vec::new() };
    let otherwise = super::commands::sensible(situation).into_iter().skip(1);
    let typed: Vec<String> = otherwise.map(|(usage, _)| typed(situation, &usage)).collect();
    let act = format!("Approve it below, or comment {}", typed.join(" · "));
    vec![plan_text(plan), size(plan), act]
}

/// How much the plan touches, and which one it is.
fn size(plan: &Plan) -> String {
    let mut files: Vec<&Untrusted> = plan.body.steps.iter().flat_map(|step| &step.files).collect();
    files.sort_by(|a, b| a.0.cmp(&b.0));
    files.dedup();
    format!("{} · plan {} (`{}`)", count(files.len(), "file"), plan.number, plan.hash.short())
}

/// Why another round is on.
fn notes(situation: &Situation) -> String {
    let goes_round = |key| situation.stage(key).is_some_and(|stage| stage.state.is_active());
    let again = goes_round(StageKey::Code) || goes_round(StageKey::Review);
    let Some(task) = situation.task.as_ref().filter(|task| task.rounds > 0 && again) else {
        return String::new();
    };
    let times = if task.rounds == 1 { "once".to_owned() } else { format!("{} times", task.rounds) };
    let open = open_findings(situation);
    if open.is_empty() {
        format!("The change went back to the coder {times}.")
    } else {
        format!("The change went back to the coder {times}. {open}")
    }
}

/// The findings that still stand, in a line.
fn open_findings(situation: &Situation) -> String {
    let open = situation.findings.iter().filter(|finding| finding.state == FindingState::Open);
    let open: Vec<String> = open
        .map(|finding| format!("**F{}** {}", finding.number, line(&finding.title, 160)))
        .collect();
    if open.is_empty() { String::new() } else { format!("Open: {}", open.join(" · ")) }
}

fn parked_body(situation: &Situation, reason: &ParkReason) -> Vec<String> {
    let said = parked(situation, reason);
    let fetched = fetched(situation);
    let barred = barred(situation);
    let said = vec![kept(situation), said.wrong, fetched, barred, options(&said.next)];
    [said, vec![analyses(situation), plan_folded(situation)]].concat()
}

/// What can be done, one a line.
#[must_use]
pub fn options(next: &[(&'static str, String)]) -> String {
    let lines = next.iter().map(|(label, text)| format!("- **{label}:** {text}"));
    lines.collect::<Vec<_>>().join("\n")
}

/// The newest thing that an agent concluded about the change.
fn latest_words(situation: &Situation) -> String {
    let outcomes = situation.agents.iter().rev().filter_map(|agent| agent.outcome.as_ref());
    let summary = outcomes.map(|outcome| match outcome {
        Outcome::Plan(plan) => &plan.summary,
        Outcome::Code(code) => &code.summary,
        Outcome::Review(review) => &review.summary,
        Outcome::Deploy(deploy) => &deploy.summary,
        Outcome::Verify(verify) => &verify.summary,
        Outcome::Audit(audit) => &audit.summary,
        Outcome::Analysis(analysis) => &analysis.summary,
    });
    summary.into_iter().next().map(|text| agent_says(text, 1500)).unwrap_or_default()
}

/// What was found out before somebody wrote, each report folded.
fn analyses(situation: &Situation) -> String {
    let reports = situation.parts_done(None).filter_map(|agent| match &agent.outcome {
        Some(Outcome::Analysis(analysis)) => {
            let steps = situation.subtask_of(agent)?.steps_in_words();
            Some(folded(&format!("Analysis of {steps}"), &agent_says(&analysis.report, REPORT)))
        }
        Some(
            Outcome::Plan(_)
            | Outcome::Code(_)
            | Outcome::Review(_)
            | Outcome::Deploy(_)
            | Outcome::Verify(_)
            | Outcome::Audit(_),
        )
        | None => None,
    });
    reports.collect::<Vec<_>>().join("\n\n")
}

/// Longest report of an analysis in the comment, in characters.
const REPORT: usize = 8000;

fn plan_folded(situation: &Situation) -> String {
    let Some(plan) = situation.plan() else { return String::new() };
    let title = format!("Plan {} (<code>{}</code>)", plan.number, plan.hash.short());
    folded(&title, &plan_text(plan))
}

/// A plan in Markdown: summary, numbered steps, files, what must be true, risks, questions.
#[must_use]
pub fn plan_text(plan: &Plan) -> String {
    let body = &plan.body;
    let steps = body.steps.iter().enumerate().map(|(at, step)| {
        let files: Vec<String> =
            step.files.iter().take(8).map(|file| code(&file.visible())).collect();
        let files =
            if files.is_empty() { String::new() } else { format!(" ({})", files.join(", ")) };
        let by = match step.by() {
            Role::Coding => String::new(),
            other => format!(" · *{}*", other.name()),
        };
        format!("{}. {}{files}{by}", at + 1, line(&step.title, 300))
    });
    let steps = steps.collect::<Vec<_>>().join("\n");
    let parts = [
        block(&body.summary, 3000),
        steps,
        list("Done when", &body.acceptance),
        list("Risks", &body.risks),
        list("Questions", &body.questions),
    ];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n\n")
}

fn list(title: &str, items: &[Untrusted]) -> String {
    if items.is_empty() {
        return String::new();
    }
    let lines: Vec<String> = items.iter().map(|item| format!("- {}", line(item, 500))).collect();
    format!("**{title}**\n\n{}", lines.join("\n"))
}

fn footer(situation: &Situation, task: &Task) -> String {
    let over = task.merged.is_some() && task.state == TaskState::Done;
    let commands = if over { String::new() } else { format!(" · {}", in_a_line(situation)) };
    let money = spent(situation);
    let said = match &task.state {
        TaskState::Waiting(WaitFor::PlanApproval(_)) => format!("{} · {money}", way(situation)),
        TaskState::Parked(_) | TaskState::Done | TaskState::Cancelled { .. } => {
            let split = split(situation);
            let split = if split.is_empty() { split } else { format!(" ({split})") };
            let work = [taken_in_all(situation), called_in_all(situation)];
            let work: String = work.into_iter().flatten().map(|it| format!(" · {it}")).collect();
            format!("{money}{split}{work}{commands}")
        }
        TaskState::Waiting(WaitFor::PushApproval(_)) => money,
        TaskState::Open | TaskState::Waiting(WaitFor::Answer(_) | WaitFor::Merge(_)) => {
            format!("{money}{commands}")
        }
    };
    format!("<sub>{said}</sub>")
}
