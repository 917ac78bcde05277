//! The names that a role's template may use, each filled from the situation.

use std::ops::Range;

use serde::Serialize;

use crate::model::{
    Agent, CodeOutcome, Finding, FindingState, Message, Plan, PlanOutcome, Role, Severity,
    Situation, TaskOrigin, Untrusted,
};

use super::Extra;
use super::frame::Frame;
use super::parts::Parts;

/// Everything a role's template can name. What is not known is `none`, never absent.
#[derive(Debug, Serialize)]
pub struct Context<'a> {
    repository: String,
    default_branch: &'a str,
    /// `issue #311`.
    thread: String,
    title: String,
    body: String,
    author: String,
    comments: Vec<Comment>,
    /// The newest plan as text.
    plan: Option<String>,
    /// Whether somebody approved it.
    approved: bool,
    /// The plan's criteria, one a line; the title where there is no plan.
    acceptance: String,
    /// Findings that are open, as text.
    findings: Option<String>,
    coder_notes: Option<String>,
    /// Which attempt at the stage, from 1.
    round: u32,
    /// The commit that the agent starts from.
    head: Option<String>,
    /// Whether an agent wanted that commit to be audited.
    wanted: bool,
    tests: &'a [String],
    /// What fetched the dependencies that are there.
    setup: &'a [String],
    /// Whether more may be fetched.
    fetch: bool,
    protected: &'a [String],
    environment: String,
    deploy_commands: &'a [String],
    project_instructions: Option<&'a str>,
    /// The change, fenced and framed.
    diff: Option<String>,
    /// The messages that the agent was started with.
    news: &'a str,
    data_rule: String,
    /// What is asked of a role that carries out requests.
    request: String,
    /// No paths but those in the plan, which are data.
    files: Vec<String>,
    /// Part, and what the others left, of a divided plan.
    #[serde(flatten)]
    parts: Parts,
}

#[derive(Debug, Serialize)]
struct Comment {
    author: String,
    body: String,
}

impl<'a> Context<'a> {
    /// Gathers them.
    pub fn new(
        situation: &'a Situation,
        agent: &'a Agent,
        extra: &'a Extra,
        frame: &Frame,
        news: &'a str,
        parts: Option<Parts>,
    ) -> Self {
        let input = situation.task.as_ref().map(|task| task.input.clone()).unwrap_or_default();
        let deploy = situation.policy.deploy.as_ref();
        let comments = input.comments.iter().map(|comment| Comment {
            author: comment.author.clone(),
            body: comment.body.visible(),
        });
        Self {
            repository: situation.repository.name.to_string(),
            default_branch: situation.repository.default_branch.as_str(),
            thread: thread(situation),
            title: input.title.visible(),
            body: input.body.visible(),
            comments: comments.collect(),
            author: input.author,
            plan: situation.plan().map(plan_text),
            approved: situation.approval().is_some(),
            acceptance: acceptance(situation),
            findings: open_findings(situation),
            coder_notes: coder_notes(situation),
            round: agent.attempt,
            head: Some(agent.base.short().to_owned()),
            wanted: agent.inputs.messages.iter().any(is_wish),
            tests: &situation.policy.test,
            setup: &situation.policy.build.setup,
            fetch: situation.policy.build.agents_fetch,
            protected: &situation.policy.protected,
            environment: deploy
                .map_or("its environment".to_owned(), |deploy| deploy.environment.to_string()),
            deploy_commands: deploy.map_or(&[], |deploy| deploy.commands.as_slice()),
            project_instructions: extra.project_instructions.as_deref(),
            diff: extra.diff.as_deref().map(|diff| frame.diff(diff)),
            news,
            data_rule: frame.rule(),
            request: format!(
                "Do your part of the change that settles {} of {}.",
                thread(situation),
                situation.repository.name
            ),
            files: Vec::new(),
            parts: parts.unwrap_or_default(),
        }
    }
}

fn is_wish(message: &Message) -> bool {
    matches!(message, Message::AuditWanted { .. })
}

fn thread(situation: &Situation) -> String {
    let Some(task) = &situation.task else { return "a request".to_owned() };
    match (task.origin, task.pull) {
        (TaskOrigin::Pull, pull) => format!("pull request #{}", pull.unwrap_or(task.number)),
        (TaskOrigin::Issue | TaskOrigin::Audit, _) => {
            format!("issue #{}", task.number)
        }
    }
}

/// A plan as plain text.
fn plan_text(plan: &Plan) -> String {
    let body = &plan.body;
    let steps = steps_text(body, 0..body.steps.len());
    let mut parts = vec![body.summary.visible(), format!("Steps:\n{steps}")];
    for (label, items) in [
        ("Acceptance criteria", &body.acceptance),
        ("Risks", &body.risks),
        ("Questions", &body.questions),
    ] {
        if !items.is_empty() {
            parts.push(format!("{label}:\n{}", listed(items)));
        }
    }
    parts.join("\n\n")
}

/// Steps of a plan, by their place from 0: one a line, with number, files, and by whom where that is no
/// coding agent.
pub(super) fn steps_text(plan: &PlanOutcome, which: Range<usize>) -> String {
    let steps = plan.steps.iter().enumerate().skip(which.start).take(which.len());
    let steps = steps.map(|(at, step)| {
        let files: Vec<String> = step.files.iter().map(Untrusted::visible).collect();
        let files =
            if files.is_empty() { String::new() } else { format!(" ({})", files.join(", ")) };
        let by = match step.by() {
            Role::Coding => String::new(),
            other => format!(" [{}]", other.name()),
        };
        format!("{}. {}{files}{by}", at + 1, step.title.visible())
    });
    steps.collect::<Vec<_>>().join("\n")
}

fn listed(items: &[Untrusted]) -> String {
    items.iter().map(|item| format!("- {}", item.visible())).collect::<Vec<_>>().join("\n")
}

fn acceptance(situation: &Situation) -> String {
    let task = situation.task.as_ref();
    match situation.plan().filter(|plan| !plan.body.acceptance.is_empty()) {
        Some(plan) => listed(&plan.body.acceptance),
        None => task.map(|task| format!("- {}", task.input.title.visible())).unwrap_or_default(),
    }
}

fn open_findings(situation: &Situation) -> Option<String> {
    let open = situation.findings.iter().filter(|finding| finding.state == FindingState::Open);
    let open: Vec<String> = open.map(finding_text).collect();
    (!open.is_empty()).then(|| open.join("\n\n"))
}

/// A finding as plain text: id, weight, place, title, body, suggestion.
pub fn finding_text(finding: &Finding) -> String {
    let weight = match finding.severity {
        Severity::MustFix => "must_fix",
        Severity::Suggestion => "suggestion",
    };
    let mut text = format!(
        "F{} ({weight}) {}:{} {}\n{}",
        finding.number,
        Untrusted::from(finding.path.as_str()).visible(),
        finding.line,
        finding.title.visible(),
        finding.body.visible()
    );
    if let Some(suggestion) = &finding.suggestion {
        text.push_str(&format!("\nSuggested instead of that line:\n{}", suggestion.as_code()));
    }
    text
}

/// What those say who made the change as it is: the newest coder, or all parts of a divided plan.
fn coder_notes(situation: &Situation) -> Option<String> {
    let notes: Vec<String> =
        situation.newest_coders().into_iter().map(|(_, code)| code_words(code)).collect();
    (!notes.is_empty()).then(|| notes.join("\n\n"))
}

/// What a coder says of its change.
pub(super) fn code_words(code: &CodeOutcome) -> String {
    format!(
        "{}\nTests it says it ran: {}\n{}",
        code.summary.visible(),
        code.tests_run.visible(),
        code.notes.visible()
    )
}
